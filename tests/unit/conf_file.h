/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_file: a text as a file that conf_read() reads.
 */
#ifndef TESTS_UNIT_CONF_FILE_H
#define TESTS_UNIT_CONF_FILE_H

#include "proxy/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CONF_FILE_SAID_MAX (1 << 20)

/* A file of these octets; its name goes to name, and the caller unlinks it. */
static inline void
conf_file_write(struct span text, char name[64])
{
	int fd;

	snprintf(name, 64, "/tmp/dmarcgate-conf-XXXXXX");
	fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
	close(fd);
}

/* The configuration of a text, or NULL; what is said of it, without the name of
 * the file, in *said, which the caller has initialised. */
static inline struct conf *
conf_file_read(struct span text, enum conf_scope scope, struct buf *said)
{
	char name[64];
	struct buf all;
	struct conf *conf;
	struct span left;

	buf_init(&all, CONF_FILE_SAID_MAX);
	conf_file_write(text, name);
	conf = conf_read(name, scope, &all);
	unlink(name);
	left = buf_span(&all);
	while (left.n > 0) {
		size_t end = span_find(left, '\n');
		struct span line = span_first(left, end);

		assert_true(end < left.n);
		assert_true(span_starts(line, span_cstr(name)));
		line = span_after(line, strlen(name) + 1);
		buf_append(said, line);
		buf_append_octet(said, '\n');
		left = span_after(left, end + 1);
	}
	buf_fini(&all);
	return conf;
}

/* The same of a gate's text behind another, with which nothing is wrong. */
static inline struct conf *
conf_file_behind(const char *before, const char *text, struct buf *said)
{
	struct buf all;
	struct conf *conf;

	buf_init(&all, CONF_FILE_SAID_MAX);
	buf_append(&all, span_cstr(before));
	buf_append(&all, span_cstr(text));
	conf = conf_file_read(buf_span(&all), CONF_GATE, said);
	buf_fini(&all);
	return conf;
}

/* The same, where nothing may be wrong with either. */
static inline struct conf *
conf_file_good(const char *before, const char *text)
{
	struct buf said;
	struct conf *conf;

	buf_init(&said, CONF_FILE_SAID_MAX);
	conf = conf_file_behind(before, text, &said);
	if (conf == NULL || said.n > 0)
		fail_msg("%s: %.*s", text, (int)said.n,
			 (const char *)buf_span(&said).p);
	buf_fini(&said);
	return conf;
}

#endif
