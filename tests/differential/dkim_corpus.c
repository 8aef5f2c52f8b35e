/* SPDX-License-Identifier: BSD-2-Clause */
/* dkim_corpus: signed messages by dice. */
#include "tests/differential/dkim_corpus.h"

#include "tests/differential/dkim_signer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX ((size_t)4 << 20)
#define RECORD_MAX 8192

struct maker {
	struct dkim_case *made;
	struct dice dice;
	struct buf header, body;
};

void
dkim_case_init(struct dkim_case *made)
{
	*made = (struct dkim_case){ .keys = 0 };
	buf_init(&made->octets, MESSAGE_MAX);
	for (size_t i = 0; i < DKIM_CASE_KEYS; i++)
		buf_init(&made->key[i].record, RECORD_MAX);
}

void
dkim_case_fini(struct dkim_case *made)
{
	buf_fini(&made->octets);
	for (size_t i = 0; i < DKIM_CASE_KEYS; i++)
		buf_fini(&made->key[i].record);
}

static void
write_text(struct buf *out, const char *text)
{
	buf_append(out, span_cstr(text));
}

/* --- the message -------------------------------------------------------- */

static const char *const fields[] = {
	"To: Bob <bob@receiver.example>",
	"Cc: a@receiver.example,\r\n b@receiver.example",
	"Date: Thu, 1 Jan 2026 00:00:00 +0000",
	"Message-ID: <1@signer.example>",
	"MIME-Version: 1.0",
	"Content-Type: text/plain;\r\n\tcharset=utf-8",
	"Received: from a.example by b.example; Thu, 1 Jan 2026 00:00:00 +0000",
	"Received: from c.example\r\n\tby d.example\r\n\t; Thu, 1 Jan 2026",
	"List-Id: <list.example>",
	"X-Empty:",
	"X-Space: ",
	"X-Tabs:\ta\t\tb \t",
	"X-Fold:\r\n folded",
	"X-Blank: a\r\n \r\n b",
	"X-Eight: \xc3\xbc\xff",
	"Reply-To: alice@signer.example  ",
	"x-lower-CASE: Value",
	"X-Colons: a:b: c",
	"In-Reply-To : <2@signer.example>",
	"X-Obs \t: obsolete",
	"Comments: (a \"comment\") = ; tag=value",
	"Received: by e.example",
};

static void
write_field(struct maker *maker, const char *text)
{
	write_text(&maker->header, text);
	write_text(&maker->header, "\r\n");
}

static void
make_header(struct maker *maker)
{
	static const char *const froms[] = {
		"From: Alice <alice@signer.example>",
		"From: alice@signer.example",
		"from:  \"A, B\"\r\n\t<alice@signer.example>",
		"From : alice@signer.example",
	};
	size_t count = dice_below(&maker->dice, 8);

	for (size_t i = 0; i < count; i++)
		write_field(maker, DICE_PICK(&maker->dice, fields));
	write_field(maker, DICE_PICK(&maker->dice, froms));
	write_field(maker, dice_once_in(&maker->dice, 2)
				   ? "Subject: a  subject"
				   : "Subject: folded\r\n  subject\t ");
	count = dice_below(&maker->dice, 4);
	for (size_t i = 0; i < count; i++)
		write_field(maker, DICE_PICK(&maker->dice, fields));
	if (!dice_once_in(&maker->dice, 200))
		return;
	for (size_t i = 0; i < 300; i++) { /* over 256 KiB */
		write_text(&maker->header, "X-Large: ");
		for (size_t k = 0; k < 900; k++)
			buf_append_octet(&maker->header, 'x');
		write_field(maker, "");
	}
}

static void
make_body(struct maker *maker)
{
	static const char *const lines[] = {
		"",
		"",
		"text",
		" leading",
		"a  b",
		"\t",
		"trailing \t",
		"  ",
		".",
		"..",
		"\xe4\xff eight",
		"-- ",
		"a\tb",
		"a \t b",
		"From here",
		"=3D",
		("a line that is somewhat longer than the others are, to fill "
		 "up a buffer of some size here or there"),
	};
	size_t count = dice_below(&maker->dice, 12);

	if (dice_once_in(&maker->dice, 12))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		write_text(&maker->body, DICE_PICK(&maker->dice, lines));
		if (i + 1 < count || !dice_once_in(&maker->dice, 15))
			write_text(&maker->body, "\r\n");
	}
	if (dice_once_in(&maker->dice, 60))
		write_text(&maker->body, "bare\rCR and\nLF\r\r\n");
	if (dice_once_in(&maker->dice, 200))
		for (size_t i = 0; i < 70000; i++)
			buf_append_octet(&maker->body, 'x');
}

