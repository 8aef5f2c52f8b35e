/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * occasions: which verbs were said in which states of a session, by all that
 * was played.
 *
 * It is the gate that tells: the linker puts the functions of occasions.c in
 * front of server_step() and some more (--wrap, see the Makefile), and each
 * line that is decided there is counted with what the session was at, and with
 * whether its argument was wrong. Lines that stand behind DATA, behind STARTTLS
 * or behind the end, and that must not be looked at, are counted where the
 * session has them before it and closes. So nothing counts that a script only
 * claims, and no script can go without its loss being seen.
 *
 * One state is not to be seen from here: what comes in place of a handshake
 * never reaches a session. See spoil() of tests/wire/party.py.
 */
#ifndef TESTS_REPLAY_OCCASIONS_H
#define TESTS_REPLAY_OCCASIONS_H

#include "smtp/command.h"

/* Whether what is played from now on counts. */
void occasions_count(bool is_counted);

const char *occasions_verb(enum verb verb);

/* Where a verb was not said: names of states, in words; empty if there are
 * none. Counts "said" in all states. */
unsigned occasions_missing(enum verb verb, struct buf *states);

#endif
