/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span: borrowed octets, by value.
 *
 * A span is a pointer and a length; it owns nothing and is never longer than
 * what it points at. It is not a C string: it may hold NUL and has no end
 * mark, so no str* function is ever used on one. The empty span may have a
 * null pointer. Who made the span says how long its octets live.
 *
 * Pure: nothing here allocates, fails or keeps state.
 */
#ifndef SMTP_SPAN_H
#define SMTP_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t n;
};

#define SPAN_NONE ((struct span){ NULL, 0 })

/* A span over a string literal, without its final NUL. */
#define SPAN_LIT(text) \
	((struct span){ (const uint8_t *)("" text), sizeof("" text) - 1 })

static inline struct span
span_make(const void *p, size_t n)
{
	return (struct span){ p, n };
}

/* Over a C string of our own; NULL gives the empty span. */
static inline struct span
span_cstr(const char *s)
{
	return s == NULL ? SPAN_NONE : span_make(s, strlen(s));
}

/* What is left of s after its first n octets; n is at most s.n. */
static inline struct span
span_after(struct span s, size_t n)
{
	return s.p == NULL ? s : span_make(s.p + n, s.n - n);
}

/* The first n octets of s; n is at most s.n. */
static inline struct span
span_first(struct span s, size_t n)
{
	return span_make(s.p, n);
}

static inline bool
span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline uint8_t
octet_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static inline bool
octet_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline bool
octet_is_alpha(uint8_t c)
{
	return octet_lower(c) >= 'a' && octet_lower(c) <= 'z';
}

/* SP or HTAB, the WSP of RFC 5234. */
static inline bool
octet_is_wsp(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Equal but for the case of ASCII letters. */
static inline bool
span_equal_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (octet_lower(a.p[i]) != octet_lower(b.p[i]))
			return false;
	return true;
}

static inline bool
span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_equal(span_first(s, prefix.n), prefix);
}

static inline bool
span_starts_nocase(struct span s, struct span prefix)
{
	return s.n >= prefix.n &&
	       span_equal_nocase(span_first(s, prefix.n), prefix);
}

/* Index of the first octet c in s, or s.n where there is none. */
static inline size_t
span_find(struct span s, uint8_t c)
{
	const uint8_t *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return at == NULL ? s.n : (size_t)(at - s.p);
}

/* s without WSP at either end. */
static inline struct span
span_trim(struct span s)
{
	while (s.n > 0 && octet_is_wsp(s.p[0]))
		s = span_after(s, 1);
	while (s.n > 0 && octet_is_wsp(s.p[s.n - 1]))
		s.n--;
	return s;
}

/*
 * The whole of s as a decimal number: digits only, at least one, no overflow.
 * False otherwise, and *value is untouched.
 */
static inline bool
span_u64(struct span s, uint64_t *value)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!octet_is_digit(s.p[i]))
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*value = v;
	return true;
}

/* The next word of *text, which is moved behind it; empty at the end. */
static inline struct span
span_word(struct span *text)
{
	struct span word = span_trim(*text);
	size_t n = 0;

	while (n < word.n && !octet_is_wsp(word.p[n]))
		n++;
	*text = span_after(word, n);
	return span_first(word, n);
}

#endif
