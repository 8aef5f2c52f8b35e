/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/body.h"

#include <assert.h>

/* What a driver may deliver after a write was started, before it notices. */
#define BODY_SLACK (256u * 1024)

/* Memory kept from one mail to the next: those share it (see proxy/stock.h). */
#define BODY_KEPT (1280u * 1024)

/* Beyond its bound, while there is not enough of it. */
#define BODY_SPARE (64u * 1024)

void
body_init(struct body *body, size_t memory_max)
{
	*body = (struct body){ .memory_max = memory_max };
	buf_init(&body->memory, memory_max + BODY_SLACK);
}

void
body_bound(struct body *body, size_t memory_max)
{
	body->memory_max = memory_max;
}

void
body_fini(struct body *body)
{
	buf_fini(&body->memory);
}

static void
give_back(struct body *body)
{
	size_t max = body->memory.max;

	buf_fini(&body->memory);
	buf_init(&body->memory, max);
}

void
body_reset(struct body *body)
{
	/* Somebody still reads the memory. That happens only when the session
	 * is over, and its owner frees it when the write has ended. */
	if (body->writing > 0)
		return;
	if (body->memory.cap > BODY_KEPT)
		give_back(body);
	buf_reset(&body->memory);
	body->in_file = 0;
	body->writing = 0;
}

bool
body_append(struct body *body, struct span octets)
{
	assert(body->writing == 0);
	return buf_append(&body->memory, octets);
}

struct span
body_write(struct body *body, uint64_t *offset)
{
	assert(body->writing == 0 && body->memory.n > 0);
	body->writing = body->memory.n;
	*offset = body->in_file;
	return buf_span(&body->memory);
}

void
body_written(struct body *body)
{
	assert(body->writing > 0);
	body->in_file += body->writing;
	buf_consume(&body->memory, body->writing);
	body->writing = 0;
	/* Far more than it will need: its bound was lowered. */
	if (body->memory.n == 0 &&
	    body->memory.cap > 2 * (body->memory_max + BODY_SPARE))
		give_back(body);
}

struct span
body_in_memory(const struct body *body, uint64_t offset)
{
	if (offset < body->in_file || offset >= body_size(body))
		return SPAN_NONE;
	return span_after(buf_span(&body->memory),
			  (size_t)(offset - body->in_file));
}
