/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extension: the EHLO keywords we know, and what becomes of each.
 *
 * One table says of every keyword whether the gate offers it by itself
 * (OFFER), offers it when the backend does (PASS), only where it is asked to as
 * well (RELAY: see login.h), or needs it for itself only (OWN). What stands
 * behind a keyword that is passed is read and written anew; a line that cannot
 * be read is not offered. Another table has the keywords that are never
 * offered, and why. What is in neither is not advertised, and a parameter that
 * belongs to no offered keyword is answered 555 5.5.4: an extension that the
 * gate does not understand could bypass what it judges.
 *
 * BODY belongs to two of them: extension_of_body() says to which.
 *
 * RFC 5321 4.1.1.1, 1870, 2034, 2852, 2920, 3030, 3461, 3865, 4865, 6152, 6531,
 * 6710, 8689, 9422, 4954.
 */
#ifndef SMTP_EXTENSION_H
#define SMTP_EXTENSION_H

#include "smtp/buf.h"
#include "smtp/login.h"
#include "smtp/reply.h"

/* X(name, keyword, rule, parameters of MAIL, parameters of RCPT) */
#define EXTENSIONS(X)                                                    \
	X(PIPELINING, "PIPELINING", OFFER, "", "")                       \
	X(SIZE, "SIZE", OFFER, "SIZE", "")                               \
	X(CHUNKING, "CHUNKING", OFFER, "", "")                           \
	X(LIMITS, "LIMITS", OFFER, "", "")                               \
	X(8BITMIME, "8BITMIME", PASS, "BODY", "")                        \
	X(BINARYMIME, "BINARYMIME", PASS, "BODY", "")                    \
	X(ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES", PASS, "", "")      \
	X(SMTPUTF8, "SMTPUTF8", PASS, "SMTPUTF8", "")                    \
	X(DSN, "DSN", PASS, "RET ENVID", "NOTIFY ORCPT")                 \
	X(XCLIENT, "XCLIENT", OWN, "", "")                               \
	X(STARTTLS, "STARTTLS", OWN, "", "")                             \
	X(DELIVERBY, "DELIVERBY", PASS, "BY", "")                        \
	X(FUTURERELEASE, "FUTURERELEASE", PASS, "HOLDFOR HOLDUNTIL", "") \
	X(MT_PRIORITY, "MT-PRIORITY", PASS, "MT-PRIORITY", "")           \
	X(NO_SOLICITING, "NO-SOLICITING", PASS, "SOLICIT", "")           \
	X(REQUIRETLS, "REQUIRETLS", PASS, "REQUIRETLS", "")              \
	X(AUTH, "AUTH", RELAY, "AUTH", "")

/* X(keyword, why it is never offered) */
#define EXTENSIONS_STRIPPED(X)                                           \
	X("BURL", "the message would come past the gate")                \
	X("VRFY", "answered here")                                       \
	X("EXPN", "not told to anybody")                                 \
	X("HELP", "answered here")                                       \
	X("ETRN", "it would start a queue of the server")                \
	X("ATRN", "it turns the direction of the session")               \
	X("TURN", "it turns the direction of the session")               \
	X("VERB", "replies would not match commands")                    \
	X("XADR", "not specified anywhere")                              \
	X("XFORWARD", "the identity of the client is not for it to say") \
	X("XEXCH50", "binary octets would stand between commands")       \
	X("XRDST", "not specified anywhere")                             \
	X("X-ANONYMOUSTLS", "it would hide the session from the gate")   \
	X("X-EXPS", "it would hide a login from the gate")

/* clang-format off */
enum extension {
#define X(name, keyword, rule, mail, rcpt) EXTENSION_##name,
	EXTENSIONS(X)
#undef X
	EXTENSION_COUNT
};
/* clang-format on */

#define EXTENSION_BIT(extension) (1u << (extension))

/* X(attribute of XCLIENT, its bit) */
#define XCLIENT_ATTRIBUTES(X) \
	X(NAME, 1)            \
	X(ADDR, 2)            \
	X(PORT, 4)            \
	X(PROTO, 8)           \
	X(HELO, 16)           \
	X(LOGIN, 32)          \
	X(DESTADDR, 64)       \
	X(DESTPORT, 128)

/* clang-format off */
enum xclient_attribute {
#define X(name, bit) XCLIENT_##name = (bit),
	XCLIENT_ATTRIBUTES(X)
#undef X
};
/* clang-format on */

/* RFC 9422 3: how much one mail, or one session, may have. */
enum ehlo_limit {
	EHLO_RCPTMAX,
	EHLO_MAILMAX,
	EHLO_RCPTDOMAINMAX,
	EHLO_LIMITS,
};

/* Texts end with NUL; empty where none was said. */
#define EHLO_DATE_MAX 20
#define EHLO_POLICY_MAX 32
#define EHLO_SOLICITATION_MAX 200

/* What one EHLO reply offers, or what we offer in ours. */
struct ehlo {
	unsigned extensions;                /* bits of EXTENSION_BIT */
	uint64_t size_max;                  /* of SIZE; 0 = no limit said */
	unsigned xclient;                   /* bits of enum xclient_attribute */
	unsigned limit[EHLO_LIMITS];        /* of each, 0 = none said */
	unsigned by_min;                    /* DELIVERBY: seconds; 0 = none */
	unsigned hold_max;                  /* FUTURERELEASE: seconds */
	char hold_until[EHLO_DATE_MAX + 1]; /* … in UTC */
	char policy[EHLO_POLICY_MAX + 1];   /* MT-PRIORITY: how it is meant */
	char solicitation[EHLO_SOLICITATION_MAX + 1]; /* NO-SOLICITING */
	char mechanisms[LOGIN_MECHANISMS_MAX + 1];    /* AUTH */
};

/* Read the keywords of a 250 reply to EHLO; lines it does not know, or
 * cannot read, are not offered, nor is BINARYMIME without CHUNKING (RFC 3030
 * 3). A HELO reply gives none. */
void ehlo_parse(const struct reply *reply, struct ehlo *ehlo);

/* What we may offer in front of a backend that offers theirs: OFFER rows,
 * and PASS rows that it has. SIZE is the smaller of our limit and of theirs
 * less the room octets that are kept for the fields we add; 1 where these
 * would use up all of it, since 0 is no limit. Of the limits each is the
 * tighter one; LIMITS is offered if there is any. Of `ours` nothing else is
 * looked at. */
struct ehlo ehlo_offer(const struct ehlo *theirs, const struct ehlo *ours,
		       uint64_t room);

/* What both offer: for the candidates of a route that is not known yet. The
 * tighter limits hold even if only one of them says SIZE, or LIMITS. Two
 * meanings of MT-PRIORITY are none; classes of NO-SOLICITING are named where
 * both name the same. Two that may know different users are no AUTH. */
struct ehlo ehlo_intersect(const struct ehlo *a, const struct ehlo *b);

/* The 250 reply to EHLO, first line "name greets you"; false if full. A
 * keyword is followed by what belongs to it. name is one word without control
 * characters: asserted. */
bool ehlo_format(const struct ehlo *ehlo, struct span name, struct buf *buf);

/* Whether a parameter keyword of MAIL (or RCPT) belongs to an extension
 * among those offered. */
bool extension_has_parameter(unsigned extensions, bool is_rcpt,
			     struct span keyword);

/* The bits of what a value of BODY= needs; 0 if there is no such value. RFC
 * 6152 2, RFC 3030 3: binary octets can come by CHUNKING only. */
unsigned extension_of_body(struct span value);

#endif
