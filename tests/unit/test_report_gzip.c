/* SPDX-License-Identifier: BSD-2-Clause */
/* Compressed files: what gzip(1) reads, and what is left of a broken one. */
#include "dmarc/report/gzip.h"

#include "tests/unit/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static struct folder folder;

static int
make(const char *name)
{
	int fd = open(folder_path(&folder, name),
		      O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* Lines as in a log, which differ and yet repeat; then some that do not. */
static void
fill(struct buf *text, size_t n)
{
	uint32_t noise = 1;

	for (unsigned i = 0; text->n < n; i++) {
		noise = noise * 1103515245 + 12345;
		buf_printf(text, "{\"v\":1,\"n\":%u,\"noise\":\"%08x\"}\n", i,
			   noise);
	}
}

/* A file "plain" of those octets, compressed as "packed": its descriptor. */
static int
compress(struct span text)
{
	int from = make("plain"), to = make("packed");

	assert_int_equal(write(from, text.p, text.n), text.n);
	assert_int_equal(gzip_compress(from, to), 0);
	close(from);
	return to;
}

/* Read all there is in pieces; what the last call said. */
static ssize_t
read_all(int fd, size_t piece, struct buf *text)
{
	struct gzip_reader *reader = gzip_reader_new(fd);
	ssize_t n;

	assert_non_null(reader);
	buf_reset(text);
	do {
		uint8_t *room = buf_reserve(text, piece);

		assert_non_null(room);
		n = gzip_read(reader, room, piece);
		if (n > 0)
			buf_extend(text, (size_t)n);
	} while (n > 0);
	/* It stays where it is. */
	assert_int_equal(gzip_read(reader, &(char){ 0 }, 1), n);
	gzip_reader_free(reader);
	return n;
}

static void
what_was_compressed_is_read_again(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, 65536, 1000000 };
	static const size_t pieces[] = { 1, 7, 4096, 200000 };
	struct buf text, again;

	(void)state;
	buf_init(&text, 1 << 21);
	buf_init(&again, 1 << 21);
	for (size_t i = 0; i < CASES(sizes); i++) {
		int fd;

		buf_reset(&text);
		fill(&text, sizes[i]);
		fd = compress(buf_span(&text));
		assert_true(sizes[i] < 1000 ||
			    lseek(fd, 0, SEEK_END) < (off_t)text.n / 2);
		for (size_t k = 0; k < CASES(pieces); k++) {
			assert_int_equal(read_all(fd, pieces[k], &again), 0);
			assert_true(
				span_equal(buf_span(&again), buf_span(&text)));
		}
		close(fd);
	}
	buf_fini(&text);
	buf_fini(&again);
}

static void
gzip_itself_reads_it(void **state)
{
	char command[1024];
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	fill(&text, 100000);
	close(compress(buf_span(&text)));
	snprintf(command, sizeof(command),
		 "gzip -dc <%s/packed | cmp - %s/plain", folder.name,
		 folder.name);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	buf_fini(&text);
}

static void
members_one_behind_the_other_are_one_file(void **state)
{
	uint8_t octets[256];
	struct buf again;
	ssize_t n;
	int fd;

	(void)state;
	fd = compress(SPAN_LIT("once\n"));
	n = pread(fd, octets, sizeof(octets), 0);
	assert_int_equal(write(fd, octets, (size_t)n), n);
	buf_init(&again, 4096);
	assert_int_equal(read_all(fd, 100, &again), 0);
	assert_true(span_equal(buf_span(&again), SPAN_LIT("once\nonce\n")));
	buf_fini(&again);
	close(fd);
}

/* At every length: it is noticed, and what was read before is right. */
static void
one_cut_short_is_no_good(void **state)
{
	struct buf text, again;
	off_t size;
	int fd;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&again, 1 << 20);
	fill(&text, 20000);
	fd = compress(buf_span(&text));
	size = lseek(fd, 0, SEEK_END);
	while (size-- > 0) {
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(read_all(fd, 5000, &again), -EBADMSG);
		assert_true(again.n <= text.n);
		assert_memory_equal(buf_span(&again).p == NULL
					    ? buf_span(&text).p
					    : buf_span(&again).p,
				    buf_span(&text).p, again.n);
	}
	close(fd);
	buf_fini(&text);
	buf_fini(&again);
}

static void
damage_is_noticed(void **state)
{
	struct buf text, again;
	off_t size;
	int fd;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&again, 1 << 20);
	fill(&text, 20000);
	fd = compress(buf_span(&text));
	size = lseek(fd, 0, SEEK_END);
	assert_int_equal(pwrite(fd, "damage", 6, size / 2), 6);
	assert_int_equal(read_all(fd, 5000, &again), -EBADMSG);
	close(fd);
	fd = compress(buf_span(&text));
	assert_int_equal(lseek(fd, 0, SEEK_END), size);
	assert_int_equal(write(fd, "behind it", 9), 9);
	assert_int_equal(read_all(fd, 5000, &again), -EBADMSG);
	assert_true(span_equal(buf_span(&again), buf_span(&text)));
	close(fd);
	buf_fini(&text);
	buf_fini(&again);
}

static void
a_full_disk_is_told(void **state)
{
	int from = make("plain"), to = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(write(from, "line\n", 5), 5);
	assert_true(to >= 0);
	assert_int_equal(gzip_compress(from, to), -ENOSPC);
	assert_int_equal(gzip_compress(-1, to), -EBADF);
	close(from);
	close(to);
}

static int
set_up(void **state)
{
	(void)state;
	folder_make(&folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_compressed_is_read_again),
		cmocka_unit_test(gzip_itself_reads_it),
		cmocka_unit_test(members_one_behind_the_other_are_one_file),
		cmocka_unit_test(one_cut_short_is_no_good),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
