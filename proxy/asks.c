/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/asks.h"

#include "proxy/owner.h"

#include <stdlib.h>

struct ask {
	struct resolver_query query;
	struct asks *asks;
	uint64_t ticket;
	struct span name;
	enum dns_type type;
	struct ask *next, **at;
};

static void
enter(struct ask *ask, struct ask **list)
{
	ask->next = *list;
	ask->at = list;
	if (ask->next != NULL)
		ask->next->at = &ask->next;
	*list = ask;
}

static void
leave(struct ask *ask)
{
	*ask->at = ask->next;
	if (ask->next != NULL)
		ask->next->at = ask->at;
}

/* The first of a list, taken out of it. */
static struct ask *
pop(struct ask **list)
{
	struct ask *ask = *list;

	*list = ask->next;
	if (ask->next != NULL)
		ask->next->at = list;
	return ask;
}

/* Of an ask that is in no list any more. */
static void
tell(struct ask *ask, const struct answer *answer)
{
	struct session_event event = { .kind = SESSION_ANSWER,
				       .ticket = ask->ticket,
				       .answer = answer };
	struct session *session = ask->asks->session;

	free(ask);
	session_step(session, &event);
}

static void
tell_end(struct asks *asks)
{
	session_step(asks->session,
		     &(struct session_event){ .kind = SESSION_ANSWERED });
}

static void
on_answer(struct resolver_query *query, const struct answer *answer)
{
	struct ask *ask = OWNER(query, struct ask, query);
	struct asks *asks = ask->asks;

	leave(ask);
	tell(ask, answer);
	tell_end(asks);
	asks->told(asks);
}

bool
asks_note(struct asks *asks, const struct session_action *action)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL)
		return false;
	ask->query.done = on_answer;
	ask->asks = asks;
	ask->ticket = action->ticket;
	ask->name = action->name;
	ask->type = action->type;
	enter(ask, &asks->noted);
	return true;
}

bool
asks_put(struct asks *asks)
{
	bool is_answered = false;

	while (asks->noted != NULL) {
		struct ask *ask = pop(&asks->noted);
		struct answer answer;

		if (resolver_ask(asks->resolver, ask->name, ask->type,
				 &ask->query, &answer)) {
			tell(ask, &answer);
			is_answered = true;
		} else {
			enter(ask, &asks->put);
		}
	}
	if (is_answered)
		tell_end(asks);
	return is_answered;
}

/* Those of a generation, or all, as if they had never been asked. */
static void
forget(struct ask *ask, uint64_t generation, bool is_any)
{
	for (struct ask *next; ask != NULL; ask = next) {
		next = ask->next;
		if (!is_any && ask->ticket >> 16 != generation)
			continue;
		leave(ask);
		resolver_cancel(&ask->query);
		free(ask);
	}
}

void
asks_forget(struct asks *asks, uint64_t generation)
{
	forget(asks->noted, generation, false);
	forget(asks->put, generation, false);
}

void
asks_forget_all(struct asks *asks)
{
	forget(asks->noted, 0, true);
	forget(asks->put, 0, true);
}
