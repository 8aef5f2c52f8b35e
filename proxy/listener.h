/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener: a listening socket.
 *
 * Made by the master, which may bind a port below 1024 and keeps the socket
 * for the workers that follow: as long as one process has it, connections
 * wait in its queue. Sockets are blocking (see ring_accept()); TCP_NODELAY is
 * set here, as accepted sockets take it over.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include "proxy/conf.h"

/* Bind and listen. The descriptor; or -1 and one line in faults, "cannot
 * listen on ADDRESS:PORT: why". */
int listener_open(const struct conf_endpoint *endpoint, struct buf *faults);

/* What it is bound to, with the port that was chosen where 0 was asked for. */
void listener_address(int fd, struct ip *ip, uint16_t *port);

#endif
