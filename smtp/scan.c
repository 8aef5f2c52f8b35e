/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fast ways take 64 octets and make a word of each question, with a bit for
 * each octet: where is CR, where is LF? Neighbours are then compared by a
 * shift, for all of them at once, and no branch depends on where lines end. The
 * ways differ in one function, which answers "where is this octet?".
 *
 * The last octets of a span are copied into a block of their own, filled up
 * with an octet at which the scan would stop.
 *
 * The portable way looks at octets by eights, or at stretches that a compiler
 * may look at at once, and goes one by one where there is something to see. It
 * is no version of the others: a mistake in one would show in the other.
 */
#include "smtp/scan.h"

#include <assert.h>

#if defined(__x86_64__) && !defined(SCAN_NOTHING_BUT_C)
#define HAS_VECTORS
#include <immintrin.h>
#endif

/* --- the portable way --- */

#define EACH_OCTET(value) (UINT64_MAX / 255 * (value))

/* Eight octets as a number, of which the first one is lowest. */
static uint64_t
eight_at(const uint8_t *p)
{
	uint64_t eight;

	memcpy(&eight, p, sizeof(eight));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	eight = __builtin_bswap64(eight);
#endif
	return eight;
}

/* Octets at the start of s before the first one below 14. CR, LF and NUL are;
 * of what is common in text only HTAB is. */
static size_t
plain_length(struct span s)
{
	size_t i = 0;

	for (; s.n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
		uint64_t eight = eight_at(s.p + i);
		/* An octet's top bit is set by the subtraction and was not
		 * before: it is below 14, or one before it is. */
		uint64_t low = (eight - EACH_OCTET('\r' + 1)) & ~eight &
			       EACH_OCTET(0x80);

		if (low != 0)
			return i + (unsigned)__builtin_ctzll(low) / 8;
	}
	while (i < s.n && s.p[i] > '\r')
		i++;
	return i;
}

static size_t
lines_portably(struct span s, bool is_line_start, bool are_dots_plain)
{
	size_t i = 0;

	while (i < s.n) {
		uint8_t c = s.p[i];

		if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') {
			i += 2;
			is_line_start = true;
			continue;
		}
		if (c == '\r' || c == '\n' || c == '\0' ||
		    (c == '.' && is_line_start && !are_dots_plain))
			break;
		is_line_start = false;
		i++;
		i += plain_length(span_after(s, i));
	}
	return i;
}

static bool
is_white(uint8_t c, bool in_field)
{
	return octet_is_wsp(c) || (in_field && (c == '\r' || c == '\n'));
}

