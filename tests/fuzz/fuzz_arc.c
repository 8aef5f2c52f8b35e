/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arc: the input is a message, fed in pieces. Every key that is asked for is
 * the one with which the community's suite is sealed, whose messages are the
 * first inputs: some chains pass.
 *
 * The result does not depend on the pieces, nor on the order of the answers.
 * A chain that passes has sets from 1 on, each with a good seal; and where it
 * covers the message, one octet more in the body makes it fail. What its
 * results claim are domains.
 */
#include "dmarc/arc.h"
#include "tests/fuzz/pieces.h"

#include <stdio.h>

#define NOW_S 1800000000u
#define HEADER_MAX ((size_t)1 << 20)

#define KEY                                                              \
	"v=DKIM1; k=rsa; "                                               \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3" \
	"idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfz" \
	"wQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2" \
	"EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

/* What a run came to. */
struct finding {
	enum arc_result result;
	const char *reason;
	size_t instance, sets, oldest_pass, questions;
	bool covers_message;
};

static struct crypto *crypto;

static void
answer_all(struct answers *answers, bool is_last_first)
{
	struct dns_record record = { .value = SPAN_LIT(KEY) };
	const struct answer key = { .status = ANSWER_OK,
				    .records = 1,
				    .record = &record };

	for (size_t i = 0; i < answers->count; i++) {
		size_t at = is_last_first ? answers->count - 1 - i : i;

		if (answers->list[at]->status == ANSWER_OPEN)
			answers_settle(answers, at, &key);
	}
}

static void
check_results(const struct arc_results *results)
{
	assert(results->claims <= ARC_CLAIMS_MAX);
	assert(results->dmarc > 0 || !results->is_dmarc_pass);
	for (size_t i = 0; i < results->claims; i++)
		assert(results->claim[i].domain.n > 0);
}

static void
check_chain(const struct arc_chain *chain)
{
	assert(chain->sets <= ARC_SETS_MAX);
	assert((chain->result == ARC_FAIL) == (chain->reason[0] != '\0'));
	for (size_t i = 0; i < chain->sets; i++)
		check_results(&chain->set[i].results);
	if (chain->result != ARC_PASS) {
		assert(!chain->covers_message);
		return;
	}
	assert(chain->sets > 0 && chain->oldest_pass <= chain->sets);
	assert(chain->has_oldest_pass || chain->oldest_pass == 0);
	for (size_t i = 0; i < chain->sets; i++) {
		assert(chain->set[i].seal.result == DKIM_PASS);
		assert(chain->set[i].status ==
		       (i == 0 ? ARC_STATUS_NONE : ARC_STATUS_PASS));
	}
	assert(chain->set[chain->sets - 1].message.result == DKIM_PASS);
}

static void
feed(struct arc_check *check, struct message *message, struct canon_body *canon,
     struct span piece)
{
	bool was_header = message->state == MESSAGE_HEADER;
	struct span body;

	message_feed(message, piece, &body);
	if (was_header && message->state == MESSAGE_BODY)
		arc_check_header(check, message, canon);
	if (message->state == MESSAGE_BODY)
		canon_body_feed(canon, body);
}

static struct finding
judge(struct pieces pieces, struct span more, bool is_last_first)
{
	struct finding finding = { .reason = "" };
	const struct arc_chain *chain;
	struct message message;
	struct answers answers;
	struct canon_body *canon;
	struct arc_check *check;
	struct arena arena;
	struct span piece;

	arena_init(&arena, (size_t)16 << 20);
	answers_init(&answers, &arena, ANSWERS_MAX);
	message_init(&message, HEADER_MAX);
	canon = canon_body_new(crypto, &arena);
	check = arc_check_new(crypto, &arena, NOW_S);
	assert(canon != NULL && check != NULL);
	while (pieces_next(&pieces, &piece))
		feed(check, &message, canon, piece);
	if (message.state == MESSAGE_BODY) {
		canon_body_feed(canon, more);
		canon_body_end(canon);
		while (!arc_check_ask(check, &answers))
			answer_all(&answers, is_last_first);
		chain = arc_check_finish(check, &answers);
		check_chain(chain);
		finding = (struct finding){
			chain->result,         chain->reason,
			chain->instance,       chain->sets,
			chain->oldest_pass,    answers.count,
			chain->covers_message,
		};
	}
	canon_body_free(canon);
	message_fini(&message);
	arena_fini(&arena);
	return finding;
}

static void
check_same(const struct finding *a, const struct finding *b)
{
	assert(a->result == b->result && a->reason == b->reason);
	assert(a->instance == b->instance && a->sets == b->sets);
	assert(a->oldest_pass == b->oldest_pass);
	assert(a->questions == b->questions);
	assert(a->covers_message == b->covers_message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct pieces pieces, whole;
	struct finding first, again;
	uint8_t *text;

	if (crypto == NULL)
		crypto = crypto_new();
	assert(crypto != NULL);
	pieces = pieces_make(input, n);
	text = exact_copy(pieces.octets);
	pieces.octets = span_make(text, pieces.octets.n);
	whole = pieces;
	whole.lengths = SPAN_NONE;
	first = judge(pieces, SPAN_NONE, false);
	again = judge(whole, SPAN_NONE, true);
	check_same(&first, &again);
	if (first.covers_message) {
		again = judge(whole, SPAN_LIT("x"), false);
		assert(again.result == ARC_FAIL);
	}
	free(text);
	return 0;
}