/* --- signatures --------------------------------------------------------- */

static const char *const lists[] = {
	"From:Subject",
	"from:to:subject:date:message-id",
	"From:From:Subject:Subject:To:Date",
	"From:Received:Received:Subject",
	"Subject:From:X-Missing",
	"From:X-Fold:X-Blank:X-Tabs:X-Empty:X-Space:X-Eight:Subject",
	"From:In-Reply-To:X-Obs:Subject",
	"From:DKIM-Signature:Subject",
	"From:Received:Received:Received:Received:To:Cc:Subject",
	("From:Comments:X-Colons:x-lower-case:Reply-To:Subject:MIME-Version:"
	 "Content-Type:List-Id"),
	"Subject:From:Subject",
};

static const char *const extras[] = {
	"",
	"",
	"",
	"",
	"; t=1799999000",
	"; t=1799999000; x=1900000000",
	"; i=@signer.example",
	"; i=alice@signer.example",
	"; i=al=69ce@sub.signer.example",
	"; q=dns/txt",
	"; z=From:alice@signer.example|Subject:x",
	"; n=note",
};

/* What no verifier should pass, or not each. */
static const char *const bad_extras[] = {
	"; t=1900000000",
	"; x=1700000000",
	"; t=1799999000; x=1799998000",
	"; t=a",
	"; x=99999999999999",
	"; i=@other.example",
	"; i=alice",
	"; i=",
	"; q=http",
	"; q=dns/txt:http",
	"; q=dns",
	"; t=1; t=2",
	"; v=1",
	";",
	"; =",
	"; l=1a",
	"; l=-1",
	"; unknown=\r\n folded",
	"; i=\xc3\xbc@signer.example",
	"; x=0",
	"; t=",
	"; x=1799999999",
	"; l=",
	"; i=%20@signer.example",
	"; i=\"a@b\"@signer.example",
	"; i==@signer.example",
	"; u",
};

static void
choose_signature(struct maker *maker, struct signer_signature *signature)
{
	static const char *const folds[] = { " ", "", "\r\n\t", "\r\n ",
					     " \t" };
	static const char *const domains[] = { "SIGNER.example",
					       "signer.example." };
	static const enum signer_key keys[] = {
		SIGNER_RSA_1024, SIGNER_RSA_1024, SIGNER_ED25519,
		SIGNER_ED25519,  SIGNER_RSA_2048,
	};
	struct dice *dice = &maker->dice;

	*signature = (struct signer_signature){
		.key = DICE_PICK(dice, keys),
		.is_header_relaxed = !dice_once_in(dice, 2),
		.is_body_relaxed = !dice_once_in(dice, 2),
		.names = DICE_PICK(dice, lists),
		.tags = DICE_PICK(dice, extras),
		.d = dice_once_in(dice, 20) ? DICE_PICK(dice, domains)
					    : "signer.example",
		.s = dice_once_in(dice, 20) ? "a.b" : "sel",
		.fold = DICE_PICK(dice, folds),
		.has_length = dice_once_in(dice, 8),
	};
	signature->length = dice_below(dice, 60);
}

/* Something that a signer should not do. */
static void
spoil_signature(struct maker *maker, struct signer_signature *signature)
{
	static const char *const bad_lists[] = {
		"Subject",       "From:",         ":From", "From::Subject",
		"From:Sub ject", "From:\xc3\xbc", "",      "Subject:To",
		"From:Subject:",
	};

	switch (dice_below(&maker->dice, 5)) {
	case 0:
		signature->key = SIGNER_RSA_768;
		snprintf(maker->made->broken, 100, "a key of 768 bits");
		return;
	case 1:
		signature->is_sha1 = true;
		snprintf(maker->made->broken, 100, "rsa-sha1");
		return;
	case 2:
		signature->names = DICE_PICK(&maker->dice, bad_lists);
		snprintf(maker->made->broken, 100, "h=%s", signature->names);
		return;
	default:
		signature->tags = DICE_PICK(&maker->dice, bad_extras);
		snprintf(maker->made->broken, 100, "tags %s", signature->tags);
		return;
	}
}

