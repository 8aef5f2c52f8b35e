/* SPDX-License-Identifier: BSD-2-Clause */
/* mail_refusal: the replies for messages that are refused without being
 * judged. */
#include "proxy/mail.h"

enum mail_refusal
mail_refusal_of_header(const struct message *message)
{
	return message->header.has_overflowed ? MAIL_HEADER_TOO_LARGE
					      : MAIL_TOO_MANY_FIELDS;
}

unsigned
mail_refusal_reply(enum mail_refusal refusal, const char **enhanced,
		   const char **text, const char **rule)
{
	static const struct {
		unsigned code;
		const char *enhanced, *text, *rule;
	} replies[] = {
		[MAIL_NOT_REFUSED] = { 250, "2.0.0", "Ok", "" },
		[MAIL_TOO_LARGE] = { 552, "5.3.4",
				     "Message is larger than we take",
				     "message-size" },
		[MAIL_HEADER_TOO_LARGE] = { 552, "5.3.4",
					    "Message header is too large",
					    "header-size" },
		[MAIL_TOO_MANY_FIELDS] = { 552, "5.3.4",
					   "Message header has more fields "
					   "than we take",
					   "header-fields" },
		[MAIL_LINE_ENDINGS] = { 550, "5.6.0",
					"Message holds a bare CR, a bare LF "
					"or NUL; lines end in CR LF",
					"line-endings" },
		[MAIL_LINE_TOO_LONG] = { 550, "5.6.0",
					 "Message has a line that is longer "
					 "than we take",
					 "line-length" },
		[MAIL_NO_ROOM] = { 452, "4.3.1",
				   "No room for this message now, try again "
				   "later",
				   "body-disk" },
		[MAIL_TOO_MANY_HOPS] = { 554, "5.4.6",
					 "Too many hops: this message goes "
					 "round in a circle",
					 "hops-max" },
	};

	*enhanced = replies[refusal].enhanced;
	*text = replies[refusal].text;
	*rule = replies[refusal].rule;
	return replies[refusal].code;
}
