/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_tls: a TLS client that touches no socket: OpenSSL between two BIOs in
 * memory.
 *
 * Each connection makes a new handshake; nothing is resumed. One version, one
 * cipher suite and one group are offered, so that two servers with the same
 * key have the same work. Certificates are not looked at: what is measured is
 * the server's side.
 */
#ifndef TESTS_BENCH_LOAD_TLS_H
#define TESTS_BENCH_LOAD_TLS_H

#include "smtp/span.h"

struct load_tls;

/* Once, before the first; a failure ends the program. */
void load_tls_prepare(void);
void load_tls_end(void);

/* NULL if memory is short. */
struct load_tls *load_tls_new(void);
void load_tls_free(struct load_tls *tls);

/* What has come from the server. False: not possible. */
bool load_tls_feed(struct load_tls *tls, struct span octets);

enum load_tls_status { LOAD_TLS_MORE, LOAD_TLS_READY, LOAD_TLS_BAD };

/* READY once the handshake is over, MORE while the server has to speak. In
 * both cases there may be octets to send. */
enum load_tls_status load_tls_shake(struct load_tls *tls);

/* Plain octets from what was fed, into room; their number, 0 for now or at the
 * end of the stream, or -1 where it is bad. */
int load_tls_read(struct load_tls *tls, void *room, size_t length);

/* Encrypt some of plain; the number of octets taken, 0 where it is bad. */
size_t load_tls_write(struct load_tls *tls, struct span plain);

/* Take what is to be sent into room; how much it was. */
size_t load_tls_take(struct load_tls *tls, uint8_t *room, size_t length);

/* "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519 EC-256", for as long as tls lives. */
const char *load_tls_name(struct load_tls *tls);

#endif
