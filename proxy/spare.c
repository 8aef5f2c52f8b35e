/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/spare.h"

void
spare_fini(struct spare *spare)
{
	while (spare->count > 0)
		buf_fini(&spare->bufs[--spare->count]);
	spare->octets = 0;
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
spare_take(struct spare *spare, struct buf *buf)
{
	if (buf->p != NULL || spare == NULL || spare->count == 0)
		return;
	spare->count--;
	spare->octets -= spare->bufs[spare->count].cap;
	swap_memory(buf, &spare->bufs[spare->count]);
}

void
spare_leave(struct spare *spare, struct buf *buf)
{
	struct buf *kept;

	if (buf->p == NULL)
		return;
	if (spare == NULL || spare->count == SPARE_MAX ||
	    buf->cap > SPARE_OCTETS_MAX - spare->octets) {
		buf_fini(buf);
		return;
	}
	buf_reset(buf);
	spare->octets += buf->cap;
	kept = &spare->bufs[spare->count++];
	buf_init(kept, SPARE_OCTETS_MAX);
	swap_memory(kept, buf);
}
