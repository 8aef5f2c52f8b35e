/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How often a message allocates, once everything has been made that is made
 * once: of our own objects none, and none frees. What libcrypto does is
 * printed.
 */
#include "tests/cost/allocations.h"
#include "tests/cost/dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define WARM 12
#define MESSAGES 10

/* --- only what a session does itself is watched ------------------------------
 */

/* What the linker calls them. */
/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*) */
extern struct session *__real_session_new(const struct session_host *host,
					  const struct session_peer *peer);
extern void __real_session_free(struct session *session);
extern void __real_session_step(struct session *session,
				const struct session_event *event);
extern bool __real_session_next(struct session *session,
				struct session_action *action);
struct session *__wrap_session_new(const struct session_host *host,
				   const struct session_peer *peer);
void __wrap_session_free(struct session *session);
void __wrap_session_step(struct session *session,
			 const struct session_event *event);
bool __wrap_session_next(struct session *session,
			 struct session_action *action);

struct session *
__wrap_session_new(const struct session_host *host,
		   const struct session_peer *peer)
{
	struct session *session;

	allocations_watch(true);
	session = __real_session_new(host, peer);
	allocations_watch(false);
	return session;
}

void
__wrap_session_free(struct session *session)
{
	allocations_watch(true);
	__real_session_free(session);
	allocations_watch(false);
}

void
__wrap_session_step(struct session *session, const struct session_event *event)
{
	allocations_watch(true);
	__real_session_step(session, event);
	allocations_watch(false);
}

bool
__wrap_session_next(struct session *session, struct session_action *action)
{
	bool is_there;

	allocations_watch(true);
	is_there = __real_session_next(session, action);
	allocations_watch(false);
	return is_there;
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*) */

/* --- the tests ---------------------------------------------------------------
 */

static void
play(struct dialogue *dialogue, unsigned messages)
{
	for (unsigned i = 0; i < messages; i++)
		if (!dialogue_play(dialogue))
			fail_msg("%.*s", (int)dialogue->stage.fault.n,
				 (const char *)dialogue->stage.fault.p);
}

static void
count(const char *name)
{
	static struct dialogue dialogue;
	struct allocations counted;

	assert_true(dialogue_init(&dialogue, name));
	play(&dialogue, WARM);
	allocations_forget();
	play(&dialogue, MESSAGES);
	counted = allocations_counted();
	dialogue_fini(&dialogue);
	printf("#: %-7s allocations a message: %.1f of our own, %.1f of "
	       "libcrypto\n",
	       name, (double)counted.own / MESSAGES,
	       (double)counted.crypto / MESSAGES);
	if (counted.own > 0)
		allocations_print();
	assert_int_equal(counted.own, 0);
	assert_int_equal(counted.freed, 0);
}

static void
a_message_on_a_kept_connection(void **state)
{
	(void)state;
	count("kept");
}

static void
a_message_on_a_new_connection(void **state)
{
	(void)state;
	count("new");
}

static void
a_message_that_is_refused(void **state)
{
	(void)state;
	count("forged");
}

static void
a_large_message(void **state)
{
	(void)state;
	count("large");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_on_a_kept_connection),
		cmocka_unit_test(a_message_on_a_new_connection),
		cmocka_unit_test(a_message_that_is_refused),
		cmocka_unit_test(a_large_message),
	};

	allocations_hook();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
