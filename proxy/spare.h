/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spare: memory of bufs that are not needed now, for those that are next.
 *
 * Octets on their way out are in a buf of the session, then in one of the
 * connection, until they are sent; while nothing is under way neither has any
 * memory, and most sessions are idle. So it goes from one to the next here, and
 * a worker at work allocates none.
 *
 * Bounded: SPARE_MAX bufs with SPARE_OCTETS_MAX octets in all; what is left
 * beyond that is freed. Without a spare (NULL) all of it is.
 */
#ifndef PROXY_SPARE_H
#define PROXY_SPARE_H

#include "smtp/buf.h"

#define SPARE_MAX 64
#define SPARE_OCTETS_MAX ((size_t)4 << 20)

/* Empty at first. */
struct spare {
	struct buf bufs[SPARE_MAX];
	size_t count;
	size_t octets;
};

void spare_fini(struct spare *spare);

/* Memory for a buf that has none: of whichever was left last, if any. */
void spare_take(struct spare *spare, struct buf *buf);

/* That of a buf which needs none now; what it holds is gone. */
void spare_leave(struct spare *spare, struct buf *buf);

#endif
