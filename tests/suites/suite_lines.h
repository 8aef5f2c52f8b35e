/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite_lines: a community suite as lines, which a script of ours makes of its
 * file.
 */
#ifndef TESTS_SUITE_LINES_H
#define TESTS_SUITE_LINES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* What tests/suites/SCRIPT prints of a file of the suites; to be closed by
 * suite_close(). Without the file the test is skipped, and says so. */
static inline FILE *
suite_open(const char *file, const char *script)
{
	const char *suites = getenv("DMARCGATE_SUITES");
	char path[1000], command[2000];
	FILE *lines;

	snprintf(path, sizeof(path), "%s/%s",
		 suites == NULL ? "../shared/suites" : suites, file);
	if (access(path, R_OK) != 0) {
		printf("# no %s: set DMARCGATE_SUITES\n", path);
		skip();
	}
	snprintf(command, sizeof(command),
		 "/usr/bin/python3 tests/suites/%s '%s'", script, path);
	lines = popen(command, "r");
	assert_non_null(lines);
	return lines;
}

static inline void
suite_close(FILE *lines)
{
	assert_int_equal(pclose(lines), 0);
}

#endif
