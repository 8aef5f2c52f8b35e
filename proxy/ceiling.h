/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ceiling: what the sessions of a worker hold, against what they may.
 *
 * Each driver says what it holds whenever something happened to it; what
 * OpenSSL holds comes on top, for whatever connection of this worker's. Both
 * together may come to memory; from there until an eighth of it is free again
 * memory is full, which doors and sessions look at.
 */
#ifndef PROXY_CEILING_H
#define PROXY_CEILING_H

#include "proxy/driver.h"

/* A driver holds so many octets now, in place of those before. */
void ceiling_weigh(struct drivers *drivers, size_t before, size_t now);

#endif
