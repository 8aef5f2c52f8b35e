/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/registry.h"

#include "dmarc/report/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MODE 02770
#define POSITION_MAX 64

static bool
is_name(const char *name)
{
	struct span text = span_cstr(name);

	for (size_t i = 0; i < text.n; i++)
		if (!octet_is_alpha(text.p[i]) && !octet_is_digit(text.p[i]) &&
		    text.p[i] != '-' && text.p[i] != '_')
			return false;
	return text.n > 0 && text.n < REGISTRY_NAME_MAX;
}

static int
open_registry(int directory)
{
	int fd = openat(directory, REGISTRY_DIRECTORY,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Of the spool's owner and group, whoever makes it. */
static int
give_away(int directory, int registry)
{
	struct stat spool;

	if (fstat(directory, &spool) != 0)
		return -errno;
	if (geteuid() != 0)
		spool.st_uid = (uid_t)-1;
	/* A group that is not ours stays what it is. */
	if (fchown(registry, spool.st_uid, spool.st_gid) != 0 && errno != EPERM)
		return -errno;
	return fchmod(registry, MODE) == 0 ? 0 : -errno;
}

/* Whether it is ours and as it was made, before it was given away. */
static bool
is_to_be_given_away(int registry)
{
	struct stat status;

	return fstat(registry, &status) == 0 && status.st_uid == geteuid() &&
	       (status.st_mode & 07777) != MODE;
}

/* Who made it may have been killed before it was given away. */
int
registry_make(int directory)
{
	int registry, result = 0;

	if (mkdirat(directory, REGISTRY_DIRECTORY, MODE & 0777) != 0 &&
	    errno != EEXIST)
		return -errno;
	registry = open_registry(directory);
	if (registry < 0)
		return registry;
	if (is_to_be_given_away(registry))
		result = give_away(directory, registry);
	return segment_file_close(registry, result);
}

/* --- positions ---------------------------------------------------------- */

static bool
parse(struct span text, struct spool_position *position)
{
	size_t space = span_find(text, ' ');

	*position = (struct spool_position){ 0 };
	if (space == text.n || text.p[text.n - 1] != '\n' ||
	    !span_u64(span_make(text.p + space + 1, text.n - space - 2),
		      &position->offset))
		return false;
	if (space == 1 && text.p[0] == '-')
		return position->offset == 0;
	if (space != SEGMENT_UUID_N)
		return false;
	memcpy(position->uuid, text.p, SEGMENT_UUID_N);
	return true;
}

static int
get(int registry, const char *name, struct spool_position *position)
{
	uint8_t octets[SEGMENT_FRAME_MAX];
	int fd = segment_file_open(registry, name, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = segment_file_read(fd, octets, 0);
	close(fd);
	if (n < 0)
		return (int)n;
	return parse(span_make(octets, (size_t)n), position) ? 0 : -EBADMSG;
}

static int
put(int fd, const struct spool_position *position)
{
	char text[POSITION_MAX + SEGMENT_UUID_N];
	const char *uuid = position->uuid[0] == '\0' ? "-" : position->uuid;
	int n = snprintf(text, sizeof(text), "%s %llu\n", uuid,
			 (unsigned long long)position->offset);
	int result = segment_file_write(fd, span_make(text, (size_t)n));

	return result == 0 && fsync(fd) != 0 ? -errno : result;
}

int
registry_get(int directory, const char *name, struct spool_position *position)
{
	int registry, result;

	*position = (struct spool_position){ 0 };
	if (!is_name(name))
		return -EINVAL;
	registry = open_registry(directory);
	if (registry < 0)
		return registry;
	result = get(registry, name, position);
	return segment_file_close(registry, result);
}

/* --- the registry ------------------------------------------------------- */

static int
count_one(void *owner, const char *name)
{
	unsigned *count = owner;

	if (is_name(name) && ++*count >= REGISTRY_READERS_MAX)
		return -EUSERS;
	return 0;
}

/* A new one only while there is room. */
static int
admit(int registry, const char *name)
{
	struct stat status;
	unsigned count = 0;

	if (fstatat(registry, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return segment_file_each(registry, count_one, &count);
}

static int
replace(int registry, const char *name, const struct spool_position *position)
{
	char unfinished[REGISTRY_NAME_MAX + 8];
	int fd, result;

	snprintf(unfinished, sizeof(unfinished), ".%s.new", name);
	unlinkat(registry, unfinished, 0);
	fd = segment_file_make(registry, unfinished);
	if (fd < 0)
		return fd;
	result = segment_file_close(fd, put(fd, position));
	if (result == 0 && renameat(registry, unfinished, registry, name) != 0)
		result = -errno;
	if (result != 0)
		unlinkat(registry, unfinished, 0);
	return result;
}

int
registry_set(int directory, const char *name,
	     const struct spool_position *position)
{
	int registry, result;

	if (!is_name(name))
		return -EINVAL;
	result = registry_make(directory);
	if (result != 0 && result != -EACCES)
		return result;
	registry = open_registry(directory);
	if (registry < 0)
		return registry;
	result = admit(registry, name);
	if (result == 0)
		result = replace(registry, name, position);
	return segment_file_close(registry, result);
}

int
registry_forget(int directory, const char *name)
{
	int registry, result = 0;

	if (!is_name(name))
		return -EINVAL;
	registry = open_registry(directory);
	if (registry < 0)
		return registry;
	if (unlinkat(registry, name, 0) != 0)
		result = -errno;
	return segment_file_close(registry, result);
}

/* --- what all have passed ----------------------------------------------- */

struct surveying {
	int registry;
	const struct segment *list;
	size_t count;
	struct registry_survey *survey;
};

/* Segments before the one of a position; false where its place is lost. */
static bool
passed_by(const struct surveying *surveying,
	  const struct spool_position *position, size_t *passed)
{
	*passed = 0;
	if (position->uuid[0] == '\0')
		return true;
	for (size_t i = 0; i < surveying->count; i++) {
		if (strcmp(surveying->list[i].head.uuid, position->uuid) == 0) {
			*passed = i;
			return true;
		}
	}
	return false;
}

static int
look_at(void *owner, const char *name)
{
	struct surveying *surveying = owner;
	struct registry_survey *survey = surveying->survey;
	struct spool_position position = { 0 };
	size_t passed = 0;
	int result;

	if (!is_name(name))
		return 0;
	result = get(surveying->registry, name, &position);
	if (result == -ENOENT)
		return 0; /* forgotten just now */
	if (result != 0 || !passed_by(surveying, &position, &passed))
		snprintf(survey->lost, REGISTRY_NAME_MAX, "%s", name);
	if (passed >= survey->passed)
		return 0;
	survey->passed = passed;
	snprintf(survey->lagging, REGISTRY_NAME_MAX, "%s", name);
	return 0;
}

int
registry_survey(int directory, const struct segment *list, size_t count,
		struct registry_survey *survey)
{
	struct surveying surveying = {
		.registry = open_registry(directory),
		.list = list,
		.count = count,
		.survey = survey,
	};
	int result = surveying.registry;

	*survey = (struct registry_survey){ .passed = count };
	if (result == -ENOENT)
		return 0;
	if (result >= 0) {
		result = segment_file_each(surveying.registry, look_at,
					   &surveying);
		close(surveying.registry);
	}
	if (result < 0)
		survey->passed = 0;
	return result;
}
