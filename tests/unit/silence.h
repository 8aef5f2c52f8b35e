/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * silence: stderr into nothing, for tests that provoke events.
 *
 * What a test fails with is written by cmocka while it is silent, too: so it
 * is lifted at the end of each test, and a failing one is found by its name.
 */
#ifndef TESTS_UNIT_SILENCE_H
#define TESTS_UNIT_SILENCE_H

/* What stderr was; for silence_end(). */
int silence_start(void);
void silence_end(int kept);

#endif
