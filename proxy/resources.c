/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resources: what the master reads and opens before the first fork.
 */
#include "proxy/resources.h"

#include "dmarc/report/segment.h"
#include "proxy/listener.h"
#include "proxy/privilege.h"
#include "proxy/ring.h"
#include "proxy/tempfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_OCTETS_MAX ((size_t)64 << 20) /* zone file, suffix list */
#define PIECE 65536
#define PSL_DEFAULT "/usr/share/publicsuffix/public_suffix_list.dat"

static bool
fault(struct buf *faults, const char *what, const char *name, int error)
{
	buf_printf(faults, "%s %s: %s\n", what, name, strerror(error));
	return false;
}

/* All of a file, of FILE_OCTETS_MAX at most; 0 or a negative errno. */
static int
read_all(int fd, struct buf *octets)
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

static bool
read_file(const char *name, struct buf *octets, struct buf *faults)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int result;

	if (fd < 0)
		return fault(faults, "cannot read", name, errno);
	result = read_all(fd, octets);
	close(fd);
	return result == 0 || fault(faults, "cannot read", name, -result);
}

/* A path of the configuration as a C string. Paths hold no NUL: conf_read()
 * takes them from text. */
static bool
path_string(struct span path, char text[PATH_MAX], struct buf *faults)
{
	if (path.n >= PATH_MAX) {
		buf_append(faults, SPAN_LIT("a path is too long\n"));
		return false;
	}
	memcpy(text, path.p, path.n);
	text[path.n] = '\0';
	return true;
}

static bool
load_psl(struct resources *resources, const struct conf *conf,
	 struct buf *faults)
{
	bool is_set = conf->psl_file.n > 0;
	struct span path = is_set ? conf->psl_file : SPAN_LIT(PSL_DEFAULT);
	char name[PATH_MAX];
	struct buf text;

	if (!path_string(path, name, faults))
		return false;
	if (!is_set && access(name, R_OK) != 0) {
		resources->psl = domain_psl_builtin();
		return true; /* without any, a tree walk needs none */
	}
	buf_init(&text, FILE_OCTETS_MAX);
	if (read_file(name, &text, faults)) {
		resources->psl = domain_psl_new(buf_span(&text));
		if (resources->psl == NULL)
			buf_printf(faults, "%s: not a public suffix list\n",
				   name);
	}
	buf_fini(&text);
	return resources->psl != NULL;
}

static bool
load_zone(struct resources *resources, const struct conf *conf,
	  struct buf *faults)
{
	char name[PATH_MAX];
	struct buf text;

	if (conf->zone_file.n == 0)
		return true;
	if (!path_string(conf->zone_file, name, faults))
		return false;
	buf_init(&text, FILE_OCTETS_MAX);
	if (read_file(name, &text, faults))
		resources->zone = zone_parse(buf_span(&text), name, faults);
	buf_fini(&text);
	return resources->zone != NULL;
}

static bool
open_listeners(struct resources *resources, const struct conf *conf,
	       struct buf *faults)
{
	bool is_complete = true;

	resources->listeners = calloc(conf->listener_count, sizeof(int));
	if (resources->listeners == NULL)
		return fault(faults, "cannot make", "listeners", ENOMEM);
	resources->listener_count = conf->listener_count;
	for (size_t i = 0; i < conf->listener_count; i++)
		resources->listeners[i] = -1;
	for (size_t i = 0; i < conf->listener_count; i++) {
		resources->listeners[i] =
			listener_open(&conf->listeners[i].endpoint, faults);
		is_complete &= resources->listeners[i] >= 0;
	}
	return is_complete;
}

static bool
make_spool(const struct conf *conf, const struct privilege *privilege,
	   struct buf *faults)
{
	char name[PATH_MAX];

	if (!path_string(conf->spool_directory, name, faults))
		return false;
	/* The first start makes it; what cannot be made, or is there, shows
	 * when the log is opened. */
	if (mkdir(name, 0750) == 0 &&
	    chown(name, privilege->user, privilege->group) != 0)
		return fault(faults, "give away", name, errno);
	return true;
}

/* Workers open the verdict log themselves; that it can be is tried here. */
static bool
open_spool(struct resources *resources, const struct conf *conf,
	   struct buf *faults)
{
	char name[PATH_MAX];
	int fd;

	if (!path_string(conf->spool_directory, name, faults))
		return false;
	resources->spool = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (resources->spool < 0)
		return fault(faults, "cannot open the spool", name, errno);
	fd = segment_open(resources->spool, conf->hostname);
	if (fd < 0) {
		buf_printf(faults, "cannot open the verdict log %s/%s: %s\n",
			   name, SEGMENT_LIVE,
			   fd == -ELOOP ? "not a plain file" : strerror(-fd));
		return false;
	}
	close(fd);
	return true;
}

static bool
open_bodies(struct resources *resources, const struct conf *conf,
	    struct buf *faults)
{
	char name[PATH_MAX];

	if (!path_string(conf->body_directory, name, faults))
		return false;
	resources->bodies = tempfile_directory(name, faults);
	return resources->bodies >= 0;
}

/* As many descriptors as we may have; what the limit is decides how many
 * sessions a worker takes. */
static void
raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

/* Whether workers will get a ring: one is made, as the user they run as, and
 * given back. They make their own after the fork. */
static bool
try_ring(struct buf *faults)
{
	const struct ring_size size = { 8, 1 };
	struct ring *ring = ring_new(&size, faults);

	if (ring == NULL)
		return false;
	ring_free(ring);
	return true;
}

static bool
open_pipes(struct resources *resources, struct buf *faults)
{
	if (pipe2(resources->life, O_CLOEXEC) != 0 ||
	    pipe2(resources->ready, O_CLOEXEC | O_NONBLOCK) != 0)
		return fault(faults, "cannot make", "a pipe", errno);
	return true;
}

bool
resources_open(struct resources *resources, const struct conf *conf,
	       struct buf *faults)
{
	struct privilege privilege;

	*resources = (struct resources){
		.spool = -1,
		.bodies = -1,
		.life = { -1, -1 },
		.ready = { -1, -1 },
	};
	raise_files();
	return load_psl(resources, conf, faults) &&
	       load_zone(resources, conf, faults) &&
	       privilege_find(conf->user, &privilege, faults) &&
	       open_listeners(resources, conf, faults) &&
	       make_spool(conf, &privilege, faults) &&
	       privilege_drop(&privilege, faults) &&
	       open_spool(resources, conf, faults) &&
	       open_bodies(resources, conf, faults) && try_ring(faults) &&
	       open_pipes(resources, faults);
}

static void
close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
resources_close_listeners(struct resources *resources)
{
	for (size_t i = 0; i < resources->listener_count; i++)
		close_one(&resources->listeners[i]);
}

void
resources_close(struct resources *resources)
{
	resources_close_listeners(resources);
	free(resources->listeners);
	close_one(&resources->spool);
	close_one(&resources->bodies);
	for (int i = 0; i < 2; i++) {
		close_one(&resources->life[i]);
		close_one(&resources->ready[i]);
	}
	domain_psl_free(resources->psl);
	zone_free(resources->zone);
}
