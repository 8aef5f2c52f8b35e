/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stock: what sessions of one worker have used and leave for the next, so that
 * a worker at work allocates nothing.
 *
 * A mail is lent for as long as it lasts, with the memory that the ones before
 * it needed (its arena, header, body, verdict line): a client that is silent
 * between mails holds none of it. The same with the room for actions, and with
 * a session itself, from one client to the next.
 *
 * Bounded: STOCK_MAILS_MAX mails with STOCK_OCTETS_MAX octets in all,
 * STOCK_SESSIONS_MAX sessions, STOCK_ROOMS_MAX rooms; what is left beyond that
 * is freed. It is no part of what sessions hold (session_memory()).
 *
 * Without a stock (NULL) everything is allocated when it is taken, and freed
 * when it is left.
 */
#ifndef PROXY_STOCK_H
#define PROXY_STOCK_H

#include <stdbool.h>
#include <stddef.h>

struct mail;
struct session;
struct session_action;
struct session_host;
struct stock;

#define STOCK_MAILS_MAX 64
#define STOCK_OCTETS_MAX ((size_t)4 << 20)
#define STOCK_SESSIONS_MAX 64
#define STOCK_ROOMS_MAX 4

/* An empty one, or NULL without memory: sessions do without it then. */
struct stock *stock_new(void);

/* With all that is in it. No session may be left. */
void stock_free(struct stock *stock);

/* A mail that is not open; NULL without memory. */
struct mail *stock_take_mail(struct stock *stock,
			     const struct session_host *host);
/* One that is over, and of which nothing is lent out; or NULL. */
void stock_leave_mail(struct stock *stock, struct mail *mail);

/* Room for SESSION_ACTIONS_MAX actions, that may hold anything; NULL without
 * memory. */
struct session_action *stock_take_room(struct stock *stock);
void stock_leave_room(struct stock *stock, struct session_action *room);

/* A session as it was left; NULL if there is none. */
struct session *stock_take_session(struct stock *stock);
/* False if it is not taken. */
bool stock_leave_session(struct stock *stock, struct session *session);

#endif
