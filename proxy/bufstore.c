/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/bufstore.h"

void
bufstore_fini(struct bufstore *store)
{
	while (store->count > 0)
		buf_fini(&store->bufs[--store->count]);
	store->octets = 0;
}

/* Bufs have their limits, which stay with them. */
static void
swap_memory(struct buf *a, struct buf *b)
{
	size_t max = a->max;

	buf_swap(a, b);
	b->max = a->max;
	a->max = max;
	if (a->cap > a->max)
		a->cap = a->max;
}

void
bufstore_take(struct bufstore *store, struct buf *buf)
{
	if (buf->p != NULL || store == NULL || store->count == 0)
		return;
	store->count--;
	store->octets -= store->bufs[store->count].cap;
	swap_memory(buf, &store->bufs[store->count]);
}

void
bufstore_leave(struct bufstore *store, struct buf *buf)
{
	struct buf *kept;

	if (buf->p == NULL)
		return;
	if (store == NULL || store->count == BUFSTORE_MAX ||
	    buf->cap > BUFSTORE_OCTETS_MAX - store->octets) {
		buf_fini(buf);
		return;
	}
	buf_reset(buf);
	store->octets += buf->cap;
	kept = &store->bufs[store->count++];
	buf_init(kept, BUFSTORE_OCTETS_MAX);
	swap_memory(kept, buf);
}
