/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cryptomem: how much memory OpenSSL holds in this process.
 *
 * An engine of a connection is some 14 to 18 KiB while it is idle, and five
 * times that in the midst of a handshake; a peer that sends a long one, octet
 * by octet, makes it hold more. None of that can be seen from outside OpenSSL,
 * so it allocates through functions that count: what it holds is known, not
 * estimated. What malloc(3) rounds up to and needs for itself is counted too;
 * what lies free between two allocations is not.
 *
 * One number for all engines, not one for each: OpenSSL keeps things between
 * calls, and an engine's share of them is nobody's.
 */
#ifndef PROXY_CRYPTOMEM_H
#define PROXY_CRYPTOMEM_H

#include <stdbool.h>
#include <stddef.h>

/* Count from now on. Before anything else is done with OpenSSL: false if it
 * has allocated already; then it counts as nothing. */
bool cryptomem_count(void);

/* Octets held now. */
size_t cryptomem_held(void);

#endif
