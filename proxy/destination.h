/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * destination: where an address of a backend leads, for one client.
 *
 * Nothing is connected here; where it leads nowhere, the reason is told apart,
 * and can be logged.
 */
#ifndef PROXY_DESTINATION_H
#define PROXY_DESTINATION_H

#include "proxy/conf.h"

/*
 * The endpoint to connect to: the address as it is, or, where that is the
 * original destination, where the client connected to. 0; or -EDESTADDRREQ
 * where that is not known; or -ELOOP where it is the gate itself, which would
 * call itself without an end.
 */
int destination_find(const struct conf *conf,
		     const struct conf_endpoint *address,
		     const struct ip *local_ip, uint16_t local_port,
		     struct conf_endpoint *endpoint);

/* Say in the event log that it is none to connect to, by what
 * destination_find() gave. client: its address, or NULL where it is gone. */
void destination_refused(const struct ip *client,
			 const struct conf_endpoint *endpoint, int error);

#endif