static void
write_key(struct maker *maker, enum signer_key key, struct buf *record)
{
	static const char *const before[] = {
		"v=DKIM1; ",          "",
		"v=DKIM1;",           "v=DKIM1; h=sha256; ",
		"v=DKIM1; s=email; ", "v=DKIM1; s=*; ",
		"v=DKIM1; t=y; ",     "v=DKIM1; n=note; ",
		"h=sha1:sha256; ",    " v=DKIM1 ; ",
		"v=DKIM1; g=*; ",     "v=DKIM1; x=y; ",
	};
	static const char *const bad[] = {
		"v=DKIM2; ",
		"v=DKIM1; h=sha1; ",
		"s=other; ",
		"v=dkim1; ",
		"v=DKIM1; t=s; ",
		"v=DKIM1; k=dsa; ",
		"h=; ",
		"s=; ",
		"k=; ",
		"g=bob; ",
		"g=; ",
		"t=s:y; ",
		"x=1; v=DKIM1; ",
		"v=; ",
		"k=RSA; ",
		"h=SHA256; ",
		"v=DKIM1; p=; ",
		"n=\xc3\xbc; ",
		"v=DKIM1; v=DKIM1; ",
		"; ",
		"n; ",
		"s=tlsrpt:email; ",
		"t=y : s; ",
		"k=rsa; ",
		"k=ed25519; ",
	};
	bool is_bare = key != SIGNER_ED25519 && dice_once_in(&maker->dice, 100);
	const char *text =
		is_bare ? signer_bare_public(key) : signer_public(key);
	size_t n = strlen(text), half = n / 2;
	bool is_bad = dice_once_in(&maker->dice, 12);
	const char *start = is_bad ? DICE_PICK(&maker->dice, bad)
				   : DICE_PICK(&maker->dice, before);

	write_text(record, start);
	if (is_bad)
		snprintf(maker->made->broken, 100, "key record: %s", start);
	if (key == SIGNER_ED25519 || dice_once_in(&maker->dice, 2))
		write_text(record,
			   key == SIGNER_ED25519 ? "k=ed25519; " : "k=rsa; ");
	write_text(record, "p=");
	buf_append(record, span_make(text, half));
	if (dice_once_in(&maker->dice, 8))
		write_text(record, " ");
	buf_append(record, span_make(text + half, n - half));
	if (dice_once_in(&maker->dice, 8))
		write_text(record, ";");
	if (dice_once_in(&maker->dice, 150)) {
		write_text(record, record->p[record->n - 1] == ';'
					   ? " filler="
					   : "; filler=");
		for (size_t i = 0; i < 1200; i++)
			buf_append_octet(record, 'n');
	}
}

static void
add_key(struct maker *maker, const struct signer_signature *signature)
{
	struct dkim_case *made = maker->made;
	size_t i = made->keys++;

	snprintf(made->key[i].name, sizeof(made->key[i].name),
		 "%s._domainkey.signer.example", signature->s);
	buf_reset(&made->key[i].record);
	made->key[i].records = 1;
	made->key[i].status = ANSWER_OK;
	write_key(maker, signature->key, &made->key[i].record);
	if (!dice_once_in(&maker->dice, 40))
		return;
	switch (dice_below(&maker->dice, 4)) {
	case 0:
		made->key[i].status = ANSWER_TEMPERROR;
		break;
	case 1:
		made->key[i].status = ANSWER_NXDOMAIN;
		break;
	case 2:
		made->key[i].status = ANSWER_NODATA;
		break;
	default:
		made->key[i].records = 2;
		break;
	}
	snprintf(made->broken, sizeof(made->broken), "no key, or two");
}

/* One signature, or several, each with a selector of its own. */
static void
sign(struct maker *maker)
{
	static const char *const selectors[] = { "sel", "sel2", "sel3" };
	size_t count = 1;

	while (count < 3 && dice_once_in(&maker->dice, 6))
		count++;
	for (size_t i = 0; i < count; i++) {
		struct signer_signature signature;

		choose_signature(maker, &signature);
		if (i > 0)
			signature.s = selectors[i];
		if (dice_once_in(&maker->dice, 12))
			spoil_signature(maker, &signature);
		add_key(maker, &signature);
		if (!signer_sign(&signature, &maker->header,
				 buf_span(&maker->body)))
			snprintf(maker->made->broken, 100, "l= is too much");
		if (strstr(signature.names, "DKIM-Signature") && i + 1 < count)
			snprintf(maker->made->broken, 100,
				 "oversigned signatures, and one more");
	}
}

/* --- what becomes of it on its way -------------------------------------- */

static const char octets[] = " \t\r\n:;=,abcXYZ019+/\x80\xff\"<>@.-_";

