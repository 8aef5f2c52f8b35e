/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/canon.h"

#include "smtp/scan.h"

#include <assert.h>

#define CRLF "\r\n"

/* --- header fields --- */

#define FIELD_MAX 512

/* A field as relaxed has it, on its way into a hash. */
struct relaxer {
	struct crypto_hash *hash;
	bool is_value;  /* behind the colon */
	bool has_space; /* white space that may turn out to stand inside */
	bool is_begun;  /* something was put where we are */
	size_t n;
	uint8_t octets[FIELD_MAX + SCAN_ROOM];
};

static void
flush(struct relaxer *relaxer)
{
	crypto_hash_add(relaxer->hash, span_make(relaxer->octets, relaxer->n));
	relaxer->n = 0;
}

static void
put(struct relaxer *relaxer, uint8_t c)
{
	if (relaxer->n == FIELD_MAX)
		flush(relaxer);
	relaxer->octets[relaxer->n++] = c;
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The front of the text, as far as it is of the name. */
static size_t
relax_name(struct relaxer *relaxer, struct span text)
{
	size_t i = 0;

	while (i < text.n && !relaxer->is_value) {
		uint8_t c = text.p[i++];

		if (is_space(c)) {
			relaxer->has_space = true;
			continue;
		}
		if (c == ':') {
			relaxer->is_value = true;
			relaxer->has_space = relaxer->is_begun = false;
		} else {
			if (relaxer->has_space && relaxer->is_begun)
				put(relaxer, ' ');
			relaxer->is_begun = true;
			relaxer->has_space = false;
		}
		put(relaxer, octet_lower(c));
	}
	return i;
}

/* Neither starts nor ends with white space. */
static void
squeeze(struct relaxer *relaxer, struct span text)
{
	while (text.n > 0) {
		size_t n;

		if (relaxer->n == FIELD_MAX)
			flush(relaxer);
		n = FIELD_MAX - relaxer->n;
		if (n > text.n)
			n = text.n;
		relaxer->n += scan_squeeze(relaxer->octets + relaxer->n, text,
					   n, true);
		text = span_after(text, n);
	}
}

/* RFC 6376 3.4.2: names in lower case, unfolded, runs of white space to one
 * space, none at the end or around the colon. */
static void
relax(struct relaxer *relaxer, struct span text)
{
	struct span value = span_after(text, relax_name(relaxer, text));
	size_t end = value.n;

	for (; value.n > 0 && is_space(value.p[0]); end--) {
		value = span_after(value, 1);
		relaxer->has_space = true;
	}
	while (value.n > 0 && is_space(value.p[value.n - 1]))
		value.n--;
	if (value.n == 0)
		return;
	if (relaxer->has_space && relaxer->is_begun)
		put(relaxer, ' ');
	squeeze(relaxer, value);
	relaxer->is_begun = true;
	relaxer->has_space = value.n < end;
}

static struct span
without_end(struct span raw)
{
	assert(raw.n >= 2);
	return span_first(raw, raw.n - 2);
}

/* Two pieces of a field as one, without a line's end. */
static void
hash_pieces(struct crypto_hash *hash, struct span one, struct span other,
	    bool is_relaxed)
{
	struct relaxer relaxer;

	if (!is_relaxed) {
		crypto_hash_add(hash, one);
		crypto_hash_add(hash, other);
		return;
	}
	relaxer.hash = hash;
	relaxer.is_value = relaxer.has_space = relaxer.is_begun = false;
	relaxer.n = 0;
	relax(&relaxer, one);
	relax(&relaxer, other);
	flush(&relaxer);
}

void
canon_field(struct crypto_hash *hash, struct span raw, bool is_relaxed)
{
	hash_pieces(hash, without_end(raw), SPAN_NONE, is_relaxed);
	crypto_hash_add(hash, SPAN_LIT(CRLF));
}

/* Whether a tag, up to its "=", is b. */
static bool
is_b(struct span name)
{
	while (name.n > 0 && is_space(name.p[0]))
		name = span_after(name, 1);
	while (name.n > 0 && is_space(name.p[name.n - 1]))
		name.n--;
	return span_equal(name, SPAN_LIT("b"));
}

void
canon_signature(struct crypto_hash *hash, struct span raw, bool is_relaxed)
{
	struct span field = without_end(raw);
	size_t at = span_find(field, ':');

	while (at < field.n) {
		struct span tag = span_after(field, at + 1);
		size_t end = span_find(tag, ';'), equals;

		equals = span_find(span_first(tag, end), '=');
		if (equals < end && is_b(span_first(tag, equals))) {
			hash_pieces(hash,
				    span_first(field, at + 1 + equals + 1),
				    span_after(tag, end), is_relaxed);
			return;
		}
		at += 1 + end;
	}
	hash_pieces(hash, field, SPAN_NONE, is_relaxed);
}

/* --- bodies --- */

struct wanted {
	struct crypto_hash *hash; /* NULL: ended */
	bool is_relaxed;
	uint64_t length;
	uint64_t left; /* octets that it still takes */
	uint8_t digest[CRYPTO_DIGEST_OCTETS];
};

#define TEXT_MAX 1024
#define TEXT_LONG 512 /* is not worth a copy */

/* One canonicalisation. What stands at the end of what was read so far may
 * turn out to be the end of the body, or of its line, and is held back. */
struct canon {
	bool is_relaxed;
	bool has_space;  /* relaxed: a run of white space */
	bool has_cr;     /* … behind which there is a CR */
	uint64_t lines;  /* and before it, ends of lines */
	uint64_t octets; /* that came out */
	/* Of these, those that wait for more: a call of the hash costs more
	 * than a short stretch. */
	size_t waiting;
	uint8_t *text; /* of TEXT_MAX + SCAN_ROOM; NULL: not used */
};

struct canon_body {
	struct crypto *crypto;
	struct arena *arena;
	size_t count;
	bool is_ended;
	struct canon canon[2]; /* simple, relaxed */
	struct wanted wanted[CANON_BODIES_MAX];
};

struct canon_body *
canon_body_new(struct crypto *crypto, struct arena *arena)
{
	struct canon_body *body = arena_alloc(arena, sizeof(*body));

	if (body == NULL)
		return NULL;
	body->crypto = crypto;
	body->arena = arena;
	body->canon[1].is_relaxed = true;
	return body;
}

static bool
use(struct canon_body *body, struct canon *canon)
{
	if (canon->text == NULL)
		canon->text = arena_alloc(body->arena, TEXT_MAX + SCAN_ROOM);
	return canon->text != NULL;
}

bool
canon_body_want(struct canon_body *body, bool is_relaxed, uint64_t length,
		size_t *index)
{
	struct wanted *wanted;

	for (*index = 0; *index < body->count; ++*index) {
		wanted = &body->wanted[*index];
		if (wanted->is_relaxed == is_relaxed &&
		    wanted->length == length)
			return true;
	}
	if (body->count == CANON_BODIES_MAX)
		return false;
	if (!use(body, &body->canon[is_relaxed]))
		return false;
	wanted = &body->wanted[body->count];
	wanted->hash = crypto_hash_begin(body->crypto);
	if (wanted->hash == NULL)
		return false;
	wanted->is_relaxed = is_relaxed;
	wanted->length = wanted->left = length;
	body->count++;
	return true;
}

static void
hash(struct canon_body *body, const struct canon *canon, struct span octets)
{
	for (size_t i = 0; i < body->count; i++) {
		struct wanted *wanted = &body->wanted[i];
		size_t n = octets.n < wanted->left ? octets.n
						   : (size_t)wanted->left;

		if (wanted->is_relaxed != canon->is_relaxed)
			continue;
		crypto_hash_add(wanted->hash, span_first(octets, n));
		wanted->left -= n;
	}
}

static void
hash_waiting(struct canon_body *body, struct canon *canon)
{
	hash(body, canon, span_make(canon->text, canon->waiting));
	canon->waiting = 0;
}

static void
give(struct canon_body *body, struct canon *canon, struct span octets)
{
	canon->octets += octets.n;
	if (octets.n > TEXT_MAX - canon->waiting)
		hash_waiting(body, canon);
	if (octets.n >= TEXT_LONG) {
		hash_waiting(body, canon);
		hash(body, canon, octets);
		return;
	}
	memcpy(canon->text + canon->waiting, octets.p, octets.n);
	canon->waiting += octets.n;
}

static void
give_lines(struct canon_body *body, struct canon *canon)
{
	static const uint8_t ends[] = CRLF CRLF CRLF CRLF CRLF CRLF CRLF CRLF;
	const uint64_t most = (sizeof(ends) - 1) / 2;

	while (canon->lines > 0) {
		uint64_t n = canon->lines < most ? canon->lines : most;

		give(body, canon, span_make(ends, (size_t)(2 * n)));
		canon->lines -= n;
	}
}

/* Something follows what was held back. */
static void
give_held(struct canon_body *body, struct canon *canon)
{
	give_lines(body, canon);
	if (canon->has_space)
		give(body, canon, SPAN_LIT(" "));
	if (canon->has_cr)
		give(body, canon, SPAN_LIT("\r"));
	canon->has_space = canon->has_cr = false;
}

/* Hold back an octet that may belong to an end. False if it does not. */
static bool
hold(struct canon_body *body, struct canon *canon, uint8_t c)
{
	if (canon->has_cr && c == '\n') {
		canon->has_space = canon->has_cr = false;
		canon->lines++;
		return true;
	}
	if (canon->has_cr) /* it stood alone */
		give_held(body, canon);
	if (c == '\r')
		return canon->has_cr = true;
	if (canon->is_relaxed && (c == ' ' || c == '\t'))
		return canon->has_space = true;
	return false;
}

/* The text without what may be an end: the rest is all to be held back. Its
 * first octet is not. */
static size_t
count_inside(const struct canon *canon, struct span text)
{
	size_t n = text.n;

	if (n > 1 && text.p[n - 1] == '\r')
		n--;
	while (n > 1) {
		if (canon->is_relaxed && octet_is_wsp(text.p[n - 1]))
			n--;
		else if (n > 2 && text.p[n - 1] == '\n' &&
			 text.p[n - 2] == '\r')
			n -= 2;
		else
			break;
	}
	return n;
}

/* The first n octets of the text, behind which an end may follow. What becomes
 * of white space in them does not depend on what comes later. */
static void
give_relaxed(struct canon_body *body, struct canon *canon, struct span text,
	     size_t n)
{
	while (n > 0) {
		size_t taken, given;

		if (canon->waiting > TEXT_MAX - TEXT_LONG)
			hash_waiting(body, canon);
		taken = TEXT_MAX - canon->waiting;
		if (taken > n)
			taken = n;
		given = scan_squeeze(canon->text + canon->waiting, text, taken,
				     false);
		canon->waiting += given;
		canon->octets += given;
		text = span_after(text, taken);
		n -= taken;
	}
}

static void
feed(struct canon_body *body, struct canon *canon, struct span text)
{
	size_t n = 0;

	while (n < text.n && hold(body, canon, text.p[n]))
		n++;
	text = span_after(text, n);
	if (text.n == 0)
		return;
	give_held(body, canon);
	n = count_inside(canon, text);
	if (canon->is_relaxed)
		give_relaxed(body, canon, text, n);
	else
		give(body, canon, span_first(text, n));
	for (; n < text.n; n++)
		hold(body, canon, text.p[n]);
}

void
canon_body_feed(struct canon_body *body, struct span chunk)
{
	assert(!body->is_ended);
	for (size_t i = 0; i < 2; i++)
		if (body->canon[i].text != NULL)
			feed(body, &body->canon[i], chunk);
}

/* RFC 6376 3.4.3, 3.4.4: of the lines at the end that are empty nothing is
 * left; all others end in CR LF. An empty body is one of these to simple. */
static void
end(struct canon_body *body, struct canon *canon)
{
	if (canon->has_cr)
		give_held(body, canon);
	canon->has_space = false;
	canon->lines = 0;
	if (canon->octets > 0 || !canon->is_relaxed)
		give(body, canon, SPAN_LIT(CRLF));
	hash_waiting(body, canon);
}

void
canon_body_end(struct canon_body *body)
{
	if (body->is_ended)
		return;
	body->is_ended = true;
	for (size_t i = 0; i < 2; i++)
		if (body->canon[i].text != NULL)
			end(body, &body->canon[i]);
	for (size_t i = 0; i < body->count; i++) {
		crypto_hash_end(body->crypto, body->wanted[i].hash,
				body->wanted[i].digest);
		body->wanted[i].hash = NULL;
	}
}

const uint8_t *
canon_body_digest(const struct canon_body *body, size_t index)
{
	assert(body->is_ended && index < body->count);
	return body->wanted[index].digest;
}

uint64_t
canon_body_octets(const struct canon_body *body, size_t index)
{
	assert(body->is_ended && index < body->count);
	return body->canon[body->wanted[index].is_relaxed].octets;
}

void
canon_body_free(struct canon_body *body)
{
	if (body == NULL)
		return;
	for (size_t i = 0; i < body->count; i++)
		if (body->wanted[i].hash != NULL)
			crypto_hash_drop(body->crypto, body->wanted[i].hash);
	body->count = 0;
	body->is_ended = true;
}
