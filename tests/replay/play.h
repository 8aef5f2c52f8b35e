/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * play: one script, line by line, on a stage.
 */
#ifndef TESTS_REPLAY_PLAY_H
#define TESTS_REPLAY_PLAY_H

#include "tests/replay/script.h"
#include "tests/replay/stage.h"

/* Play it to its end, or to the first thing that is not as written: then
 * stage->fault says where and what. */
void play(struct stage *stage, const struct script *script);

#endif