/* n octets at `at` become others. */
static void
replace(struct buf *text, size_t at, size_t n, struct span with)
{
	struct buf out;

	buf_init(&out, text->max);
	buf_append(&out, span_first(buf_span(text), at));
	buf_append(&out, with);
	buf_append(&out, span_after(buf_span(text), at + n));
	buf_swap(text, &out);
	buf_fini(&out);
}

static void
break_octet(struct maker *maker, struct buf *text, size_t from, size_t to,
	    const char *where)
{
	size_t at = from + dice_below(&maker->dice, to - from);
	uint8_t octet =
		(uint8_t)octets[dice_below(&maker->dice, sizeof(octets) - 1)];

	snprintf(maker->made->broken, sizeof(maker->made->broken),
		 "octet %zu of %s", at, where);
	switch (dice_below(&maker->dice, 4)) {
	case 0:
		text->p[text->start + at] = octet;
		return;
	case 1:
		replace(text, at, 0, span_make(&octet, 1));
		return;
	case 2:
		replace(text, at, 1, SPAN_NONE);
		return;
	default:
		text->p[text->start + at] ^=
			(uint8_t)(1u << dice_below(&maker->dice, 7));
		return;
	}
}

/* What gateways and forgers do. */
static void
change_header(struct maker *maker)
{
	static const struct span added[] = {
		SPAN_LIT("From: forger@evil.example\r\n"),
		SPAN_LIT("Subject: forged\r\n"),
		SPAN_LIT("Received: by f.example\r\n"),
		SPAN_LIT("X-New: field\r\n"),
		SPAN_LIT("DKIM-Signature: v=1; a=rsa-sha256\r\n"),
		SPAN_LIT("DKIM-Signature: none\r\n"),
		SPAN_LIT("no field\r\n"),
		SPAN_LIT("DKIM-Signature : v=1; a=rsa-sha256; "
			 "d=signer.example; "
			 "s=sel; h=From; bh=AAAA; b=AAAA\r\n"),
		SPAN_LIT(" continuation\r\n"),
		SPAN_LIT("X-Nul: a\0b\r\n"),
		SPAN_LIT("Received: by\0f.example\r\n"),
		SPAN_LIT(": nameless\r\n"),
		SPAN_LIT("From:\r\n"),
	};
	struct span text = DICE_PICK(&maker->dice, added);
	bool is_above = dice_once_in(&maker->dice, 2);

	replace(&maker->header, is_above ? 0 : maker->header.n, 0, text);
	snprintf(maker->made->broken, sizeof(maker->made->broken), "%s: %.*s",
		 is_above ? "above" : "below", (int)text.n,
		 (const char *)text.p);
}

static void
change_body(struct maker *maker)
{
	static const char *const added[] = { "\r\n",     "more\r\n", " ",
					     "\r\n\r\n", "\t\r\n",   "\n" };
	const char *text = DICE_PICK(&maker->dice, added);

	write_text(&maker->body, text);
	snprintf(maker->made->broken, sizeof(maker->made->broken),
		 "behind the body");
}

static void
break_message(struct maker *maker)
{
	struct buf *record = &maker->made->key[0].record;
	size_t n = maker->header.n < 1500 ? maker->header.n : 1500;
	size_t signature = n < 400 ? n : 400;

	switch (dice_below(&maker->dice, 7)) {
	case 0:
		break_octet(maker, &maker->header, 0, n, "the header");
		return;
	case 1:
	case 2:
		break_octet(maker, &maker->header, 0, signature,
			    "the signature");
		return;
	case 3:
		if (maker->body.n > 0)
			break_octet(maker, &maker->body, 0, maker->body.n,
				    "the body");
		return;
	case 4:
		break_octet(maker, record, 0, record->n, "the key record");
		return;
	case 5:
		change_header(maker);
		return;
	default:
		change_body(maker);
		return;
	}
}

void
dkim_corpus_make(struct dkim_case *made, uint64_t seed, uint64_t number)
{
	struct maker maker = { .made = made, .dice = dice_of(seed, number) };

	buf_init(&maker.header, MESSAGE_MAX);
	buf_init(&maker.body, MESSAGE_MAX);
	made->keys = 0;
	made->broken[0] = '\0';
	make_header(&maker);
	make_body(&maker);
	sign(&maker);
	if (!dice_once_in(&maker.dice, 3))
		break_message(&maker);
	buf_reset(&made->octets);
	buf_append(&made->octets, buf_span(&maker.header));
	write_text(&made->octets, "\r\n");
	buf_append(&made->octets, buf_span(&maker.body));
	assert(!made->octets.has_overflowed && !maker.header.has_overflowed);
	buf_fini(&maker.header);
	buf_fini(&maker.body);
}
