/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resources: what the workers of one configuration need.
 */
#include "proxy/resources.h"

#include "proxy/ring.h"
#include "proxy/tempfile.h"
#include "proxy/textfile.h"

#include "dmarc/report/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* For what is tried as the user: it is the first to use the file systems. */
#define TRIAL_SECONDS_MAX 10
#define TRIAL_FAULTS_MAX 4096

static bool
fault(struct buf *faults, const char *what, const char *name, int error)
{
	buf_printf(faults, "%s %s: %s\n", what, name, strerror(error));
	return false;
}

static bool
load_zone(struct resources *resources, const struct conf *conf,
	  struct buf *faults)
{
	char name[PATH_MAX];
	struct buf text;

	if (conf->zone_file.n == 0)
		return true;
	if (!textfile_path(conf->zone_file, name, faults))
		return false;
	buf_init(&text, TEXTFILE_OCTETS_MAX);
	if (textfile_read(name, &text, faults))
		resources->zone = zone_parse(buf_span(&text), name, faults);
	buf_fini(&text);
	return resources->zone != NULL;
}

static bool
open_listeners(struct resources *resources, const struct conf *conf,
	       struct listeners *listeners, struct buf *faults)
{
	resources->listeners = calloc(conf->listener_count, sizeof(int));
	if (resources->listeners == NULL)
		return fault(faults, "cannot make", "listeners", ENOMEM);
	return listeners_open(listeners, conf, resources->listeners, faults);
}

static int
open_directory(const char *name, int flags)
{
	return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
}

static bool
open_spool(struct resources *resources, const struct conf *conf,
	   struct buf *faults)
{
	const struct privilege *privilege = &resources->privilege;
	char name[PATH_MAX];
	bool is_new;

	if (!textfile_path(conf->spool_directory, name, faults))
		return false;
	/* The first start makes it; what cannot be made shows when it is
	 * opened. */
	is_new = mkdir(name, 0750) == 0;
	resources->spool = open_directory(name, is_new ? O_NOFOLLOW : 0);
	if (resources->spool < 0)
		return fault(faults, "cannot open the spool", name, errno);
	if (is_new &&
	    fchown(resources->spool, privilege->user, privilege->group) != 0)
		return fault(faults, "cannot give away", name, errno);
	return true;
}

static bool
open_bodies(struct resources *resources, const struct conf *conf,
	    struct buf *faults)
{
	char name[PATH_MAX];

	if (!textfile_path(conf->body_directory, name, faults))
		return false;
	resources->bodies = open_directory(name, 0);
	return resources->bodies >= 0 ||
	       fault(faults, "cannot keep message bodies in", name, errno);
}

/* As much as we may have: of descriptors, where what the limit is decides how
 * many sessions a worker takes; and of locked memory, which each ring takes of
 * what all processes of the user have together. */
static void
raise_limit(__rlimit_resource_t which)
{
	struct rlimit limit;

	if (getrlimit(which, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(which, &limit);
}

/* --- what must be possible as the user --------------------------------------
 */

/* Whether workers will get a ring: one is made and given back. */
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
try_bodies(const struct conf *conf, struct buf *faults)
{
	char name[PATH_MAX];
	int fd = -1;

	if (textfile_path(conf->body_directory, name, faults))
		fd = tempfile_directory(name, faults);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool
try_spool(const struct resources *resources, const struct conf *conf,
	  struct buf *faults)
{
	int fd = segment_open(resources->spool, conf->hostname);
	struct span name = conf->spool_directory;

	if (fd >= 0) {
		close(fd);
		return true;
	}
	buf_append(faults, SPAN_LIT("cannot write the verdict log "));
	buf_append(faults, name);
	buf_printf(faults, "/%s: %s\n", SEGMENT_LIVE,
		   fd == -ELOOP ? "not a plain file" : strerror(-fd));
	return false;
}

/* The child: its faults into the pipe, its success as its exit status. */
static void __attribute__((noreturn))
try_as_user(const struct resources *resources, const struct conf *conf, int out)
{
	struct buf faults;
	bool is_good;

	alarm(TRIAL_SECONDS_MAX);
	buf_init(&faults, TRIAL_FAULTS_MAX);
	is_good = privilege_drop(&resources->privilege, &faults) &&
		  try_ring(&faults) && try_bodies(conf, &faults) &&
		  try_spool(resources, conf, &faults);
	if (faults.n > 0 &&
	    write(out, buf_span(&faults).p, faults.n) != (ssize_t)faults.n)
		is_good = false;
	_exit(is_good ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* What the child said and how it ended; waits for it. */
static bool
hear(pid_t child, int in, struct buf *faults)
{
	int status = 0;

	if (textfile_drain(in, faults) != 0)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		buf_printf(
			faults,
			"a trial as the user did not end (signal %d): is "
			"the file system of the spool or the bodies there?\n",
			WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

static bool
try_all(const struct resources *resources, const struct conf *conf,
	struct buf *faults)
{
	int ends[2];
	bool is_good;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return fault(faults, "cannot make", "a pipe", errno);
	child = fork();
	if (child == 0)
		try_as_user(resources, conf, ends[1]);
	close(ends[1]);
	is_good = child < 0 ? fault(faults, "cannot", "fork", errno)
			    : hear(child, ends[0], faults);
	close(ends[0]);
	return is_good;
}

/* --- all of it --------------------------------------------------------------
 */

static bool
find_privilege(struct resources *resources, const struct conf *conf,
	       struct buf *faults)
{
	struct privilege *privilege = &resources->privilege;

	if (!privilege_find(conf->user, privilege, faults))
		return false;
	for (size_t i = 0; i < conf->backend_count; i++)
		privilege->keeps_raw |=
			conf->backends[i].identity == IDENTITY_TRANSPARENT;
	return true;
}

/* All that settings name and that is only read. */
static bool
read_files(struct resources *resources, const struct conf *conf,
	   struct buf *faults)
{
	return rules_open(&resources->rules, conf, faults) &&
	       load_zone(resources, conf, faults) &&
	       keyring_open(&resources->keyring, conf, faults);
}

bool
resources_check_files(const struct conf *conf, struct buf *faults)
{
	struct resources resources = { .spool = -1, .bodies = -1 };
	bool is_good = read_files(&resources, conf, faults);

	resources_close(&resources);
	return is_good;
}

bool
resources_open(struct resources *resources, const struct conf *conf,
	       struct listeners *listeners, struct buf *faults)
{
	*resources = (struct resources){ .spool = -1, .bodies = -1 };
	raise_limit(RLIMIT_NOFILE);
	raise_limit(RLIMIT_MEMLOCK);
	return read_files(resources, conf, faults) &&
	       find_privilege(resources, conf, faults) &&
	       open_listeners(resources, conf, listeners, faults) &&
	       open_spool(resources, conf, faults) &&
	       open_bodies(resources, conf, faults) &&
	       try_all(resources, conf, faults);
}

static void
close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
resources_close_directories(struct resources *resources)
{
	close_one(&resources->spool);
	close_one(&resources->bodies);
}

void
resources_close(struct resources *resources)
{
	resources_close_directories(resources);
	free(resources->listeners);
	rules_close(&resources->rules);
	zone_free(resources->zone);
	keyring_close(&resources->keyring);
}
