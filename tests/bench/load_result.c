/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/load_result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* When there are too many different ones, the last entry takes the rest. */
static void
count(struct load_count *list, const char *name)
{
	size_t i = 0;

	while (i + 1 < LOAD_NAMES_MAX && list[i].count > 0 &&
	       strcmp(list[i].name, name) != 0)
		i++;
	if (list[i].count == 0)
		snprintf(list[i].name, LOAD_NAME_MAX, "%s", name);
	list[i].count++;
}

void
load_result_answer(struct load_result *result, unsigned code,
		   uint64_t transaction_ns, uint64_t dot_ns)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", code);
	if (code / 100 == 2)
		result->accepted++;
	else
		count(result->refused, name);
	histogram_add(&result->transaction, transaction_ns);
	histogram_add(&result->dot, dot_ns);
}

void
load_result_error(struct load_result *result, bool is_message,
		  const char *format, ...)
{
	char name[LOAD_NAME_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	count(result->errors, name);
	if (is_message)
		result->failed++;
}

uint64_t
load_result_errors(const struct load_result *result)
{
	uint64_t all = 0;

	for (size_t i = 0; i < LOAD_NAMES_MAX; i++)
		all += result->errors[i].count;
	return all;
}

/* As a JSON string. What is not printable ASCII is no part of our own texts,
 * and of a server's it does not matter. */
static void
print_string(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text >= ' ' && *text <= '~' ? *text : '?');
	}
	putchar('"');
}

static void
print_counts(const char *name, const struct load_count *list)
{
	printf(", \"%s\": {", name);
	for (size_t i = 0; i < LOAD_NAMES_MAX && list[i].count > 0; i++) {
		printf("%s", i == 0 ? "" : ", ");
		print_string(list[i].name);
		printf(": %llu", (unsigned long long)list[i].count);
	}
	printf("}");
}

static void
print_histogram(const char *name, const struct histogram *histogram)
{
	static const struct {
		const char *name;
		unsigned millionths;
	} points[] = {
		{ "p50", 500000 },
		{ "p90", 900000 },
		{ "p99", 990000 },
		{ "p99.9", 999000 },
	};

	printf(", \"%s\": {", name);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		printf("\"%s\": %.3f, ", points[i].name,
		       (double)histogram_percentile(histogram,
						    points[i].millionths) /
			       1e3);
	printf("\"max\": %.3f, \"mean\": %.3f}", (double)histogram->max / 1e3,
	       histogram->count == 0 ? 0.0
				     : (double)histogram->sum /
					       (double)histogram->count / 1e3);
}

void
load_result_print(const struct load_result *result)
{
	double seconds = (double)(result->end_ns - result->start_ns) / 1e9;

	printf("{\"messages\": %llu, \"accepted\": %llu, \"failed\": %llu",
	       (unsigned long long)result->begun,
	       (unsigned long long)result->accepted,
	       (unsigned long long)result->failed);
	print_counts("refused", result->refused);
	print_counts("errors", result->errors);
	printf(", \"seconds\": %.6f, \"rate\": %.3f", seconds,
	       seconds > 0 ? (double)result->transaction.count / seconds : 0.0);
	printf(", \"queued\": %llu, \"connections\": %llu, \"cpu_s\": %.6f",
	       (unsigned long long)result->queued,
	       (unsigned long long)result->connections, result->cpu_s);
	printf(", \"tls\": ");
	print_string(result->tls);
	print_histogram("transaction_us", &result->transaction);
	print_histogram("dot_us", &result->dot);
	printf("}\n");
}
