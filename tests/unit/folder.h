/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * folder: a directory for the files of one test, removed with them.
 *
 * Files are named by folder_path(), read whole by folder_read(). Everything
 * in the directory is removed at the end, whoever put it there, and in its
 * directory "readers" if it has one.
 */
#ifndef TESTS_UNIT_FOLDER_H
#define TESTS_UNIT_FOLDER_H

#include "smtp/buf.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct folder {
	char name[128];
	char path[512]; /* of the last folder_path() */
};

static inline void
folder_make(struct folder *folder)
{
	const char *above = getenv("TMPDIR");

	snprintf(folder->name, sizeof(folder->name), "%s/dmarcgate-XXXXXX",
		 above == NULL ? P_tmpdir : above);
	if (mkdtemp(folder->name) == NULL)
		abort();
}

static inline const char *
folder_path(struct folder *folder, const char *name)
{
	snprintf(folder->path, sizeof(folder->path), "%s/%s", folder->name,
		 name);
	return folder->path;
}

/* All of a file into buf, which was initialised; false if there is none. */
static inline bool
folder_read(struct folder *folder, const char *name, struct buf *buf)
{
	int fd = open(folder_path(folder, name), O_RDONLY | O_CLOEXEC);
	char octets[4096];
	ssize_t n;

	if (fd < 0)
		return false;
	buf_reset(buf);
	while ((n = read(fd, octets, sizeof(octets))) > 0)
		buf_append(buf, span_make(octets, (size_t)n));
	close(fd);
	return n == 0;
}

/* The files in a directory, and the empty directories. */
static inline void
folder_clear(const char *name)
{
	DIR *directory = opendir(name);
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (unlinkat(dirfd(directory), entry->d_name, 0) != 0)
			unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
	if (directory != NULL)
		closedir(directory);
}

static inline void
folder_remove(struct folder *folder)
{
	folder_clear(folder_path(folder, "readers"));
	folder_clear(folder->name);
	rmdir(folder->name);
}

#endif
