/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxyhdr: the input is what a connection starts with. It is read at every
 * length it can have arrived in; what is read is written, in both versions,
 * and read again.
 */
#include "smtp/proxyhdr.h"

#include "tests/fuzz/pieces.h"

static bool
is_same(const struct proxyhdr *a, const struct proxyhdr *b)
{
	return a->is_local == b->is_local && ip_equal(&a->source, &b->source) &&
	       ip_equal(&a->destination, &b->destination) &&
	       a->source_port == b->source_port &&
	       a->destination_port == b->destination_port;
}

static void
check_written(const struct proxyhdr *hdr, struct buf *buf)
{
	struct span in = buf_span(buf);
	struct proxyhdr again;

	assert(proxyhdr_parse(&in, &again) == PROXYHDR_READY);
	assert(in.n == 0);
	assert(is_same(hdr, &again));
	buf_reset(buf);
}

static void
check_ready(const struct proxyhdr *hdr)
{
	bool is_mixed = hdr->source.family != hdr->destination.family;
	struct buf buf;

	assert(hdr->is_local == (hdr->source.family == IP_NONE));
	assert(hdr->is_local == (hdr->destination.family == IP_NONE));
	buf_init(&buf, PROXYHDR_V2_MAX);
	assert(proxyhdr_format_v1(hdr, &buf) == !is_mixed);
	if (!is_mixed)
		check_written(hdr, &buf);
	assert(proxyhdr_format_v2(hdr, &buf));
	check_written(hdr, &buf);
	buf_fini(&buf);
}

/* Read from the first n octets; true once that says more than "more". */
static bool
read_first(struct span input, size_t n, enum proxyhdr_status *status,
	   struct proxyhdr *hdr, size_t *taken)
{
	uint8_t *copy = exact_copy(span_first(input, n));
	struct span in = span_make(copy, n);

	*status = proxyhdr_parse(&in, hdr);
	*taken = n - in.n;
	assert(*status == PROXYHDR_READY || *taken == 0);
	free(copy);
	return *status != PROXYHDR_MORE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct span whole = span_make(input, n);
	enum proxyhdr_status status, last;
	struct proxyhdr hdr, same;
	size_t taken, taken_last;
	size_t i = 0;

	while (!read_first(whole, i, &status, &hdr, &taken) && i < n)
		i++;
	assert(i <= PROXYHDR_V2_MAX);
	/* More octets do not change it. */
	read_first(whole, n, &last, &same, &taken_last);
	assert(status == last && taken == taken_last);
	if (status != PROXYHDR_READY)
		return 0;
	assert(taken == i && is_same(&hdr, &same));
	check_ready(&hdr);
	return 0;
}
