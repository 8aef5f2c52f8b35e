/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certificates: a CA and what it has signed, made anew by openssl(1) in a
 * folder, so that no key is ever kept with the sources.
 */
#ifndef TESTS_UNIT_CERTIFICATES_H
#define TESTS_UNIT_CERTIFICATES_H

#include "proxy/tls.h"

#define CERTIFICATES_PATH_SIZE 256

struct certificates {
	char folder[64];
};

/* The folder with ca.pem; fails the test without openssl(1). */
void certificates_make(struct certificates *certificates);
void certificates_remove(struct certificates *certificates);

/* NAME.pem and NAME.key, for this name (of a host, or of a client), signed by
 * the CA. */
void certificates_issue(const struct certificates *certificates,
			const char *name);

/* Keys that cannot be used: encrypted.key, the one of this name under the
 * passphrase "secret"; rsa.key, of another kind than all the others. */
void certificates_odd_keys(const struct certificates *certificates,
			   const char *name);

/* A server that has issued certificates of these names, the first of them for
 * who asks for none. */
struct tls_server *certificates_server(const struct certificates *certificates,
				       const char *const *names, size_t count,
				       enum tls_version version_min);

/* The path of a file in the folder, in a buffer of the caller's. */
struct span certificates_path(const struct certificates *certificates,
			      const char *name, const char *suffix,
			      char path[CERTIFICATES_PATH_SIZE]);

#endif
