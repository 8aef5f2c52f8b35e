/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/login.h"

#include <assert.h>

static bool
is_base64_octet(uint8_t c)
{
	return octet_is_alpha(c) || octet_is_digit(c) || c == '+' || c == '/';
}

/* RFC 4648 4, in whole groups of four; or nothing. */
static bool
is_base64(struct span text)
{
	size_t n = text.n;

	if (text.n % 4 != 0)
		return false;
	while (n > 0 && text.n - n < 2 && text.p[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++)
		if (!is_base64_octet(text.p[i]))
			return false;
	return true;
}

static uint8_t
upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
}

/* RFC 4422 3.1: 1 to 20 letters, digits, "-" and "_". */
static bool
is_mechanism(struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!octet_is_alpha(word.p[i]) && !octet_is_digit(word.p[i]) &&
		    word.p[i] != '-' && word.p[i] != '_')
			return false;
	return word.n > 0 && word.n <= LOGIN_MECHANISM_MAX;
}

bool
login_parse(struct span argument, struct login *login)
{
	login->mechanism = span_word(&argument);
	login->response = span_word(&argument);
	return is_mechanism(login->mechanism) && span_trim(argument).n == 0 &&
	       (is_base64(login->response) ||
		span_equal(login->response, SPAN_LIT("=")));
}

bool
login_format(const struct login *login, struct buf *buf)
{
	assert(is_mechanism(login->mechanism));
	buf_append(buf, SPAN_LIT("AUTH "));
	for (size_t i = 0; i < login->mechanism.n; i++)
		buf_append_octet(buf, upper(login->mechanism.p[i]));
	if (login->response.n > 0) {
		assert(login_is_response(login->response));
		buf_append_octet(buf, ' ');
		buf_append(buf, login->response);
	}
	return buf_append(buf, SPAN_LIT("\r\n"));
}

bool
login_is_response(struct span line)
{
	return is_base64(line) || span_equal(line, SPAN_LIT("=")) ||
	       span_equal(line, SPAN_LIT("*"));
}

bool
login_is_challenge(const struct reply *reply)
{
	return reply->code == 334 && reply->lines == 1 &&
	       is_base64(reply->line[0]);
}

static bool
ends_with(struct span text, struct span end)
{
	return text.n >= end.n &&
	       span_equal_nocase(span_after(text, text.n - end.n), end);
}

/* It wraps what follows in a layer of its own, or may; or it is about the
 * connection that it is said on. */
static bool
is_tied(struct span mechanism)
{
	static const struct span tied[] = {
		SPAN_LIT("EXTERNAL"),    SPAN_LIT("GSSAPI"),
		SPAN_LIT("GSS-SPNEGO"),  SPAN_LIT("KERBEROS_V4"),
		SPAN_LIT("KERBEROS_V5"), SPAN_LIT("DIGEST-MD5"),
		SPAN_LIT("SRP"),         SPAN_LIT("NTLM"),
	};

	for (size_t i = 0; i < sizeof(tied) / sizeof(tied[0]); i++)
		if (span_equal_nocase(mechanism, tied[i]))
			return true;
	return ends_with(mechanism, SPAN_LIT("-PLUS"));
}

void
login_mechanisms(struct span text, char list[LOGIN_MECHANISMS_MAX + 1])
{
	size_t n = 0;

	list[0] = '\0';
	for (struct span word = span_word(&text); word.n > 0;
	     word = span_word(&text)) {
		if (!is_mechanism(word) || is_tied(word) ||
		    login_has_mechanism(list, word) ||
		    n + 1 + word.n > LOGIN_MECHANISMS_MAX)
			continue;
		if (n > 0)
			list[n++] = ' ';
		for (size_t i = 0; i < word.n; i++)
			list[n++] = (char)upper(word.p[i]);
		list[n] = '\0';
	}
}

bool
login_has_mechanism(const char *list, struct span mechanism)
{
	struct span text = span_cstr(list);

	for (struct span word = span_word(&text); word.n > 0;
	     word = span_word(&text))
		if (span_equal_nocase(word, mechanism))
			return true;
	return false;
}
