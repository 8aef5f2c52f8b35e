/* SPDX-License-Identifier: BSD-2-Clause */
/* Which signatures leave a second field unsigned of a kind that they sign. */
#include "dmarc/dkim_surplus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *h;
	const char *header;
	bool has_surplus;
} cases[] = {
	{ "", "From: a\r\nFrom: b\r\n", false },
	{ "::", "From: a\r\nFrom: b\r\n", false },
	{ "from", "", false },
	{ "from", "From: a\r\n", false },
	{ "from", "From: a\r\nFrom: b\r\n", true },
	{ "from:from", "From: a\r\nFrom: b\r\n", false },
	{ "from:from", "From: a\r\n", false },
	{ "from:From", "FROM: a\r\nfrom: b\r\nFrom : c\r\n", true },
	{ "from:subject", "From: a\r\nSubject: b\r\n", false },
	{ "from:subject", "Subject: x\r\nFrom: a\r\nSubject: b\r\n", true },
	{ "from : Subject\r\n\t: subject", "Subject: x\r\nSubject: b\r\n",
	  false },
	{ "from:to", "To: x\r\nTo: b\r\n", true },
	{ "from:cc", "Cc: x\r\nCc: b\r\n", true },
	{ "from:date", "Date: x\r\nDate: b\r\n", true },
	{ "from:sender", "Sender: x\r\nSender: b\r\n", true },
	{ "from:reply-to", "Reply-To: x\r\nReply-To: b\r\n", true },
	{ "from:mime-version", "MIME-Version: 1\r\nMIME-Version: 1\r\n", true },
	{ "from:content-type", "Content-Type: x\r\nContent-Type: y\r\n", true },
	{ "from:content-transfer-encoding",
	  "Content-Transfer-Encoding: x\r\nContent-Transfer-Encoding: y\r\n",
	  true },
	/* not signed at all: it is the signer's choice */
	{ "from", "Subject: x\r\nSubject: b\r\n", false },
	/* there may be several, or nobody is shown them */
	{ "from:received", "Received: x\r\nReceived: y\r\n", false },
	{ "from:message-id", "Message-ID: x\r\nMessage-ID: y\r\n", false },
	{ "from:list-id", "List-Id: x\r\nList-Id: y\r\n", false },
};

static void
t1_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message message;
		struct span body;

		message_init(&message, 500);
		message_feed(&message, span_cstr(cases[i].header), &body);
		message_feed(&message, SPAN_LIT("\r\n"), &body);
		if (dkim_leaves_surplus(span_cstr(cases[i].h), &message) !=
		    cases[i].has_surplus)
			fail_msg("h=%s: %s", cases[i].h, cases[i].header);
		message_fini(&message);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_the_table),
	};

	return cmocka_run_group_tests_name("surplus", tests, NULL, NULL);
}
