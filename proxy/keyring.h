/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyring: the certificates, keys and CAs of one configuration, ready for use.
 *
 * Read by the master, which may read what workers may not; inherited by the
 * workers as they are forked. A reload reads all of it anew: sessions go on
 * with what they began with, new ones get the new.
 *
 * With it come the keys of session tickets (tickets.h), the same for all
 * listeners: each for two hours for new tickets and as long again for old ones,
 * all workers in step, never on disk. They are the one thing that a reload
 * takes over from the configuration before.
 */
#ifndef PROXY_KEYRING_H
#define PROXY_KEYRING_H

#include "proxy/conf.h"
#include "proxy/tls.h"

struct keyring {
	struct tls_server **servers; /* by listener; NULL: no TLS there */
	size_t server_count;
	struct tls_client **clients; /* by backend; NULL: tls = off */
	size_t client_count;
	struct tickets *tickets;
};

/* False with a line in faults that names the file; keyring_close() is due
 * either way. */
bool keyring_open(struct keyring *keyring, const struct conf *conf,
		  struct buf *faults);
void keyring_close(struct keyring *keyring);

/* Use the keys of tickets that `older` uses: what its sessions were given is
 * good for this one. */
void keyring_adopt(struct keyring *keyring, const struct keyring *older);

/* An engine towards a backend, by one of its addresses, at this ip. The name
 * that its certificate is held against is that of tls-name, else the host name
 * of the address, else the ip. NULL without memory. */
struct tls *keyring_connect(const struct keyring *keyring,
			    const struct conf *conf, size_t backend,
			    size_t address, const struct ip *ip);

#endif