/* Whether nothing is left of the white space before the octet at i. */
static bool
swallows(struct span s, size_t i, bool in_field)
{
	if (i >= s.n)
		return false;
	return is_white(s.p[i], in_field) ||
	       (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n');
}

/* Of 16 octets, and one more: is there white space that may have to change?
 * Each is looked at by itself, so that a compiler may look at all at once. */
#define STRETCH 16
static bool
has_odd_space(const uint8_t *p)
{
	uint8_t is_odd = 0;

	for (size_t i = 0; i < STRETCH; i++)
		is_odd |= (uint8_t)((p[i] == '\t') |
				    ((p[i] == ' ') &
				     ((p[i + 1] == ' ') | (p[i + 1] == '\t') |
				      (p[i + 1] == '\r'))));
	return is_odd != 0;
}

static size_t
squeeze_portably(uint8_t *to, struct span s, size_t n, bool in_field)
{
	const uint8_t *first = to;
	size_t i = 0;

	while (i < n) {
		size_t end = n - i < STRETCH ? n : i + STRETCH;

		if (!in_field && i + STRETCH < n && !has_odd_space(s.p + i)) {
			memcpy(to, s.p + i, STRETCH);
			to += STRETCH;
			i += STRETCH;
			continue;
		}
		while (i < end) {
			uint8_t c = s.p[i++];

			if (!is_white(c, in_field)) {
				*to++ = c;
				continue;
			}
			while (i < n && is_white(s.p[i], in_field))
				i++;
			if (!swallows(s, i, in_field))
				*to++ = ' ';
		}
	}
	return (size_t)(to - first);
}

#ifdef HAS_VECTORS

/* --- the fast ways --- */

#define BLOCK 64
#define STRIDE 16 /* octets that are copied at once */
#define INLINE static inline __attribute__((always_inline))

/* A word of which bit i tells whether p[i] is c, for a block at p. */
typedef uint64_t where_is(const uint8_t *p, uint8_t c);

/* A block that is not in a span as it is, and what may be read behind it. */
struct made {
	uint8_t octets[BLOCK + STRIDE];
};

INLINE void
make(struct made *made, struct span s, uint8_t rest)
{
	memset(made->octets, rest, sizeof(made->octets));
	memcpy(made->octets, s.p, s.n);
}

INLINE unsigned
first_bit(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}

/* Of the bits, how many are below bit i. */
INLINE unsigned
count_below(uint64_t bits, unsigned i)
{
	bits &= ((uint64_t)1 << i) - 1;
	return (unsigned)__builtin_popcountll(bits);
}

INLINE size_t
lines_by(where_is *where, struct span s, bool is_line_start,
	 bool are_dots_plain)
{
	uint64_t was_cr = 0, was_start = is_line_start;
	struct made made;

	for (size_t at = 0; at < s.n; at += BLOCK) {
		const uint8_t *p = s.p + at;
		uint64_t cr, lf, behind_cr, lonely, stops;

		if (s.n - at < BLOCK) {
			make(&made, span_after(s, at), '\0');
			p = made.octets;
		}
		cr = where(p, '\r');
		lf = where(p, '\n');
		behind_cr = cr << 1 | was_cr;
		/* A LF that has no CR, or what follows a CR that has no LF. */
		lonely = behind_cr ^ lf;
		stops = lonely | where(p, '\0');
		if (!are_dots_plain)
			stops |= where(p, '.') & (lf << 1 | was_start);
		if (stops != 0) {
			unsigned i = first_bit(stops);

			return at + i - ((lonely & behind_cr) >> i & 1);
		}
		was_cr = cr >> (BLOCK - 1);
		was_start = lf >> (BLOCK - 1);
	}
	return s.n - was_cr;
}

/* White space of a block: what goes, and what stays but is not SP yet. */
struct spaces {
	uint64_t going, changing;
};

INLINE struct spaces
find_spaces(where_is *where, const uint8_t *p, bool in_field)
{
	const uint64_t last = (uint64_t)1 << (BLOCK - 1);
	uint64_t cr = where(p, '\r'), lf = where(p, '\n'), white, follows;
	struct spaces spaces = { .changing = where(p, '\t') };

	if (in_field)
		spaces.changing |= cr | lf;
	white = spaces.changing | where(p, ' ');
	cr &= lf >> 1 | (p[BLOCK] == '\n' ? last : 0); /* of line ends */
	follows = (white | cr) >> 1;
	if (is_white(p[BLOCK], in_field) ||
	    (p[BLOCK] == '\r' && p[BLOCK + 1] == '\n'))
		follows |= last;
	spaces.going = white & follows;
	spaces.changing &= ~follows;
	return spaces;
}

/* Copies what stays of a block, for which there is a bit, and gives what is
 * behind the copy. What it writes there is to be written over. */
typedef uint8_t *copy_staying(uint8_t *to, const uint8_t *block,
			      uint64_t staying);

/* Run by run, in strides of which the last one may be too long. */
INLINE uint8_t *
copy_runs(uint8_t *to, const uint8_t *block, uint64_t staying)
{
	while (staying != 0) {
		unsigned from = first_bit(staying);
		uint64_t going = ~(staying >> from);
		unsigned n = going == 0 ? BLOCK : first_bit(going);

		for (unsigned i = 0; i < n; i += STRIDE)
			memcpy(to + i, block + from + i, STRIDE);
		to += n;
		staying &= from + n < BLOCK ? UINT64_MAX << (from + n) : 0;
	}
	return to;
}

INLINE size_t
squeeze_by(where_is *where, copy_staying *copy, uint8_t *to, struct span s,
	   size_t n, bool in_field)
{
	const uint8_t *first = to;
	struct made made;

	for (size_t at = 0; at < n; at += BLOCK) {
		struct span rest = span_after(s, at);
		struct spaces spaces;
		uint64_t staying;
		uint8_t *end;

		if (rest.n < sizeof(made.octets)) {
			make(&made, rest, '\0');
			rest.p = made.octets;
		}
		spaces = find_spaces(where, rest.p, in_field);
		staying = ~spaces.going;
		if (n - at < BLOCK)
			staying &= ~(UINT64_MAX << (n - at));
		end = to + BLOCK;
		if (staying == UINT64_MAX)
			memcpy(to, rest.p, BLOCK);
		else
			end = copy(to, rest.p, staying);
		for (uint64_t left = spaces.changing; left != 0;
		     left &= left - 1)
			to[count_below(staying, first_bit(left))] = ' ';
		to = end;
	}
	return (size_t)(to - first);
}

INLINE uint64_t
where_sse2(const uint8_t *p, uint8_t c)
{
	const __m128i wanted = _mm_set1_epi8((char)c);
	uint64_t bits = 0;

	for (unsigned i = 0; i < BLOCK; i += sizeof(wanted)) {
		__m128i some = _mm_loadu_si128((const void *)(p + i));
		int found = _mm_movemask_epi8(_mm_cmpeq_epi8(some, wanted));

		bits |= (uint64_t)(uint32_t)found << i;
	}
	return bits;
}

static size_t
lines_sse2(struct span s, bool is_line_start, bool are_dots_plain)
{
	return lines_by(where_sse2, s, is_line_start, are_dots_plain);
}

static size_t
squeeze_sse2(uint8_t *to, struct span s, size_t n, bool in_field)
{
	return squeeze_by(where_sse2, copy_runs, to, s, n, in_field);
}

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

AVX2 INLINE uint64_t
where_avx2(const uint8_t *p, uint8_t c)
{
	const __m256i wanted = _mm256_set1_epi8((char)c);
	uint64_t bits = 0;

	for (unsigned i = 0; i < BLOCK; i += sizeof(wanted)) {
		__m256i some = _mm256_loadu_si256((const void *)(p + i));
		int found =
			_mm256_movemask_epi8(_mm256_cmpeq_epi8(some, wanted));

		bits |= (uint64_t)(uint32_t)found << i;
	}
	return bits;
}

/* For each set of eight octets, which of them stay: their numbers, the first
 * one lowest. */
#define BELOW(set, i) __builtin_popcount((set) & ((1u << (i)) - 1))
#define PLACE(set, i) \
	((uint64_t)((set) >> (i)&1 ? (i) : 0) << 8 * BELOW(set, i))
#define ORDER(set)                                                       \
	(PLACE(set, 0) | PLACE(set, 1) | PLACE(set, 2) | PLACE(set, 3) | \
	 PLACE(set, 4) | PLACE(set, 5) | PLACE(set, 6) | PLACE(set, 7))
#define ORDER4(set) \
	ORDER(set), ORDER((set) + 1), ORDER((set) + 2), ORDER((set) + 3)
#define ORDER16(set) \
	ORDER4(set), ORDER4((set) + 4), ORDER4((set) + 8), ORDER4((set) + 12)
#define ORDER64(set)                                            \
	ORDER16(set), ORDER16((set) + 16), ORDER16((set) + 32), \
		ORDER16((set) + 48)
static const uint64_t orders[256] = { ORDER64(0u), ORDER64(64u), ORDER64(128u),
				      ORDER64(192u) };

/* Eight octets at a time, whatever stays of them: no branch depends on it, as
 * it does with runs. (PEXT needs no table, but is far slower than this where it
 * is microcode.) */
AVX2 INLINE uint8_t *
copy_octets(uint8_t *to, const uint8_t *block, uint64_t staying)
{
	for (unsigned i = 0; i < BLOCK; i += 8) {
		unsigned set = staying >> i & 255;
		__m128i order = _mm_loadl_epi64((const void *)&orders[set]);
		__m128i some = _mm_loadl_epi64((const void *)(block + i));

		_mm_storel_epi64((void *)to, _mm_shuffle_epi8(some, order));
		to += __builtin_popcount(set);
	}
	return to;
}

AVX2 static size_t
lines_avx2(struct span s, bool is_line_start, bool are_dots_plain)
{
	return lines_by(where_avx2, s, is_line_start, are_dots_plain);
}

AVX2 static size_t
squeeze_avx2(uint8_t *to, struct span s, size_t n, bool in_field)
{
	return squeeze_by(where_avx2, copy_octets, to, s, n, in_field);
}

#endif

/* --- which way --- */

static const struct {
	size_t (*lines)(struct span s, bool is_line_start, bool are_dots_plain);
	size_t (*squeeze)(uint8_t *to, struct span s, size_t n, bool in_field);
} ways[] = {
	[SCAN_PORTABLE] = { lines_portably, squeeze_portably },
#ifdef HAS_VECTORS
	[SCAN_SSE2] = { lines_sse2, squeeze_sse2 },
	[SCAN_AVX2] = { lines_avx2, squeeze_avx2 },
#endif
};

/* The only state here, and no answer depends on it. */
static enum scan_way scan_wanted;

static bool
can_go(enum scan_way way)
{
#ifdef HAS_VECTORS
	if (way == SCAN_AVX2)
		return __builtin_cpu_supports("avx2") &&
		       __builtin_cpu_supports("bmi") &&
		       __builtin_cpu_supports("popcnt");
#endif
	return way < sizeof(ways) / sizeof(ways[0]);
}

bool
scan_use(enum scan_way way)
{
	if (!can_go(way))
		return false;
	scan_wanted = way;
	return true;
}

static enum scan_way
way_now(void)
{
	if (scan_wanted != SCAN_FASTEST)
		return scan_wanted;
	if (can_go(SCAN_AVX2))
		return SCAN_AVX2;
	return can_go(SCAN_SSE2) ? SCAN_SSE2 : SCAN_PORTABLE;
}

size_t
scan_lines(struct span s, bool is_line_start, bool are_dots_plain)
{
	return ways[way_now()].lines(s, is_line_start, are_dots_plain);
}

size_t
scan_squeeze(uint8_t *to, struct span s, size_t n, bool in_field)
{
	assert(n <= s.n);
	return ways[way_now()].squeeze(to, s, n, in_field);
}
