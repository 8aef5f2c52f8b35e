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

/* At most max connections of an address; nothing else is bounded. */
static bool
enter(struct limit *limit, unsigned worker, const struct ip *ip, unsigned max)
{
	const struct limit_bounds bounds = { .per_address = max };

	return limit_enter(limit, worker, ip, &bounds) == LIMIT_TAKEN;
}

static struct ip
numbered(unsigned i)
{
	const uint8_t octets[4] = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8),
				    (uint8_t)i };

	return ip_make(octets, 4);
}

static void
the_sum_over_all_workers_is_what_counts(void **state)
{
	struct limit *limit = limit_new(3, 100);
	struct ip ip = ip_of("192.0.2.1");
	struct ip other = ip_of("192.0.2.2");

	(void)state;
	assert_non_null(limit);
	assert_true(enter(limit, 0, &ip, 3));
	assert_true(enter(limit, 1, &ip, 3));
	assert_true(enter(limit, 2, &ip, 3));
	assert_false(enter(limit, 0, &ip, 3));
	assert_true(enter(limit, 0, &other, 3));
	assert_int_equal(limit_count(limit, &ip), 3);
	limit_leave(limit, 1, &ip);
	assert_int_equal(limit_count(limit, &ip), 2);
	assert_true(enter(limit, 0, &ip, 3));
	assert_false(enter(limit, 1, &ip, 3));
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
	assert_true(enter(limit, 0, &a, 1));
	assert_false(enter(limit, 0, &b, 1));
	assert_true(enter(limit, 0, &c, 1));
	assert_true(enter(limit, 0, &v4, 1));
	limit_free(limit);
}

static void
clearing_a_slice_leaves_the_others(void **state)
{
	struct limit *limit = limit_new(2, 100);
	struct ip ip = ip_of("192.0.2.1");

	(void)state;
	assert_true(enter(limit, 0, &ip, 10));
	assert_true(enter(limit, 1, &ip, 10));
	assert_true(enter(limit, 1, &ip, 10));
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
		} else if (enter(limit, 0, &ip, 5)) {
			counts[at]++;
			assert_true(counts[at] <= 5);
		} else {
			assert_int_equal(counts[at], 5);
		}
		assert_int_equal(limit_count(limit, &ip), counts[at]);
	}
	limit_free(limit);
}

/* More different addresses than there is room for are refused, not lost; and
 * what was refused has left nothing behind. */
static void
a_full_slice_refuses(void **state)
{
	const struct limit_bounds none = { 0 };
	struct limit *limit = limit_new(1, 8);
	bool is_in[200];
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct ip ip = numbered(i << 8); /* a network for each */
		enum limit_answer answer = limit_enter(limit, 0, &ip, &none);

		is_in[i] = answer == LIMIT_TAKEN;
		taken += is_in[i];
		if (!is_in[i])
			assert_int_equal(answer, LIMIT_FULL);
		assert_int_equal(limit_count(limit, &ip), is_in[i] ? 1 : 0);
		assert_int_equal(limit_total(limit), taken);
	}
	assert_in_range(taken, 8, 32);
	for (unsigned i = 0; i < 200; i++) {
		struct ip ip = numbered(i << 8);

		if (is_in[i])
			limit_leave(limit, 0, &ip);
	}
	assert_int_equal(limit_total(limit), 0);
	limit_free(limit);
}

static void
each_bound_is_one_of_its_own(void **state)
{
	const struct limit_bounds bounds = { 5, 3, 2 };
	struct limit *limit = limit_new(2, 100);
	struct ip a = ip_of("192.0.2.1"), b = ip_of("192.0.2.200");
	struct ip far = ip_of("192.0.3.1"), v6 = ip_of("2001:db8::1");

	(void)state;
	assert_int_equal(limit_enter(limit, 0, &a, &bounds), LIMIT_TAKEN);
	assert_int_equal(limit_enter(limit, 1, &a, &bounds), LIMIT_TAKEN);
	assert_int_equal(limit_enter(limit, 0, &a, &bounds), LIMIT_ADDRESS);
	assert_int_equal(limit_enter(limit, 1, &b, &bounds), LIMIT_TAKEN);
	assert_int_equal(limit_enter(limit, 1, &b, &bounds), LIMIT_NETWORK);
	assert_int_equal(limit_enter(limit, 0, &far, &bounds), LIMIT_TAKEN);
	assert_int_equal(limit_enter(limit, 0, &v6, &bounds), LIMIT_TAKEN);
	assert_int_equal(limit_enter(limit, 1, &v6, &bounds), LIMIT_TOTAL);
	limit_leave(limit, 1, &a);
	assert_int_equal(limit_total(limit), 4);
	assert_int_equal(limit_enter(limit, 1, &v6, &bounds), LIMIT_TAKEN);
	limit_free(limit);
}

static void
a_network_of_ipv6_is_a_48(void **state)
{
	const struct limit_bounds bounds = { .per_network = 1 };
	struct limit *limit = limit_new(1, 100);
	struct ip a = ip_of("2001:db8:1:1::1"), b = ip_of("2001:db8:1:2::1");
	struct ip c = ip_of("2001:db8:2:1::1");

	(void)state;
	assert_int_equal(limit_enter(limit, 0, &a, &bounds), LIMIT_TAKEN);
	assert_int_equal(limit_enter(limit, 0, &b, &bounds), LIMIT_NETWORK);
	assert_int_equal(limit_enter(limit, 0, &c, &bounds), LIMIT_TAKEN);
	limit_free(limit);
}

