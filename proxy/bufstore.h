/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bufstore: memory of bufs that are not needed now, for those that are next.
 *
 * Octets on their way out are in a buf of the session, then in one of the
 * connection, until they are sent; while nothing is under way neither has any
 * memory, and most sessions are idle. So it goes from one to the next here, and
 * a worker at work allocates none.
 *
 * Bounded: BUFSTORE_MAX bufs with BUFSTORE_OCTETS_MAX octets in all; what is
 * left beyond that is freed. Without a store (NULL) all of it is.
 */
#ifndef PROXY_BUFSTORE_H
#define PROXY_BUFSTORE_H

#include "smtp/buf.h"

#define BUFSTORE_MAX 64
#define BUFSTORE_OCTETS_MAX ((size_t)4 << 20)

/* Empty at first. */
struct bufstore {
	struct buf bufs[BUFSTORE_MAX];
	size_t count;
	size_t octets;
};

void bufstore_fini(struct bufstore *store);

/* Memory for a buf that has none: of whichever was left last, if any. */
void bufstore_take(struct bufstore *store, struct buf *buf);

/* That of a buf which needs none now; what it holds is gone. */
void bufstore_leave(struct bufstore *store, struct buf *buf);

#endif
