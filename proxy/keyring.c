/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/keyring.h"

#include "proxy/clock.h"

#include <stdlib.h>

static bool
open_server(const struct conf_listener *listener, struct tls_server **server,
	    struct buf *faults)
{
	struct tls_pair pairs[TLS_CERTIFICATES_MAX];
	struct tls_server_setup setup = {
		.pairs = pairs,
		.count = listener->tls_certificates.count,
		.version_min = listener->tls_version_min,
		.client_ca = listener->tls_client_ca,
	};

	if (setup.count == 0)
		return true;
	for (size_t i = 0; i < setup.count; i++)
		pairs[i] = (struct tls_pair){
			.certificate = listener->tls_certificates.list[i],
			.key = listener->tls_keys.list[i],
		};
	*server = tls_server_new(&setup, faults);
	return *server != NULL;
}

static bool
open_client(const struct conf_backend *backend, struct tls_client **client,
	    struct buf *faults)
{
	const struct tls_client_setup setup = {
		.is_verifying = backend->tls == CONF_TLS_VERIFY,
		.ca = backend->tls_ca,
	};

	if (backend->tls == CONF_TLS_OFF)
		return true;
	*client = tls_client_new(&setup, faults);
	return *client != NULL;
}

static void
use_tickets(struct keyring *keyring, struct tickets *tickets)
{
	keyring->tickets = tickets;
	for (size_t i = 0; i < keyring->server_count; i++)
		if (keyring->servers[i] != NULL)
			tls_server_use_tickets(keyring->servers[i], tickets);
}

void
keyring_adopt(struct keyring *keyring, const struct keyring *older)
{
	tickets_drop(keyring->tickets);
	use_tickets(keyring, tickets_share(older->tickets));
}

static bool
open_all(struct keyring *keyring, const struct conf *conf, struct buf *faults)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (!open_server(&conf->listeners[i], &keyring->servers[i],
				 faults))
			return false;
	for (size_t i = 0; i < conf->backend_count; i++)
		if (!open_client(&conf->backends[i], &keyring->clients[i],
				 faults))
			return false;
	return true;
}

bool
keyring_open(struct keyring *keyring, const struct conf *conf,
	     struct buf *faults)
{
	*keyring = (struct keyring){
		.servers = calloc(conf->listener_count + 1,
				  sizeof(struct tls_server *)),
		.clients = calloc(conf->backend_count + 1,
				  sizeof(struct tls_client *)),
		.tickets = tickets_new(clock_monotonic_us),
	};
	if (keyring->servers == NULL || keyring->clients == NULL ||
	    keyring->tickets == NULL) {
		buf_append(faults, SPAN_LIT("certificates: no memory\n"));
		return false;
	}
	keyring->server_count = conf->listener_count;
	keyring->client_count = conf->backend_count;
	if (!open_all(keyring, conf, faults)) {
		buf_append_octet(faults, '\n');
		return false;
	}
	use_tickets(keyring, keyring->tickets);
	return true;
}

void
keyring_close(struct keyring *keyring)
{
	for (size_t i = 0; i < keyring->server_count; i++)
		tls_server_free(keyring->servers[i]);
	for (size_t i = 0; i < keyring->client_count; i++)
		tls_client_free(keyring->clients[i]);
	free(keyring->servers);
	free(keyring->clients);
	tickets_drop(keyring->tickets);
	*keyring = (struct keyring){ 0 };
}

struct tls *
keyring_connect(const struct keyring *keyring, const struct conf *conf,
		size_t backend, size_t address, const struct ip *ip)
{
	struct span name = conf->backends[backend].tls_name;
	char text[IP_TEXT_MAX];

	if (name.n == 0)
		name = conf->backends[backend].addresses[address].host;
	if (name.n == 0)
		name = ip_format(ip, text);
	return tls_connect(keyring->clients[backend], name);
}
