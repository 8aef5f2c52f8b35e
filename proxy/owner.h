/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * owner: from a struct embedded in another back to the one around it.
 *
 * Ring operations, timers and waiting questions are embedded in what they
 * belong to: starting one allocates nothing and cannot fail for memory. Their
 * callbacks get the embedded struct; OWNER() gives what owns it.
 */
#ifndef PROXY_OWNER_H
#define PROXY_OWNER_H

#include <stddef.h>

#define OWNER(pointer, type, member)                                \
	((type *)(void *)((char *)(1 ? (pointer)                    \
				     : &((type *)(NULL))->member) - \
			  offsetof(type, member)))

#endif
