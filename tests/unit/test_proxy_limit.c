/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/limit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct ip
ip_of(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_cstr(text), &ip));
	return ip;
}

static void
the_sum_over_all_workers_is_what_counts(void **state)
{
	struct limit *limit = limit_new(3, 100);
	struct ip ip = ip_of("192.0.2.1");
	struct ip other = ip_of("192.0.2.2");

	(void)state;
	assert_non_null(limit);
	assert_true(limit_enter(limit, 0, &ip, 3));
	assert_true(limit_enter(limit, 1, &ip, 3));
	assert_true(limit_enter(limit, 2, &ip, 3));
	assert_false(limit_enter(limit, 0, &ip, 3));
	assert_true(limit_enter(limit, 0, &other, 3));
	assert_int_equal(limit_count(limit, &ip), 3);
	limit_leave(limit, 1, &ip);
	assert_int_equal(limit_count(limit, &ip), 2);
	assert_true(limit_enter(limit, 0, &ip, 3));
	assert_false(limit_enter(limit, 1, &ip, 3));
	limit_free(limit);
}

static void
ipv6_is_counted_by_64(void **state)
{
	struct limit *limit = limit_new(1, 100);
	struct ip a = ip_of("2001:db8:0:1::1");
	struct ip b = ip_of("2001:db8:0:1:ffff::2");
	struct ip c = ip_of("2001:db8:0:2::1");
	struct ip v4 = ip_of("32.1.13.184"); /* the octets of 2001:db8 */

	(void)state;
	assert_true(limit_enter(limit, 0, &a, 1));
	assert_false(limit_enter(limit, 0, &b, 1));
	assert_true(limit_enter(limit, 0, &c, 1));
	assert_true(limit_enter(limit, 0, &v4, 1));
	limit_free(limit);
}

static void
clearing_a_slice_leaves_the_others(void **state)
{
	struct limit *limit = limit_new(2, 100);
	struct ip ip = ip_of("192.0.2.1");

	(void)state;
	assert_true(limit_enter(limit, 0, &ip, 10));
	assert_true(limit_enter(limit, 1, &ip, 10));
	assert_true(limit_enter(limit, 1, &ip, 10));
	limit_clear(limit, 1);
	assert_int_equal(limit_count(limit, &ip), 1);
	limit_free(limit);
}

/* Entries are moved when others go; none may get lost or stay behind. */
static void
many_addresses_come_and_go(void **state)
{
	enum { ADDRESSES = 500, STEPS = 50000 };
	struct limit *limit = limit_new(1, ADDRESSES);
	unsigned counts[ADDRESSES] = { 0 };

	(void)state;
	srandom(1);
	for (int i = 0; i < STEPS; i++) {
		size_t at = (size_t)random() % ADDRESSES;
		uint8_t octets[4] = { 10, 0, (uint8_t)(at >> 8), (uint8_t)at };
		struct ip ip = ip_make(octets, 4);

		if (counts[at] > 0 && random() % 2 == 0) {
			limit_leave(limit, 0, &ip);
			counts[at]--;
		} else if (limit_enter(limit, 0, &ip, 5)) {
			counts[at]++;
			assert_true(counts[at] <= 5);
		} else {
			assert_int_equal(counts[at], 5);
		}
		assert_int_equal(limit_count(limit, &ip), counts[at]);
	}
	limit_free(limit);
}

/* More different addresses than there is room for are refused, not lost. */
static void
a_full_slice_refuses(void **state)
{
	struct limit *limit = limit_new(1, 8);
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		uint8_t octets[4] = { 10, 0, 0, (uint8_t)i };
		struct ip ip = ip_make(octets, 4);

		if (limit_enter(limit, 0, &ip, 1)) {
			taken++;
			assert_int_equal(limit_count(limit, &ip), 1);
		}
	}
	assert_in_range(taken, 8, 16);
	limit_free(limit);
}

static void
hold_and_wait(struct limit *limit, unsigned worker, const struct ip *ip,
	      int ready)
{
	for (int i = 0; i < 5; i++)
		if (!limit_enter(limit, worker, ip, 100))
			_exit(1);
	if (write(ready, "!", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

/* kill -9 of a worker with open sessions leaves 0 after clearing. */
static void
a_killed_worker_leaves_nothing(void **state)
{
	struct limit *limit = limit_new(2, 100);
	struct ip ip = ip_of("192.0.2.1");
	int ready[2], status;
	char octet;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		hold_and_wait(limit, 1, &ip, ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	assert_int_equal(limit_count(limit, &ip), 5);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(limit_count(limit, &ip), 5);
	limit_clear(limit, 1);
	assert_int_equal(limit_count(limit, &ip), 0);
	assert_true(limit_enter(limit, 0, &ip, 1));
	close(ready[0]);
	close(ready[1]);
	limit_free(limit);
}

static void
come_and_go_for_ever(struct limit *limit, const struct ip *ip)
{
	for (;;)
		if (limit_enter(limit, 1, ip, 1000))
			limit_leave(limit, 1, ip);
}

/* Killed anywhere, also while it holds the lock: the others go on. */
static void
a_worker_killed_at_any_moment_blocks_nobody(void **state)
{
	struct limit *limit = limit_new(2, 100);
	struct ip ip = ip_of("192.0.2.1");

	(void)state;
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			come_and_go_for_ever(limit, &ip);
		usleep((useconds_t)(500 + 37 * i));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		limit_clear(limit, 1);
		assert_int_equal(limit_count(limit, &ip), 0);
	}
	limit_free(limit);
}

/* Two processes at once never get more than there is. */
static void
two_workers_never_take_the_same_last_place(void **state)
{
	enum { MOST = 10, TRIES = 20000 };
	struct limit *limit = limit_new(2, 100);
	struct ip ip = ip_of("192.0.2.1");
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	for (int i = 0; i < TRIES; i++) {
		unsigned worker = pid == 0 ? 1 : 0;
		unsigned taken = 0;

		while (taken < 8 && limit_enter(limit, worker, &ip, MOST))
			taken++;
		if (limit_count(limit, &ip) > MOST && pid == 0)
			_exit(1);
		assert_true(limit_count(limit, &ip) <= MOST);
		while (taken-- > 0)
			limit_leave(limit, worker, &ip);
	}
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(limit_count(limit, &ip), 0);
	limit_free(limit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sum_over_all_workers_is_what_counts),
		cmocka_unit_test(ipv6_is_counted_by_64),
		cmocka_unit_test(clearing_a_slice_leaves_the_others),
		cmocka_unit_test(many_addresses_come_and_go),
		cmocka_unit_test(a_full_slice_refuses),
		cmocka_unit_test(a_killed_worker_leaves_nothing),
		cmocka_unit_test(a_worker_killed_at_any_moment_blocks_nobody),
		cmocka_unit_test(two_workers_never_take_the_same_last_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
