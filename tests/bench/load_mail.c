/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/load_mail.h"

#include "proxy/textfile.h"
#include "smtp/data.h"
#include "tests/bench/chance.h"
#include "tests/bench/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FROM "alice@sender.example"
#define TO "bob@backend.example"

static uint64_t
number_of(const char *value)
{
	uint64_t number;

	if (!span_u64(span_cstr(value), &number) || number > INT64_MAX / 1000)
		give_up("load: --mail wants a number there", 0);
	return number;
}

static void
set(struct load_mail *mail, const char *word, const char *value)
{
	if (strcmp(word, "file") == 0)
		mail->file = value;
	else if (strcmp(word, "from") == 0)
		mail->from = value;
	else if (strcmp(word, "to") == 0)
		mail->to = value;
	else if (strcmp(word, "weight") == 0)
		mail->weight = number_of(value);
	else if (strcmp(word, "expect") == 0)
		mail->expected = number_of(value);
	else if (strcmp(word, "names") == 0)
		mail->names = number_of(value);
	else if (strcmp(word, "base") == 0)
		mail->base = number_of(value);
	else if (strcmp(word, "in-order") == 0)
		mail->is_in_order = number_of(value) != 0;
	else
		give_up("load: --mail knows no such word", 0);
}

static void
read_settings(struct load_mail *mail, char *text)
{
	char *value, *rest = text;

	while (rest != NULL) {
		text = strsep(&rest, ",");
		value = strchr(text, '=');
		if (value == NULL)
			give_up("load: --mail wants word=value,…", 0);
		*value = '\0';
		set(mail, text, value + 1);
	}
}

/* What stands in the file with lines in LF gets CR LF: both kinds will do. */
static bool
append_lines(struct buf *message, struct span text)
{
	struct span line;
	size_t end;

	while (text.n > 0) {
		end = span_find(text, '\n');
		line = span_first(text, end);
		text = span_after(text, end < text.n ? end + 1 : end);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!buf_append(message, line) ||
		    !buf_append(message, SPAN_LIT("\r\n")))
			return false;
	}
	return true;
}

static void
read_content(struct load_mail *mail)
{
	struct buf octets, message, faults;
	struct data_encoder encoder;

	buf_init(&octets, TEXTFILE_OCTETS_MAX);
	buf_init(&message, 2 * TEXTFILE_OCTETS_MAX);
	buf_init(&faults, 1000);
	buf_init(&mail->content, DATA_ENCODED_MAX(2 * TEXTFILE_OCTETS_MAX));
	data_encoder_init(&encoder);
	if (!textfile_read(mail->file, &octets, &faults) ||
	    !append_lines(&message, buf_span(&octets)) ||
	    !data_encode(&encoder, buf_span(&message), &mail->content) ||
	    !data_encode_end(&encoder, &mail->content)) {
		fprintf(stderr, "load: %s: %.*s\n", mail->file,
			(int)buf_span(&faults).n,
			(const char *)buf_span(&faults).p);
		give_up("load: the message is not one", 0);
	}
	buf_fini(&octets);
	buf_fini(&message);
	buf_fini(&faults);
}

void
load_mails_add(struct load_mails *mails, char *text)
{
	struct load_mail *mail = &mails->list[mails->count];

	if (mails->count == LOAD_MAILS_MAX)
		give_up("load: too many --mail", 0);
	*mail = (struct load_mail){
		.from = FROM,
		.to = TO,
		.weight = 1,
		.expected = 250,
		.names = 1,
	};
	read_settings(mail, text);
	if (mail->file == NULL || mail->weight == 0 || mail->names == 0)
		give_up("load: --mail needs a file, weight and names", 0);
	read_content(mail);
	mails->count++;
	mails->weights += (int64_t)mail->weight;
}

void
load_mails_fini(struct load_mails *mails)
{
	for (size_t i = 0; i < mails->count; i++)
		buf_fini(&mails->list[i].content);
}

/* Each kind's turn comes nearer by its weight; who is nearest is taken, and
 * put back by the sum of all. */
struct load_mail *
load_mails_next(struct load_mails *mails)
{
	struct load_mail *next = NULL;

	for (size_t i = 0; i < mails->count; i++) {
		struct load_mail *mail = &mails->list[i];

		mail->due += (int64_t)mail->weight;
		if (next == NULL || mail->due > next->due)
			next = mail;
	}
	next->due -= mails->weights;
	return next;
}

struct span
load_mail_from(struct load_mails *mails, struct load_mail *mail, char *room)
{
	size_t before = strcspn(mail->from, "%");
	uint64_t number;
	int n;

	if (mail->from[before] == '\0')
		return span_cstr(mail->from);
	number = mail->is_in_order ? mail->sent++ : chance_next(&mails->chance);
	number = mail->base + number % mail->names;
	n = snprintf(room, LOAD_ADDRESS_MAX, "%.*s%llu%s", (int)before,
		     mail->from, (unsigned long long)number,
		     mail->from + before + 1);
	if (n < 0 || n >= LOAD_ADDRESS_MAX)
		give_up("load: the address is too long", 0);
	return span_make(room, (size_t)n);
}
