/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three piles: what was left last is taken first, as its memory is the warmest.
 */
#include "proxy/stock.h"

#include "proxy/session_state.h"

#include <assert.h>
#include <stdlib.h>

struct stock {
	struct mail *mails[STOCK_MAILS_MAX];
	size_t mail_count, mail_octets;
	struct session_action *rooms[STOCK_ROOMS_MAX];
	size_t room_count;
	struct session *sessions[STOCK_SESSIONS_MAX];
	size_t session_count;
};

struct stock *
stock_new(void)
{
	return calloc(1, sizeof(struct stock));
}

static void
free_mail(struct mail *mail)
{
	mail_fini(mail);
	free(mail);
}

void
stock_free(struct stock *stock)
{
	if (stock == NULL)
		return;
	while (stock->mail_count > 0)
		free_mail(stock->mails[--stock->mail_count]);
	while (stock->room_count > 0)
		free(stock->rooms[--stock->room_count]);
	while (stock->session_count > 0)
		session_discard(stock->sessions[--stock->session_count]);
	free(stock);
}

struct mail *
stock_take_mail(struct stock *stock, const struct session_host *host)
{
	struct mail *mail;

	if (stock != NULL && stock->mail_count > 0) {
		mail = stock->mails[--stock->mail_count];
		stock->mail_octets -= mail_memory(mail);
		return mail;
	}
	mail = malloc(sizeof(*mail));
	if (mail != NULL)
		mail_init(mail, host);
	return mail;
}

void
stock_leave_mail(struct stock *stock, struct mail *mail)
{
	size_t octets;

	if (mail == NULL)
		return;
	assert(!mail->is_open);
	octets = mail_memory(mail);
	if (stock == NULL || stock->mail_count == STOCK_MAILS_MAX ||
	    stock->mail_octets + octets > STOCK_OCTETS_MAX) {
		free_mail(mail);
		return;
	}
	stock->mails[stock->mail_count++] = mail;
	stock->mail_octets += octets;
}

struct session_action *
stock_take_room(struct stock *stock)
{
	if (stock != NULL && stock->room_count > 0)
		return stock->rooms[--stock->room_count];
	return malloc(SESSION_ACTIONS_MAX * sizeof(struct session_action));
}

void
stock_leave_room(struct stock *stock, struct session_action *room)
{
	if (room == NULL)
		return;
	if (stock == NULL || stock->room_count == STOCK_ROOMS_MAX)
		free(room);
	else
		stock->rooms[stock->room_count++] = room;
}

struct session *
stock_take_session(struct stock *stock)
{
	if (stock == NULL || stock->session_count == 0)
		return NULL;
	return stock->sessions[--stock->session_count];
}

bool
stock_leave_session(struct stock *stock, struct session *session)
{
	if (stock == NULL || stock->session_count == STOCK_SESSIONS_MAX)
		return false;
	stock->sessions[stock->session_count++] = session;
	return true;
}
