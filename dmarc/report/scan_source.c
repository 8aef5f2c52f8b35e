/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/scan_source.h"

#include "dmarc/report/scan.h"
#include "dmarc/report/segment_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024)

/* --- opening ------------------------------------------------------------ */

/* For the first line of a compressed one; reading begins anew behind that. */
static int
read_compressed_head(struct scan_source *source)
{
	uint8_t octets[SEGMENT_FRAME_MAX];
	ssize_t n = gzip_read(source->gzip, octets, sizeof(octets));
	struct span text = span_make(octets, n < 0 ? 0 : (size_t)n);
	size_t length = span_find(text, '\n');

	if (length < text.n)
		segment_head_parse(span_first(text, length), &source->head);
	return scan_source_rewind(source);
}

int
scan_source_open(struct scan_source *source, int fd, bool is_compressed)
{
	int result = 0;

	*source = (struct scan_source){ .fd = fd };
	if (!is_compressed) {
		segment_head_read(fd, &source->head);
		return 0;
	}
	source->gzip = gzip_reader_new(fd);
	result = source->gzip == NULL ? -ENOMEM : read_compressed_head(source);
	if (result != 0)
		scan_source_close(source);
	return result;
}

void
scan_source_close(struct scan_source *source)
{
	gzip_reader_free(source->gzip);
	source->gzip = NULL;
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
}

int
scan_source_rewind(struct scan_source *source)
{
	source->offset = 0;
	if (source->gzip == NULL) {
		segment_head_read(source->fd, &source->head);
		return 0;
	}
	gzip_reader_free(source->gzip);
	source->gzip = gzip_reader_new(source->fd);
	return source->gzip == NULL ? -ENOMEM : 0;
}

/* --- reading ------------------------------------------------------------ */

static ssize_t
read_plain(const struct scan_source *source, uint8_t *octets, size_t n)
{
	ssize_t got;

	do
		got = pread(source->fd, octets, n, (off_t)source->offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t
scan_source_read(struct scan_source *source, uint8_t *octets, size_t n)
{
	ssize_t got = source->gzip == NULL ? read_plain(source, octets, n)
					   : gzip_read(source->gzip, octets, n);

	if (got > 0)
		source->offset += (uint64_t)got;
	return got;
}

static int
skip_plain(struct scan_source *source, uint64_t offset)
{
	struct stat status;

	if (fstat(source->fd, &status) != 0)
		return -errno;
	source->offset = offset;
	if (offset <= (uint64_t)status.st_size)
		return 0;
	source->offset = (uint64_t)status.st_size;
	return -ERANGE;
}

int
scan_source_skip(struct scan_source *source, uint64_t offset)
{
	uint8_t *octets;
	ssize_t n = 1;

	if (source->gzip == NULL)
		return skip_plain(source, offset);
	octets = malloc(PIECE);
	if (octets == NULL)
		return -ENOMEM;
	while (n > 0 && source->offset < offset) {
		uint64_t left = offset - source->offset;

		n = scan_source_read(source, octets,
				     left < PIECE ? (size_t)left : PIECE);
	}
	free(octets);
	if (n < 0)
		return (int)n;
	return source->offset < offset ? -ERANGE : 0;
}

/* --- what others did to it ---------------------------------------------- */

bool
scan_source_is_cut(const struct scan_source *source)
{
	struct segment_head head;
	struct stat status;

	if (source->gzip != NULL || fstat(source->fd, &status) != 0)
		return false;
	if ((uint64_t)status.st_size < source->offset)
		return true;
	return source->head.uuid[0] != '\0' &&
	       (!segment_head_read(source->fd, &head) ||
		strcmp(head.uuid, source->head.uuid) != 0);
}

int
scan_source_last(struct scan_source *source, uint64_t *offset)
{
	uint8_t *octets;
	const uint8_t *lf;
	uint64_t end;
	ssize_t n;
	int result = scan_source_skip(source, UINT64_MAX);

	*offset = end = source->offset;
	if (result != -ERANGE || source->gzip != NULL || end == 0)
		return result == -ERANGE ? 0 : result;
	octets = malloc(SCAN_LINE_MAX);
	if (octets == NULL)
		return -ENOMEM;
	source->offset = end > SCAN_LINE_MAX ? end - SCAN_LINE_MAX : 0;
	n = read_plain(source, octets, (size_t)(end - source->offset));
	lf = n > 0 ? memrchr(octets, '\n', (size_t)n) : NULL;
	if (n >= 0)
		*offset = source->offset +
			  (lf == NULL ? 0 : (uint64_t)(lf + 1 - octets));
	free(octets);
	source->offset = end;
	return n < 0 ? (int)n : 0;
}
