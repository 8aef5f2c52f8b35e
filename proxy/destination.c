/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/destination.h"

#include "proxy/endpoint.h"
#include "proxy/log.h"

#include <errno.h>

static bool
is_unspecified(const struct ip *ip)
{
	static const uint8_t zero[16];

	return memcmp(ip->octets, zero, ip->family == IP_V6 ? 16 : 4) == 0;
}

/* Whether somebody who connects there comes to us. */
static bool
is_own(const struct conf *conf, const struct conf_endpoint *endpoint)
{
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_endpoint *own = &conf->listeners[i].endpoint;

		if (own->port == endpoint->port &&
		    (ip_equal(&own->ip, &endpoint->ip) ||
		     (own->ip.family == endpoint->ip.family &&
		      is_unspecified(&own->ip) &&
		      endpoint_is_local(&endpoint->ip))))
			return true;
	}
	return false;
}

int
destination_find(const struct conf *conf, const struct conf_endpoint *address,
		 const struct ip *local_ip, uint16_t local_port,
		 struct conf_endpoint *endpoint)
{
	*endpoint = *address;
	if (address->ip.family != IP_NONE)
		return 0;
	endpoint->ip = *local_ip;
	if (endpoint->port == 0)
		endpoint->port = local_port;
	if (endpoint->ip.family == IP_NONE)
		return -EDESTADDRREQ;
	return is_own(conf, endpoint) ? -ELOOP : 0;
}

void
destination_refused(const struct ip *client,
		    const struct conf_endpoint *endpoint, int error)
{
	char to[ENDPOINT_TEXT_MAX], from[IP_TEXT_MAX] = "gone";

	if (client != NULL)
		ip_format(client, from);
	if (error == -ELOOP) {
		endpoint_format(&endpoint->ip, endpoint->port, to);
		log_printf(EVENT_REFUSED,
			   "client=%s destination=%s reason=\"the original "
			   "destination is the gate itself\"",
			   from, to);
	} else {
		log_printf(EVENT_REFUSED,
			   "client=%s reason=\"the original destination is not "
			   "known\"",
			   from);
	}
}
