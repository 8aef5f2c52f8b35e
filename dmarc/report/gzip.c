/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/gzip.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE ((size_t)64 * 1024)

/* What zlib calls the greatest window, and the framing of gzip. */
#define WINDOW (MAX_WBITS + 16)
#define MEMORY_LEVEL 8

static ssize_t
read_at(int fd, uint8_t *octets, size_t n, uint64_t offset)
{
	ssize_t got;

	do
		got = pread(fd, octets, n, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int
write_all(int fd, const uint8_t *octets, size_t n)
{
	while (n > 0) {
		ssize_t written = write(fd, octets, n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		octets += written;
		n -= (size_t)written;
	}
	return 0;
}

/* --- compressing -------------------------------------------------------- */

struct compressor {
	z_stream stream;
	uint64_t offset; /* of what is read next */
	uint8_t in[PIECE], out[PIECE];
};

/* Compress what was read, and write all that came of it. */
static int
drain(struct compressor *compressor, int to, int flush)
{
	z_stream *stream = &compressor->stream;
	int result = 0;

	do {
		stream->next_out = compressor->out;
		stream->avail_out = PIECE;
		/* It fails only where it is called wrongly. */
		result = deflate(stream, flush);
		assert(result != Z_STREAM_ERROR);
		result = write_all(to, compressor->out,
				   PIECE - stream->avail_out);
	} while (result == 0 && stream->avail_out == 0);
	return result;
}

static int
compress_all(struct compressor *compressor, int from, int to)
{
	for (;;) {
		ssize_t n = read_at(from, compressor->in, PIECE,
				    compressor->offset);
		int result;

		if (n < 0)
			return (int)n;
		compressor->offset += (uint64_t)n;
		compressor->stream.next_in = compressor->in;
		compressor->stream.avail_in = (uInt)n;
		result = drain(compressor, to, n == 0 ? Z_FINISH : Z_NO_FLUSH);
		if (result != 0 || n == 0)
			return result;
	}
}

int
gzip_compress(int from, int to)
{
	struct compressor *compressor = calloc(1, sizeof(*compressor));
	int result;

	if (compressor == NULL)
		return -ENOMEM;
	if (deflateInit2(&compressor->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
			 WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(compressor);
		return -ENOMEM;
	}
	result = compress_all(compressor, from, to);
	deflateEnd(&compressor->stream);
	free(compressor);
	return result;
}

/* --- reading ------------------------------------------------------------ */

struct gzip_reader {
	z_stream stream;
	int fd;
	uint64_t offset;   /* of what is read next */
	bool is_in_middle; /* a member was begun and has not ended */
	int error;
	uint8_t in[PIECE];
};

struct gzip_reader *
gzip_reader_new(int fd)
{
	struct gzip_reader *reader = calloc(1, sizeof(*reader));

	if (reader == NULL)
		return NULL;
	reader->fd = fd;
	/* Also a file of no octets was cut short. */
	reader->is_in_middle = true;
	if (inflateInit2(&reader->stream, WINDOW) == Z_OK)
		return reader;
	free(reader);
	return NULL;
}

void
gzip_reader_free(struct gzip_reader *reader)
{
	if (reader == NULL)
		return;
	inflateEnd(&reader->stream);
	free(reader);
}

/* More octets to uncompress; 0 at the end of the file. */
static ssize_t
fill(struct gzip_reader *reader)
{
	ssize_t n = read_at(reader->fd, reader->in, PIECE, reader->offset);

	if (n <= 0)
		return n;
	reader->offset += (uint64_t)n;
	reader->stream.next_in = reader->in;
	reader->stream.avail_in = (uInt)n;
	return n;
}

/* One step; 0, or a negative errno. RFC 1952 2.2: a file may be made of
 * several members, one behind the other. */
static int
step(struct gzip_reader *reader)
{
	int result;

	if (!reader->is_in_middle) {
		inflateReset(&reader->stream);
		reader->is_in_middle = true;
	}
	result = inflate(&reader->stream, Z_NO_FLUSH);
	if (result == Z_STREAM_END)
		reader->is_in_middle = false;
	if (result == Z_MEM_ERROR)
		return -ENOMEM;
	return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR
		       ? 0
		       : -EBADMSG;
}

ssize_t
gzip_read(struct gzip_reader *reader, void *octets, size_t n)
{
	z_stream *stream = &reader->stream;
	size_t room = n < PIECE ? n : PIECE;

	assert(n > 0);
	stream->next_out = octets;
	stream->avail_out = (uInt)room;
	while (reader->error == 0 && stream->avail_out == room) {
		ssize_t got = stream->avail_in > 0 ? 1 : fill(reader);

		if (got < 0)
			reader->error = (int)got;
		else if (got == 0 && reader->is_in_middle)
			reader->error = -EBADMSG;
		else if (got == 0)
			return 0;
		else
			reader->error = step(reader);
	}
	/* What came before a fault is given first. */
	if (stream->avail_out < room)
		return (ssize_t)(room - stream->avail_out);
	return reader->error;
}