/* The clock is the test's own. */
static void
a_window_begins_with_the_first_and_lasts_a_period(void **state)
{
	enum { START = 1000, PERIOD = 60 };
	struct limit *limit = limit_new(1, 100);
	struct ip ip = ip_of("192.0.2.1"), other = ip_of("192.0.2.2");

	(void)state;
#define TAKE(who, us) \
	limit_rate(limit, RATE_CONNECTIONS, &(who), 2, PERIOD, START + (us))
	assert_true(TAKE(ip, 0));
	assert_true(TAKE(ip, 59));
	assert_false(TAKE(ip, 59));
	assert_true(TAKE(other, 59));
	assert_true(TAKE(ip, 60)); /* the next one: 60 to 119 */
	assert_true(TAKE(ip, 100));
	assert_false(TAKE(ip, 119));
	assert_true(TAKE(other, 118));
	assert_true(TAKE(ip, 120));
	limit_free(limit);
}

static void
kinds_of_rate_do_not_mix(void **state)
{
	struct limit *limit = limit_new(1, 100);
	struct ip ip = ip_of("2001:db8::1"), same = ip_of("2001:db8::2");

	(void)state;
	assert_true(limit_rate(limit, RATE_CONNECTIONS, &ip, 1, 60, 1));
	assert_true(limit_rate(limit, RATE_MESSAGES, &ip, 1, 60, 1));
	assert_false(limit_rate(limit, RATE_MESSAGES, &same, 1, 60, 2));
	limit_free(limit);
}

/* Who has a million addresses cannot fill the table: each of them is counted
 * at its time, and so is whoever comes then. */
static void
a_million_addresses_do_not_fill_the_windows(void **state)
{
	enum { PERIOD = 60000000 };
	struct limit *limit = limit_new(1, 100);

	(void)state;
	for (unsigned i = 0; i < 1000000; i++) {
		struct ip ip = numbered(i);

		assert_true(limit_rate(limit, RATE_CONNECTIONS, &ip, 1, PERIOD,
				       i + 1));
		assert_false(limit_rate(limit, RATE_CONNECTIONS, &ip, 1, PERIOD,
					i + 1));
	}
	limit_free(limit);
}

/* Room is made by what is over, not by those who are at it. */
static void
idle_windows_make_room(void **state)
{
	enum { PERIOD = 1000, LATE = 100000 };
	struct limit *limit = limit_new(1, 100);
	struct ip ip = ip_of("192.0.2.1");

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct ip idle = numbered(i);

		limit_rate(limit, RATE_CONNECTIONS, &idle, 1, PERIOD, 1);
	}
	assert_true(limit_rate(limit, RATE_MESSAGES, &ip, 1, PERIOD, LATE));
	for (unsigned i = 0; i < 10000; i++) {
		struct ip other = numbered(i << 4);

		limit_rate(limit, RATE_CONNECTIONS, &other, 1, PERIOD, LATE);
	}
	assert_false(limit_rate(limit, RATE_MESSAGES, &ip, 1, PERIOD, LATE));
	limit_free(limit);
}

/* Several processes at once: as many as there may be in a window, not one
 * more. */
static void
rates_hold_across_workers(void **state)
{
	enum { WORKERS = 4, TRIES = 5000, MOST = 3000 };
	struct limit *limit = limit_new(WORKERS, 100);
	struct ip ip = ip_of("192.0.2.1");
	unsigned taken = 0;
	int sums[2];

	(void)state;
	assert_int_equal(pipe(sums), 0);
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		unsigned own = 0;

		if (fork() != 0)
			continue;
		for (unsigned i = 0; i < TRIES; i++)
			own += limit_rate(limit, RATE_MESSAGES, &ip, MOST,
					  1000000, 1 + i);
		_exit(write(sums[1], &own, sizeof(own)) != sizeof(own));
	}
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		unsigned own;
		int status;

		assert_int_equal(read(sums[0], &own, sizeof(own)), sizeof(own));
		taken += own;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(taken, MOST);
	close(sums[0]);
	close(sums[1]);
	limit_free(limit);
}

static void
hold_and_wait(struct limit *limit, unsigned worker, const struct ip *ip,
	      int ready)
{
	for (int i = 0; i < 5; i++)
		if (!enter(limit, worker, ip, 100))
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
	assert_true(enter(limit, 0, &ip, 1));
	close(ready[0]);
	close(ready[1]);
	limit_free(limit);
}

static void
come_and_go_for_ever(struct limit *limit, const struct ip *ip)
{
	for (;;) {
		if (enter(limit, 1, ip, 1000))
			limit_leave(limit, 1, ip);
		limit_rate(limit, RATE_MESSAGES, ip, 5, 1, 1);
	}
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
		assert_int_equal(limit_total(limit), 0);
		assert_true(limit_rate(limit, RATE_MESSAGES, &ip, 1, 1,
				       10 + (uint64_t)i));
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

		while (taken < 8 && enter(limit, worker, &ip, MOST))
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
		cmocka_unit_test(each_bound_is_one_of_its_own),
		cmocka_unit_test(a_network_of_ipv6_is_a_48),
		cmocka_unit_test(
			a_window_begins_with_the_first_and_lasts_a_period),
		cmocka_unit_test(kinds_of_rate_do_not_mix),
		cmocka_unit_test(a_million_addresses_do_not_fill_the_windows),
		cmocka_unit_test(idle_windows_make_room),
		cmocka_unit_test(rates_hold_across_workers),
		cmocka_unit_test(a_killed_worker_leaves_nothing),
		cmocka_unit_test(a_worker_killed_at_any_moment_blocks_nobody),
		cmocka_unit_test(two_workers_never_take_the_same_last_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
