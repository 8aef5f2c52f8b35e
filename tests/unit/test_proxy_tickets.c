/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define START_US 12345678
#define PERIOD_US ((uint64_t)TICKETS_PERIOD_S * 1000000)

static uint64_t now_us;

static uint64_t
stepped(void)
{
	return now_us;
}

static struct tickets *
at_start(void)
{
	struct tickets *tickets;

	now_us = START_US;
	tickets = tickets_new(stepped);
	assert_non_null(tickets);
	return tickets;
}

/* A copy of the key that seals at a time. */
static struct ticket_key
sealing_at(struct tickets *tickets, uint64_t at_us)
{
	const struct ticket_key *key;

	now_us = at_us;
	key = tickets_sealing(tickets);
	assert_non_null(key);
	return *key;
}

static bool
is_same(const struct ticket_key *a, const struct ticket_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
a_key_seals_then_opens_then_is_gone(void **state)
{
	enum opens { SEALS_TOO, OPENS_ONLY, GONE };
	static const struct {
		uint64_t after_us;
		enum opens opens;
	} rows[] = {
		{ 0, SEALS_TOO },           { PERIOD_US - 1, SEALS_TOO },
		{ PERIOD_US, OPENS_ONLY },  { 2 * PERIOD_US - 1, OPENS_ONLY },
		{ 2 * PERIOD_US, GONE },    { 3 * PERIOD_US, GONE },
		{ 1000 * PERIOD_US, GONE },
	};
	struct tickets *tickets = at_start();
	struct ticket_key first = sealing_at(tickets, START_US);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ticket_key seals =
			sealing_at(tickets, START_US + rows[i].after_us);
		bool is_former;
		const struct ticket_key *opens =
			tickets_opening(tickets, first.name, &is_former);

		assert_int_equal(is_same(&seals, &first),
				 rows[i].opens == SEALS_TOO);
		assert_int_equal(is_former, rows[i].opens == OPENS_ONLY);
		assert_int_equal(opens == NULL, rows[i].opens == GONE);
		assert_true(opens == NULL || is_same(opens, &first));
	}
	tickets_drop(tickets);
}

static void
no_two_keys_and_no_two_starts_are_alike(void **state)
{
	struct tickets *tickets = at_start(), *others = at_start();
	struct ticket_key key = sealing_at(tickets, START_US);
	struct ticket_key next = sealing_at(tickets, START_US + PERIOD_US);
	struct ticket_key other = sealing_at(others, START_US);
	bool is_former;

	(void)state;
	assert_memory_not_equal(key.name, next.name, sizeof(key.name));
	assert_memory_not_equal(key.cipher, next.cipher, sizeof(key.cipher));
	assert_memory_not_equal(key.mac, next.mac, sizeof(key.mac));
	assert_memory_not_equal(key.cipher, key.mac, sizeof(key.mac));
	assert_memory_not_equal(key.name, other.name, sizeof(key.name));
	assert_memory_not_equal(key.cipher, other.cipher, sizeof(key.cipher));
	assert_null(tickets_opening(tickets, other.name, &is_former));
	tickets_drop(tickets);
	tickets_drop(others);
}

#define FORKS 4

/* What a child that is forked now says to be the key at a later time. */
static struct ticket_key
told_by_a_child(struct tickets *tickets, uint64_t at_us)
{
	struct ticket_key key;
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		key = sealing_at(tickets, at_us);
		_exit(write(ends[1], &key, sizeof(key)) !=
		      (ssize_t)sizeof(key));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &key, sizeof(key)), sizeof(key));
	close(ends[0]);
	close(ends[1]);
	return key;
}

/* Forked at any time, looked at at any time: what the clock says is the key. */
static void
processes_agree_without_a_word(void **state)
{
	const uint64_t later_us = START_US + (FORKS + 1) * PERIOD_US;
	struct tickets *tickets = at_start();
	struct ticket_key theirs[FORKS], ours;

	(void)state;
	for (size_t i = 0; i < FORKS; i++) {
		now_us = START_US + i * PERIOD_US;
		tickets_turn(tickets);
		theirs[i] = told_by_a_child(tickets, later_us);
	}
	ours = sealing_at(tickets, later_us);
	for (size_t i = 0; i < FORKS; i++)
		assert_true(is_same(&theirs[i], &ours));
	tickets_drop(tickets);
}

/* Whether the octets stand anywhere in the page that holds all of it. */
static bool
is_held(const struct tickets *tickets, const uint8_t *octets, size_t n)
{
	const uint8_t *page = (const uint8_t *)tickets;

	return memmem(page, (size_t)sysconf(_SC_PAGESIZE), octets, n) != NULL;
}

static void
what_is_gone_is_not_in_memory(void **state)
{
	struct tickets *tickets = at_start();
	struct ticket_key first = sealing_at(tickets, START_US);

	(void)state;
	now_us = START_US + PERIOD_US;
	tickets_turn(tickets);
	assert_true(is_held(tickets, first.cipher, sizeof(first.cipher)));
	now_us = START_US + 2 * PERIOD_US;
	tickets_turn(tickets);
	assert_false(is_held(tickets, first.name, sizeof(first.name)));
	assert_false(is_held(tickets, first.cipher, sizeof(first.cipher)));
	assert_false(is_held(tickets, first.mac, sizeof(first.mac)));
	tickets_drop(tickets);
}

static void
a_process_can_forget_all_of_it(void **state)
{
	struct tickets *tickets = at_start();
	struct ticket_key first = sealing_at(tickets, START_US);
	bool is_former;

	(void)state;
	tickets_forget(tickets);
	assert_null(tickets_sealing(tickets));
	assert_null(tickets_opening(tickets, first.name, &is_former));
	assert_false(is_held(tickets, first.cipher, sizeof(first.cipher)));
	now_us += 3 * PERIOD_US;
	assert_null(tickets_sealing(tickets));
	tickets_drop(tickets);
}

static void
the_last_owner_ends_it(void **state)
{
	struct tickets *tickets = at_start();

	(void)state;
	assert_ptr_equal(tickets_share(tickets), tickets);
	tickets_drop(tickets);
	assert_non_null(tickets_sealing(tickets));
	tickets_drop(tickets);
	tickets_drop(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_seals_then_opens_then_is_gone),
		cmocka_unit_test(no_two_keys_and_no_two_starts_are_alike),
		cmocka_unit_test(processes_agree_without_a_word),
		cmocka_unit_test(what_is_gone_is_not_in_memory),
		cmocka_unit_test(a_process_can_forget_all_of_it),
		cmocka_unit_test(the_last_owner_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
