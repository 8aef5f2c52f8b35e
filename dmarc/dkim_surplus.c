/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/dkim_surplus.h"

#include "dmarc/taglist.h"

/* One at most: RFC 5322 3.6, and RFC 2045 for what says how the body is read.
 * Those that nobody is shown are not here: mail with two Message-IDs is odd,
 * and no forgery. */
static const struct span once[] = {
	SPAN_LIT("From"),         SPAN_LIT("Sender"),
	SPAN_LIT("Reply-To"),     SPAN_LIT("To"),
	SPAN_LIT("Cc"),           SPAN_LIT("Subject"),
	SPAN_LIT("Date"),         SPAN_LIT("MIME-Version"),
	SPAN_LIT("Content-Type"), SPAN_LIT("Content-Transfer-Encoding"),
};

static size_t
count_signed(struct span h, struct span name)
{
	struct span part;
	size_t count = 0;

	while (taglist_next(&h, &part))
		count += span_equal_nocase(part, name);
	return count;
}

bool
dkim_leaves_surplus(struct span h, const struct message *message)
{
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		size_t covered = count_signed(h, once[i]);

		if (covered > 0 && message_count(message, once[i]) > covered)
			return true;
	}
	return false;
}
