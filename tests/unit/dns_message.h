/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dns_message: responses of a name server, made octet by octet.
 *
 * For the test of what reads them and for the scripted server that gives
 * them. Names are texts with dots; "." is the root. Counts in the header are
 * raised by what is appended, section by section.
 */
#ifndef TESTS_UNIT_DNS_MESSAGE_H
#define TESTS_UNIT_DNS_MESSAGE_H

#include "dmarc/answers.h"
#include "smtp/buf.h"

#include <assert.h>

enum { DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_OPT = 41 };
enum {
	DNS_QR = 0x8000,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RA = 0x0080,
	DNS_AD = 0x0020
};
enum { DNS_QUESTION, DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

static inline void
dns_u16(struct buf *out, unsigned value)
{
	buf_append_octet(out, (uint8_t)(value >> 8));
	buf_append_octet(out, (uint8_t)value);
}

static inline void
dns_u32(struct buf *out, uint32_t value)
{
	dns_u16(out, value >> 16);
	dns_u16(out, value & 0xffff);
}

static inline void
dns_name(struct buf *out, const char *text)
{
	struct span rest = span_cstr(text);

	while (rest.n > 0 && !span_equal(rest, SPAN_LIT("."))) {
		size_t n = span_find(rest, '.');

		buf_append_octet(out, (uint8_t)n);
		buf_append(out, span_first(rest, n));
		rest = span_after(rest, n < rest.n ? n + 1 : n);
	}
	buf_append_octet(out, 0);
}

static inline void
dns_count(struct buf *out, unsigned section)
{
	uint8_t *count = out->p + out->start + 4 + 2 * section;
	unsigned value = (unsigned)count[0] << 8 | count[1];

	value++;
	count[0] = (uint8_t)(value >> 8);
	count[1] = (uint8_t)value;
}

/* The header and the question. */
static inline void
dns_begin(struct buf *out, unsigned id, unsigned flags, const char *name,
	  unsigned type)
{
	dns_u16(out, id);
	dns_u16(out, flags);
	for (int i = 0; i < 4; i++)
		dns_u16(out, 0);
	dns_name(out, name);
	dns_u16(out, type);
	dns_u16(out, 1);
	dns_count(out, DNS_QUESTION);
}

static inline void
dns_record(struct buf *out, unsigned section, const char *name, unsigned type,
	   uint32_t ttl_s, struct span data)
{
	dns_name(out, name);
	dns_u16(out, type);
	dns_u16(out, 1);
	dns_u32(out, ttl_s);
	dns_u16(out, (unsigned)data.n);
	buf_append(out, data);
	dns_count(out, section);
}

static inline void
dns_a(struct buf *out, const char *name, uint32_t ttl_s, const char *octets)
{
	dns_record(out, DNS_ANSWER, name, DNS_A, ttl_s, span_make(octets, 4));
}

/* A record whose data is a name. */
static inline void
dns_pointer(struct buf *out, unsigned section, const char *name, unsigned type,
	    uint32_t ttl_s, const char *target)
{
	struct buf data;

	buf_init(&data, 300);
	dns_name(&data, target);
	dns_record(out, section, name, type, ttl_s, buf_span(&data));
	buf_fini(&data);
}

/* One TXT record of a single string. */
static inline void
dns_txt(struct buf *out, const char *name, uint32_t ttl_s, const char *text)
{
	struct span octets = span_cstr(text);
	struct buf data;

	assert(octets.n < 256);
	buf_init(&data, 300);
	buf_append_octet(&data, (uint8_t)octets.n);
	buf_append(&data, octets);
	dns_record(out, DNS_ANSWER, name, DNS_TXT, ttl_s, buf_span(&data));
	buf_fini(&data);
}

static inline void
dns_soa(struct buf *out, const char *name, uint32_t ttl_s, uint32_t minimum_s)
{
	struct buf data;

	buf_init(&data, 300);
	dns_name(&data, "ns.example");
	dns_name(&data, "hostmaster.example");
	for (uint32_t i = 1; i <= 4; i++)
		dns_u32(&data, i);
	dns_u32(&data, minimum_s);
	dns_record(out, DNS_AUTHORITY, name, DNS_SOA, ttl_s, buf_span(&data));
	buf_fini(&data);
}

#endif
