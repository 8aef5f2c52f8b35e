/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jsonpath: one value of a JSON text, by its path ("dkim.0.result").
 */
#ifndef TESTS_REPLAY_JSONPATH_H
#define TESTS_REPLAY_JSONPATH_H

#include "smtp/buf.h"

/*
 * Append the value: of a string what stands between its quotes, with \" and
 * \\ undone; anything else as it is written. False if there is no such value,
 * or the text is no JSON up to there.
 */
bool jsonpath_find(struct span json, struct span path, struct buf *value);

/* Whether text is one JSON value and nothing else. */
bool jsonpath_is_json(struct span text);

#endif
