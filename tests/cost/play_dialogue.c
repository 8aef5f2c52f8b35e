/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * play_dialogue: hand over messages, for callgrind to count what they cost.
 *
 *     play_dialogue NAME MESSAGES
 *
 * By the portable way of scan.h, so that no processor counts otherwise.
 */
#include "smtp/scan.h"
#include "tests/cost/dialogue.h"

#include <stdio.h>

static bool
play(const char *name, uint64_t messages)
{
	static struct dialogue dialogue;
	bool is_good = dialogue_init(&dialogue, name);

	for (uint64_t i = 0; is_good && i < messages; i++)
		is_good = dialogue_play(&dialogue);
	if (!is_good)
		fprintf(stderr, "%s: %.*s%.*s\n", name, (int)dialogue.faults.n,
			(const char *)buf_span(&dialogue.faults).p,
			(int)dialogue.stage.fault.n,
			(const char *)buf_span(&dialogue.stage.fault).p);
	dialogue_fini(&dialogue);
	return is_good;
}

int
main(int argc, char **argv)
{
	uint64_t messages;

	if (argc != 3 || !span_u64(span_cstr(argv[2]), &messages)) {
		fprintf(stderr, "usage: %s NAME MESSAGES\n", argv[0]);
		return 64;
	}
	scan_use(SCAN_PORTABLE);
	return play(argv[1], messages) ? 0 : 1;
}
