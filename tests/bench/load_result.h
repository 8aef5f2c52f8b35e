/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_result: what came of a load, and its report as JSON.
 *
 * Every message that was begun ends here exactly once: accepted, refused as
 * was expected of its kind, or an error with a name ("MAIL: 451", "connect:
 * Connection refused"). Nothing is left out because it went wrong.
 */
#ifndef TESTS_BENCH_LOAD_RESULT_H
#define TESTS_BENCH_LOAD_RESULT_H

#include "tests/bench/histogram.h"

#include <stdbool.h>

#define LOAD_NAMES_MAX 32
#define LOAD_NAME_MAX 160

struct load_count {
	char name[LOAD_NAME_MAX];
	uint64_t count;
};

struct load_result {
	uint64_t begun;
	uint64_t accepted;
	uint64_t failed;                           /* messages */
	struct load_count refused[LOAD_NAMES_MAX]; /* by code */
	struct load_count errors[LOAD_NAMES_MAX];
	uint64_t queued; /* arrivals that found no session free */
	uint64_t connections;
	uint64_t start_ns, end_ns;
	double cpu_s; /* of the load itself */
	char tls[LOAD_NAME_MAX];
	struct histogram transaction; /* from the start, or the arrival */
	struct histogram dot;         /* from the final dot */
};

/* The final reply that was expected has come. */
void load_result_answer(struct load_result *result, unsigned code,
			uint64_t transaction_ns, uint64_t dot_ns);

/* An error. is_message: a message was lost by it. */
void load_result_error(struct load_result *result, bool is_message,
		       const char *format, ...)
	__attribute__((format(printf, 3, 4)));

uint64_t load_result_errors(const struct load_result *result);

/* All of it on stdout, one JSON object, one line. */
void load_result_print(const struct load_result *result);

#endif
