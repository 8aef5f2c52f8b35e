/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock: a clock that moves only when a test moves it.
 *
 * Preloaded into the gate, it stands in front of the C library's clocks and
 * shows what stands in the file named by WIRE_CLOCK: microseconds, in the
 * order of octets of this machine, which the test counts on. Nothing times out
 * by itself then, however slow the machine is, and 300 seconds pass at once.
 * The dice of a worker (proxy/worker.c), too, fall as a test counts on: always
 * on nothing, which is the first address of several.
 *
 * The wall clock is that of tests/replay/stage.c, so that a script finds the
 * same date on the wire and in process. What runs on it once it was moved is
 * the kernel's affair: a test wakes the gate after it has moved the clock.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* 2026-11-21T12:00:00Z */
#define WALL_US UINT64_C(1795262400000000)

static const volatile uint64_t *shown;

/* The library calls this before main(), and so before any privilege is
 * dropped. Without a clock there is no test. */
__attribute__((constructor)) static void
clock_find(void)
{
	const char *name = getenv("WIRE_CLOCK");
	int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
	void *page = fd < 0 ? MAP_FAILED
			    : mmap(NULL, sizeof(*shown), PROT_READ, MAP_SHARED,
				   fd, 0);

	if (page == MAP_FAILED) {
		fprintf(stderr, "WIRE_CLOCK names no clock\n");
		_exit(EXIT_FAILURE);
	}
	close(fd);
	shown = page;
}

static uint64_t
read_us(clockid_t which)
{
	bool is_wall =
		which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE;

	if (shown == NULL) /* another library's constructor asks */
		clock_find();
	return *shown + (is_wall ? WALL_US : 0);
}

int
clock_gettime(clockid_t which, struct timespec *now)
{
	uint64_t us = read_us(which);

	now->tv_sec = (time_t)(us / 1000000);
	now->tv_nsec = (long)(us % 1000000 * 1000);
	return 0;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	uint64_t us = read_us(CLOCK_REALTIME);

	(void)zone;
	now->tv_sec = (time_t)(us / 1000000);
	now->tv_usec = (suseconds_t)(us % 1000000);
	return 0;
}

time_t
time(time_t *now)
{
	time_t seconds = (time_t)(read_us(CLOCK_REALTIME) / 1000000);

	if (now != NULL)
		*now = seconds;
	return seconds;
}

/* Only the dice are asked for without waiting. */
ssize_t
getrandom(void *octets, size_t n, unsigned flags)
{
	if ((flags & GRND_NONBLOCK) == 0)
		return syscall(SYS_getrandom, octets, n, flags);
	memset(octets, 0, n);
	return (ssize_t)n;
}
