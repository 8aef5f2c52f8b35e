/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536

static bool
fault(struct buf *faults, const char *name, const char *what)
{
	buf_printf(faults, "cannot read %s: %s\n", name, what);
	return false;
}

int
textfile_drain(int fd, struct buf *octets)
{
	for (;;) {
		uint8_t *room = buf_reserve(octets, PIECE);
		ssize_t n;

		if (room == NULL)
			return -EFBIG;
		n = read(fd, room, PIECE);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0)
			buf_extend(octets, (size_t)n);
	}
}

bool
textfile_read(const char *name, struct buf *octets, struct buf *faults)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	int result;

	if (fd < 0)
		return fault(faults, name, strerror(errno));
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		return fault(faults, name, "not a plain file");
	}
	result = textfile_drain(fd, octets);
	close(fd);
	return result == 0 || fault(faults, name, strerror(-result));
}

bool
textfile_path(struct span path, char text[PATH_MAX], struct buf *faults)
{
	if (path.n >= PATH_MAX) {
		buf_append(faults, SPAN_LIT("a path is too long\n"));
		return false;
	}
	if (path.n > 0)
		memcpy(text, path.p, path.n);
	text[path.n] = '\0';
	return true;
}
