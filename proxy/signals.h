/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals: what a child of the master hears, and what it must not die of.
 *
 * A child ends when the master says so, and writes its logs anew when the
 * master says so; the terminal's and the reload's signals are the master's
 * alone. A reader that went away (SIGPIPE) and a file at its limit (SIGXFSZ)
 * are errors of a write, told by its result.
 */
#ifndef PROXY_SIGNALS_H
#define PROXY_SIGNALS_H

/* Have SIGTERM, SIGUSR1 and one more (0 for none) come by a descriptor: that
 * of a signalfd(2), non-blocking, the caller's to close; -1 with errno. No
 * other signal is blocked after it. */
int signals_open(int another);

#endif
