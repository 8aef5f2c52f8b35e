/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * endpoint: an address and a port as the kernel wants them, and back.
 *
 * Inside the gate an address is a struct ip; a struct sockaddr lives only
 * between these functions and a system call.
 */
#ifndef PROXY_ENDPOINT_H
#define PROXY_ENDPOINT_H

#include "smtp/ip.h"

#include <netinet/in.h>
#include <sys/socket.h>

union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The longest text of one, "[address]:port", and its NUL. */
#define ENDPOINT_TEXT_MAX (IP_TEXT_MAX + 8)

/* Fill in *endpoint; its length for the kernel. ip is IPv4 or IPv6. */
socklen_t endpoint_make(union endpoint *endpoint, const struct ip *ip,
			uint16_t port);

/* What the kernel wrote; another family gives IP_NONE and port 0. */
void endpoint_read(const union endpoint *endpoint, struct ip *ip,
		   uint16_t *port);

/* Our own end of a socket: where it is bound, with the port that was chosen
 * where 0 was asked for. IP_NONE where that is not known. */
void endpoint_local(int fd, struct ip *ip, uint16_t *port);

/* "192.0.2.1:25" or "[2001:db8::1]:25" with a NUL; its span. */
struct span endpoint_format(const struct ip *ip, uint16_t port,
			    char text[ENDPOINT_TEXT_MAX]);

/* Whether it is an address of this machine. */
bool endpoint_is_local(const struct ip *ip);

#endif
