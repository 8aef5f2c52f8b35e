/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parameter: the values that parameters of MAIL and RCPT may have.
 *
 * Only grammar: whether a parameter is offered is said by extension.h, and
 * what it means is the backend's business. A value that its RFC does not know
 * is not passed on, since nobody can tell what a backend would take it for.
 * SIZE, BODY and SMTPUTF8 mean something to the dialogue itself, which looks
 * at their values (server.c).
 *
 * RFC 2852 4, 3461 4, 3865 2, 4865 5, 4954 5, 6533 3, 6710 4, 8689 2.
 */
#ifndef SMTP_PARAMETER_H
#define SMTP_PARAMETER_H

#include "smtp/command.h"

#define PARAMETER_ENVID_MAX 100
#define PARAMETER_ORCPT_MAX 500
#define PARAMETER_SOLICIT_MAX 1000
#define PARAMETER_SUBMITTER_MAX 500

/* Whether the value, or that there is none, is by the grammar of the
 * parameter; true for a parameter that is not in the table. */
bool parameter_is_good(const struct parameter *parameter);

/* RFC 3865 2: solicitation keywords, between commas; at least one. */
bool parameter_is_solicitation(struct span text);

/* RFC 3339 5.6: date-time, with any offset. */
bool parameter_is_date(struct span text);

#endif
