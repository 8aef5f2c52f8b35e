/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log: events on stderr, one line each.
 *
 * Written with write(2), not on the ring: the master has no ring, and a line
 * about a failing ring must get out too. A worker must not wait for whoever
 * reads its stderr, and O_NONBLOCK would be shared with everybody who has the
 * same terminal or pipe: so it is asked whether there is room, which for a
 * pipe means room for PIPE_BUF octets, more than any line has.
 */
#include "proxy/log.h"

#include "proxy/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum severity { INFO, WARN, ERROR, FATAL };

struct row {
	const char *name;
	enum severity severity;
};

static const struct row rows[EVENT_COUNT] = {
#define X(name, text, severity, meaning) [EVENT_##name] = { (text), severity },
#include "proxy/events.def"
#undef X
};

static const char *const severities[] = {
	[INFO] = "INFO",
	[WARN] = "WARN",
	[ERROR] = "ERROR",
	[FATAL] = "FATAL",
};

/* The second in which an event was last seen, and what came in it. */
struct window {
	uint64_t second;
	unsigned written;
	unsigned held_back;
	uint64_t count; /* since the start */
};

static struct window windows[EVENT_COUNT];
static uint64_t lines_lost; /* no room in the pipe */
static char path[PATH_MAX]; /* of the file that stderr is; or empty */
static const char cut[] = " [cut]\n";

const char *
log_event_name(enum log_event event)
{
	assert(event < EVENT_COUNT);
	return rows[event].name;
}

uint64_t
log_count(enum log_event event)
{
	assert(event < EVENT_COUNT);
	return windows[event].count;
}

static bool
is_plain(struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return value.n > 0;
}

/* One octet as it may stand in a line: printable ASCII only, since a terminal
 * also obeys C1 controls, and shows some of Unicode in misleading order. */
static bool
append_escaped(struct buf *buf, uint8_t c)
{
	if (c < ' ' || c >= 0x7f)
		return buf_printf(buf, "\\x%02x", c);
	return buf_append_octet(buf, c);
}

bool
log_value(struct buf *buf, const char *key, struct span value)
{
	if (buf->n > 0)
		buf_append_octet(buf, ' ');
	buf_printf(buf, "%s=", key);
	if (is_plain(value))
		return buf_append(buf, value);
	buf_append_octet(buf, '"');
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_append_octet(buf, '\\');
		append_escaped(buf, value.p[i]);
	}
	return buf_append_octet(buf, '"');
}

/* "2026-11-21T12:00:00.123456Z SEVERITY NAME"; its length. */
static size_t
compose_head(char *line, size_t room, enum log_event event)
{
	uint64_t now_us = clock_wall_us();
	time_t seconds = (time_t)(now_us / 1000000);
	char second[32] = "";
	struct tm date;
	int n;

	if (gmtime_r(&seconds, &date) != NULL)
		strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &date);
	n = snprintf(line, room, "%s.%06uZ %s %s", second,
		     (unsigned)(now_us % 1000000),
		     severities[rows[event].severity], rows[event].name);
	assert(n > 0 && (size_t)n < room);
	return (size_t)n;
}

/* The details behind the head, escaped, with LF; the line's length. */
static size_t
compose(char line[LOG_LINE_MAX], enum log_event event, struct span details)
{
	size_t room = LOG_LINE_MAX - sizeof(cut);
	size_t n = compose_head(line, room, event);

	if (details.n > 0)
		line[n++] = ' ';
	for (size_t i = 0; i < details.n; i++) {
		uint8_t c = details.p[i];

		if (n + 4 > room) {
			memcpy(line + n, cut, sizeof(cut) - 1);
			return n + sizeof(cut) - 1;
		}
		if (c < ' ' || c >= 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
		else
			line[n++] = (char)c;
	}
	line[n++] = '\n';
	return n;
}

static void
write_line(enum log_event event, struct span details)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[LOG_LINE_MAX];
	size_t n = compose(line, event, details);

	if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0 ||
	    write(STDERR_FILENO, line, n) != (ssize_t)n)
		lines_lost++;
}

/* If the window of an event is over, say what it held back. */
static void
window_close(enum log_event event, uint64_t second)
{
	struct window *window = &windows[event];
	unsigned held_back = window->held_back;
	char text[64];
	int n;

	if (window->second == second)
		return;
	window->second = second;
	window->written = 0;
	window->held_back = 0;
	if (held_back == 0)
		return;
	n = snprintf(text, sizeof(text), "held-back=%u", held_back);
	write_line(event, span_make(text, (size_t)n));
}

void
log_event(enum log_event event, struct span details)
{
	struct window *window = &windows[event];

	assert(event < EVENT_COUNT);
	window_close(event, clock_monotonic_us() / 1000000);
	window->count++;
	if (window->written >= LOG_REPEATS_MAX) {
		window->held_back++;
		return;
	}
	window->written++;
	write_line(event, details);
}

void
log_printf(enum log_event event, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	assert(n >= 0);
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	log_event(event, span_make(text, (size_t)n));
}

/* Some room is left for what else happens in the same second. */
#define LINES_MAX (LOG_REPEATS_MAX / 2)

void
log_lines(enum log_event event, const char *key, const struct buf *text)
{
	struct span rest = buf_span(text);
	unsigned count = 0;

	for (; rest.n > 0; count++) {
		size_t n = span_find(rest, '\n');
		struct buf line;

		buf_init(&line, LOG_LINE_MAX);
		log_value(&line, key, span_first(rest, n));
		if (count < LINES_MAX)
			log_event(event, buf_span(&line));
		buf_fini(&line);
		rest = span_after(rest, n < rest.n ? n + 1 : n);
	}
	if (count > LINES_MAX)
		log_printf(event, "more=%u", count - LINES_MAX);
}

static void
say_lost(void)
{
	uint64_t lost = lines_lost;
	char text[64];
	int n;

	if (lost == 0)
		return;
	lines_lost = 0;
	n = snprintf(text, sizeof(text), "lines=%llu",
		     (unsigned long long)lost);
	write_line(EVENT_LOG_LOST, span_make(text, (size_t)n));
	if (lines_lost > 0)
		lines_lost = lost; /* still no room */
}

void
log_flush(void)
{
	uint64_t second = clock_monotonic_us() / 1000000;

	for (unsigned event = 0; event < EVENT_COUNT; event++)
		window_close((enum log_event)event, second);
	say_lost();
}

static bool
is_regular(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

void
log_init(void)
{
	ssize_t n;

	path[0] = '\0';
	if (!is_regular(STDERR_FILENO))
		return;
	n = readlink("/proc/self/fd/2", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
}

/* 0 or a negative errno. */
static int
reopen(uid_t owner, gid_t group)
{
	int fd, result = 0;

	fd = open(path,
		  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
			  O_NOFOLLOW,
		  0640);
	if (fd < 0)
		return -errno;
	if (!is_regular(fd))
		result = -EINVAL;
	else if ((geteuid() == 0 && fchown(fd, owner, group) != 0) ||
		 dup2(fd, STDERR_FILENO) < 0)
		result = -errno;
	close(fd);
	return result;
}

void
log_reopen(uid_t owner, gid_t group)
{
	int error = path[0] == '\0' ? 0 : reopen(owner, group);

	log_printf(EVENT_LOG_REOPENED, "pid=%ld%s%s%s", (long)getpid(),
		   error == 0 ? "" : " error=\"",
		   error == 0 ? "" : strerror(-error), error == 0 ? "" : "\"");
}
