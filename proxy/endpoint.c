/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * endpoint: an address and a port as the kernel wants them, and back.
 */
#include "proxy/endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

socklen_t
endpoint_make(union endpoint *endpoint, const struct ip *ip, uint16_t port)
{
	*endpoint = (union endpoint){ 0 };
	if (ip->family == IP_V4) {
		endpoint->v4.sin_family = AF_INET;
		endpoint->v4.sin_port = htons(port);
		memcpy(&endpoint->v4.sin_addr, ip->octets, 4);
		return sizeof(endpoint->v4);
	}
	assert(ip->family == IP_V6);
	endpoint->v6.sin6_family = AF_INET6;
	endpoint->v6.sin6_port = htons(port);
	memcpy(&endpoint->v6.sin6_addr, ip->octets, 16);
	return sizeof(endpoint->v6);
}

void
endpoint_read(const union endpoint *endpoint, struct ip *ip, uint16_t *port)
{
	*ip = (struct ip){ .family = IP_NONE };
	*port = 0;
	if (endpoint->any.sa_family == AF_INET) {
		*ip = ip_make((const uint8_t *)&endpoint->v4.sin_addr, 4);
		*port = ntohs(endpoint->v4.sin_port);
	} else if (endpoint->any.sa_family == AF_INET6) {
		*ip = ip_make((const uint8_t *)&endpoint->v6.sin6_addr, 16);
		*port = ntohs(endpoint->v6.sin6_port);
	}
}

void
endpoint_local(int fd, struct ip *ip, uint16_t *port)
{
	union endpoint local = { 0 };
	socklen_t length = sizeof(local);

	if (getsockname(fd, &local.any, &length) != 0)
		local = (union endpoint){ 0 };
	endpoint_read(&local, ip, port);
}

struct span
endpoint_format(const struct ip *ip, uint16_t port,
		char text[ENDPOINT_TEXT_MAX])
{
	bool is_v6 = ip->family == IP_V6;
	char address[IP_TEXT_MAX];
	int n;

	ip_format(ip, address);
	n = snprintf(text, ENDPOINT_TEXT_MAX, "%s%s%s:%u", is_v6 ? "[" : "",
		     address, is_v6 ? "]" : "", (unsigned)port);
	assert(n > 0 && n < ENDPOINT_TEXT_MAX);
	return span_make(text, (size_t)n);
}

bool
endpoint_is_local(const struct ip *ip)
{
	union endpoint address;
	socklen_t length = endpoint_make(&address, ip, 0);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_local = fd >= 0 && bind(fd, &address.any, length) == 0;

	if (fd >= 0)
		close(fd);
	return is_local;
}
