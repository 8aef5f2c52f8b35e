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

#include "smtp/span.h"

/* clang-format off */
enum log_event {
#define X(name, text, severity, meaning) EVENT_##name,
#include "proxy/events.def"
#undef X
	EVENT_COUNT
};
/* clang-format on */

/* Write one line; details are "key=value key=value", composed by the caller
 * (see log_value()). */
void log_event(enum log_event event, struct span details);

/* The same with printf's format. */
void log_printf(enum log_event event, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Open the file that stderr is (a regular file renamed by a log rotation)
 * anew; does nothing for a pipe or terminal. */
void log_reopen(void);

const char *log_event_name(enum log_event event);

#endif
