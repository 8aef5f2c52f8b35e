/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool: the verdict record, and its form as one JSON line.
 *
 * One object per message that reached its end of data: the log people tail,
 * the source of reports, what queries run on. Keys are stable and "v" is 1;
 * the contract is dmarcgate-verdict(5). A line is UTF-8, ends in LF, and has
 * at most SPOOL_LINE_MAX octets: beyond that the long lists are cut from
 * their ends (dns, rcpt, dkim, stripped, from_domains, in this order) and
 * named in "truncated"; so is any one text over SPOOL_TEXT_MAX octets (less
 * where even lists that are gone make no room). Octets that are not UTF-8
 * become U+FFFD and the field gets a "_b64" twin with the octets themselves;
 * C0, DEL, C1 and bidirectional controls are escaped as \u, so that a line is
 * safe to show.
 *
 * Formatting is pure. Who may append a line, and where, is said in segment.h.
 */
#ifndef DMARC_REPORT_SPOOL_H
#define DMARC_REPORT_SPOOL_H

#include "dmarc/second.h"
#include "smtp/buf.h"
#include "smtp/tlsinfo.h"

#define SPOOL_LINE_MAX 32768
#define SPOOL_TEXT_MAX 1024

struct spool_record {
	uint64_t time_us; /* since the epoch, of the end of data */
	struct span id;   /* also in the 550 text */
	struct span gate; /* our host name */
	struct span listener;
	struct ip client;
	uint16_t client_port;
	struct span client_name; /* forward-confirmed; empty if unknown */
	struct span helo;
	const struct tlsinfo *tls; /* NULL or without a version: none */
	const char *identity; /* how we know the client: direct proxy xclient */
	struct span mail_from;         /* without <>; empty for the null path */
	const struct span *recipients; /* accepted ones */
	size_t recipient_count;
	uint64_t size;                 /* octets of the message as received */
	const struct verdict *verdict; /* NULL: not judged (authenticated …) */
	const struct second *second;   /* NULL: none was asked */
	const struct spf_facts *spf_facts;
	const struct answers *answers; /* may be NULL */
	bool is_authenticated;
	struct span route;
	const char *mode; /* enforce monitor */
	bool is_enforced;
	const char *action;    /* relay reject tag subject divert defer fail */
	const char *otherwise; /* what it would have done; NULL: the same */
	const char *rule;      /* what decided the action; NULL: verdict's */
	struct span reply;     /* what the client was answered, one line */
	struct span backend;   /* name; empty if none was reached */
	const char *backend_tls;     /* version; NULL: none */
	bool is_accepted;            /* the backend took it */
	const struct span *stripped; /* names of fields removed */
	size_t stripped_count;
	uint32_t dns_us, eval_us, backend_us, total_us;
};

/* The record as a line with its LF. False if buf has no room for
 * SPOOL_LINE_MAX octets. */
bool spool_format(const struct spool_record *record, struct buf *line);

#endif
