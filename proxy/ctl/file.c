/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/file.h"

#include "proxy/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
file_read(const char *name, struct buf *octets)
{
	int fd, error;

	if (strcmp(name, "-") == 0)
		return textfile_drain(STDIN_FILENO, octets);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	error = textfile_drain(fd, octets);
	close(fd);
	return error;
}

/* One line without its end. */
static enum file_fault
add_line(struct span line, bool is_normalising, struct buf *message)
{
	for (size_t i = 0; i < line.n; i++) {
		uint8_t c = line.p[i];

		if (c != '\r' && c != '\0') {
			buf_append_octet(message, c);
			continue;
		}
		if (!is_normalising)
			return c == '\r' ? FILE_BARE_CR : FILE_NUL;
		buf_append_octet(message, ' ');
	}
	buf_append(message, SPAN_LIT("\r\n"));
	return message->has_overflowed ? FILE_TOO_LARGE : FILE_GOOD;
}

enum file_fault
file_lines(struct span octets, bool is_normalising, struct buf *message)
{
	while (octets.n > 0) {
		size_t end = span_find(octets, '\n');
		struct span line = span_first(octets, end);
		enum file_fault fault;

		octets = span_after(octets, end < octets.n ? end + 1 : end);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		fault = add_line(line, is_normalising, message);
		if (fault != FILE_GOOD)
			return fault;
	}
	return FILE_GOOD;
}
