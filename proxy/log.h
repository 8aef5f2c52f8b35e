/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log: events on stderr, one line each.
 *
 * What happened to a message is in its verdict line; everything else that an
 * administrator should know is an event of events.def. A line is composed in
 * memory and written whole; values are escaped so that a line stays one line.
 * Repeats of one event are held back above 20 a second and their number said.
 */
#ifndef PROXY_LOG_H
#define PROXY_LOG_H

#include "smtp/buf.h"

#include <sys/types.h>

/* clang-format off */
enum log_event {
#define X(name, text, severity, meaning) EVENT_##name,
#include "proxy/events.def"
#undef X
	EVENT_COUNT
};
/* clang-format on */

/* Lines of one event in one second. */
#define LOG_REPEATS_MAX 20

/* Longest line with its LF; a pipe takes it whole (PIPE_BUF). */
#define LOG_LINE_MAX 2048

/* Once, at the start: remember which file stderr is, as its name is not known
 * any more once it was renamed. */
void log_init(void);

/* Write one line; details are "key=value key=value", composed by the caller
 * (see log_value()); what is too long is cut and says so. Never waits: a pipe
 * that nobody empties costs lines, which are counted and said later. */
void log_event(enum log_event event, struct span details);

/* Append "key=value", behind a space where something stands before. A value
 * with anything but letters, digits and harmless signs is quoted. */
bool log_value(struct buf *buf, const char *key, struct span value);

/* Say how many lines were held back in seconds that are over. About once a
 * second, and at the end. */
void log_flush(void);

/* How often an event happened in this process, written or not. */
uint64_t log_count(enum log_event event);

/* The same with printf's format. */
void log_printf(enum log_event event, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One event for each line of a text, as key=LINE; of very many the first ones,
 * and how many more there are. */
void log_lines(enum log_event event, const char *key, const struct buf *text);

/* Open the file that stderr is (a regular file renamed by a log rotation)
 * anew, and say so; does nothing for a pipe or terminal. One that root has made
 * for it is given to that user. If it cannot be opened, it goes on with the old
 * one. A symbolic link is not followed: its directory may be another's. */
void log_reopen(uid_t owner, gid_t group);

const char *log_event_name(enum log_event event);

#endif
