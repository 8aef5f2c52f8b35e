/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmarcgatectl log: the verdict log, for people or as it is.
 *
 * A registered reader moves on only when what it read has been written: so a
 * line may be given again to who was killed, and is never missed.
 */
#include "proxy/ctl/ctl.h"
#include "proxy/ctl/log_line.h"

#include "dmarc/report/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 100
#define PATH_OCTETS 2048
#define SUMMARY_MAX (2 * SCAN_LINE_MAX)

/* After so many lines what was read is settled, also without a pause. */
#define LINES_MAX 4096

struct log {
	char spool[PATH_OCTETS];
	int directory; /* for the registry; -1: not needed */
	struct scan *scan;
	struct buf out;
	bool is_json;
	bool is_following;
	unsigned lines; /* that are not settled */

	const char *reader; /* NULL: none */
	bool is_new;        /* the reader, or whoever this is */
	struct spool_position registered;
	bool is_refused; /* the registration, as was said */

	bool ends_by_signal; /* in order; SIGINT and SIGTERM are blocked */
	bool is_stopped;
	uint64_t torn, unwritten; /* that were said */
};

/* --- signals ------------------------------------------------------------ */

static void
signals_of_an_end(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
}

static void
block_signals(struct log *log)
{
	sigset_t signals;

	signals_of_an_end(&signals);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	log->ends_by_signal = true;
}

/* Wait, but not beyond a signal. */
static void
pause_for(struct log *log, unsigned ms)
{
	const struct timespec time = { .tv_nsec = (long)ms * 1000000 };
	sigset_t signals;

	if (!log->ends_by_signal)
		return;
	signals_of_an_end(&signals);
	if (sigtimedwait(&signals, NULL, &time) >= 0)
		log->is_stopped = true;
}

/* --- lines -------------------------------------------------------------- */

static int
complain_output(void)
{
	return ctl_complain(EX_IOERR, "standard output: %s", strerror(errno));
}

static int
print_line(struct log *log, struct span line)
{
	bool has_failed;

	log->lines++;
	if (log->is_json) {
		has_failed = fwrite(line.p, 1, line.n, stdout) != line.n ||
			     putchar('\n') == EOF;
		return has_failed ? complain_output() : EX_OK;
	}
	buf_reset(&log->out);
	log_line_format(line, &log->out);
	has_failed = fwrite(buf_span(&log->out).p, 1, log->out.n, stdout) !=
		     log->out.n;
	return has_failed ? complain_output() : EX_OK;
}

static int
complain_reader(const char *reader, int error)
{
	const char *why = error == -ENOENT   ? "there is no such reader"
			  : error == -EINVAL ? "a name is of letters, digits, "
					       "- and _"
			  : error == -EUSERS ? "there are too many readers"
					     : strerror(-error);

	return ctl_complain(error == -ENOENT   ? EX_NOINPUT
			    : error == -EINVAL ? EX_USAGE
					       : EX_IOERR,
			    "reader %s: %s", reader, why);
}

/* Lines and what was made of them are on the disk before the position is: what
 * a power failure takes is given again, and nothing is missed. */
static int
sync_lines(struct log *log)
{
	int error = scan_sync(log->scan);

	if (error != 0)
		return ctl_complain(EX_IOERR, "%s: %s: %s", log->spool,
				    scan_file(log->scan), strerror(-error));
	/* Most of what is not a file cannot be synced. */
	if (fsync(STDOUT_FILENO) != 0 && errno != EINVAL && errno != EROFS)
		return complain_output();
	return EX_OK;
}

/* Who follows goes on: what it has given is only given again, and the disk may
 * have room the next time. */
static int
refuse(struct log *log, int error)
{
	int status = EX_OK;

	if (!log->is_refused || !log->is_following)
		status = complain_reader(log->reader, error);
	log->is_refused = true;
	return log->is_following ? EX_OK : status;
}

static bool
has_moved(const struct log *log, const struct spool_position *position)
{
	return position->offset != log->registered.offset ||
	       strcmp(position->uuid, log->registered.uuid) != 0;
}

static int
move_reader(struct log *log)
{
	struct spool_position position = scan_position(log->scan);
	int status, error;

	if (log->reader == NULL || !has_moved(log, &position))
		return EX_OK;
	status = sync_lines(log);
	if (status != EX_OK)
		return status;
	error = registry_set(log->directory, log->reader, &position);
	if (error != 0)
		return refuse(log, error);
	log->registered = position;
	log->is_refused = false;
	return EX_OK;
}

/* Bring out what was printed, and say that it was. */
static int
settle(struct log *log)
{
	log->lines = 0;
	if (fflush(stdout) != 0)
		return complain_output();
	return move_reader(log);
}

static int
on_found(struct log *log, enum scan_status found, struct span line)
{
	int status = EX_OK;

	switch (found) {
	case SCAN_LINE:
		status = print_line(log, line);
		break;
	case SCAN_LOST:
		ctl_complain(0, "%s: %s", log->spool, scan_loss(log->scan));
		break;
	case SCAN_END:
		return settle(log);
	case SCAN_ERROR:
		return ctl_complain(EX_IOERR, "%s: %s: %s", log->spool,
				    scan_file(log->scan),
				    strerror(-scan_error(log->scan)));
	}
	if (status == EX_OK && log->lines == LINES_MAX) {
		status = settle(log);
		pause_for(log, 0);
	}
	return status;
}

/* All lines that are there; after a signal, not many more. */
static int
print_lines(struct log *log)
{
	enum scan_status found;
	int status;

	do {
		struct span line;

		found = scan_next(log->scan, &line);
		status = on_found(log, found, line);
	} while (status == EX_OK && found != SCAN_END &&
		 !(log->is_stopped && log->lines == 0));
	return status;
}

/* --- what is wrong with the log ----------------------------------------- */

static void
say_count(const struct log *log, uint64_t count, const char *what,
	  const char *rest)
{
	if (count > 0)
		ctl_complain(0, "%s: %llu %s line%s%s", log->spool,
			     (unsigned long long)count, what,
			     count == 1 ? "" : "s", rest);
}

static void
say_faults(struct log *log)
{
	uint64_t torn = scan_torn(log->scan);
	uint64_t unwritten = scan_unwritten(log->scan);

	say_count(log, torn - log->torn, "torn or foreign", "");
	say_count(log, unwritten - log->unwritten, "verdict",
		  " could not be written");
	log->torn = torn;
	log->unwritten = unwritten;
}

/* --- the spool and its reader ------------------------------------------- */

static int
set_spool(struct log *log, const char *spool)
{
	int n = snprintf(log->spool, sizeof(log->spool), "%s", spool);

	if (n < 0 || (size_t)n >= sizeof(log->spool))
		return ctl_complain(EX_USAGE, "%s: the name is too long",
				    spool);
	return EX_OK;
}

static int
find_spool(struct log *log, const struct ctl_arguments *arguments)
{
	const char *spool = arguments->option[LOG_SPOOL];
	struct conf *conf;
	int status;

	if (spool != NULL)
		return set_spool(log, spool);
	conf = ctl_conf(arguments->option[LOG_CONF], &status);
	if (conf == NULL)
		return status;
	spool = arena_string(&conf->arena, conf->spool_directory);
	status = spool == NULL ? ctl_complain(EX_OSERR, "not enough memory")
			       : set_spool(log, spool);
	conf_free(conf);
	return status;
}

static int
open_registry(struct log *log)
{
	log->directory = open(log->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log->directory >= 0)
		return EX_OK;
	if (errno == ENOTDIR)
		return ctl_complain(EX_USAGE,
				    "%s: expected a directory, which "
				    "readers are registered in",
				    log->spool);
	return ctl_complain(EX_NOINPUT, "%s: %s", log->spool, strerror(errno));
}

static int
find_reader(struct log *log)
{
	int status, error;

	if (log->reader == NULL)
		return EX_OK;
	status = open_registry(log);
	if (status != EX_OK)
		return status;
	error = registry_get(log->directory, log->reader, &log->registered);
	log->is_new = error == -ENOENT;
	return error == 0 || log->is_new ? EX_OK
					 : complain_reader(log->reader, error);
}

/* A new reader is registered before it reads: what it comes to late is kept
 * for it. */
static int
register_reader(struct log *log)
{
	int error;

	if (log->reader == NULL || !log->is_new)
		return EX_OK;
	log->registered = scan_position(log->scan);
	error = registry_set(log->directory, log->reader, &log->registered);
	return error == 0 ? EX_OK : complain_reader(log->reader, error);
}

static int
forget(struct log *log, const char *reader)
{
	int status = open_registry(log);
	int error;

	if (status != EX_OK)
		return status;
	error = registry_forget(log->directory, reader);
	return error == 0 ? EX_OK : complain_reader(reader, error);
}

/* --- all of it ---------------------------------------------------------- */

static int
open_scan(struct log *log, bool is_at_end)
{
	int error;

	log->scan = scan_open(log->spool, &log->registered, &error);
	if (log->scan != NULL && is_at_end && log->is_new)
		error = scan_to_end(log->scan);
	if (error != 0)
		return ctl_complain(EX_NOINPUT, "%s: %s", log->spool,
				    strerror(-error));
	return register_reader(log);
}

static int
follow(struct log *log)
{
	int status = EX_OK;

	while (status == EX_OK && !log->is_stopped) {
		say_faults(log);
		pause_for(log, PAUSE_MS);
		/* Also after a signal, for what came before it. */
		status = print_lines(log);
	}
	return status == EX_OK && log->is_refused ? EX_IOERR : status;
}

static int
show(struct log *log, const struct ctl_arguments *arguments)
{
	int status = find_reader(log);

	if (status == EX_OK)
		status = open_scan(log, arguments->option[LOG_NEW] != NULL);
	if (status != EX_OK)
		return status;
	if (log->is_following || log->reader != NULL)
		block_signals(log);
	else
		scan_finish(log->scan);
	status = print_lines(log);
	if (status == EX_OK && log->is_following)
		status = follow(log);
	else if (status == EX_OK && scan_file(log->scan)[0] == '\0')
		status = ctl_complain(EX_NOINPUT, "%s: no verdict log there",
				      log->spool);
	say_faults(log);
	return status;
}

int
ctl_log(const struct ctl_arguments *arguments)
{
	struct log log = {
		.directory = -1,
		.is_json = arguments->option[LOG_JSON] != NULL,
		.is_following = arguments->option[LOG_FOLLOW] != NULL,
		.reader = arguments->option[LOG_READER],
		.is_new = true,
	};
	int status = find_spool(&log, arguments);

	if (status != EX_OK)
		return status;
	if (arguments->option[LOG_FORGET] != NULL) {
		status = forget(&log, arguments->option[LOG_FORGET]);
	} else {
		buf_init(&log.out, SUMMARY_MAX);
		status = show(&log, arguments);
		buf_fini(&log.out);
	}
	scan_free(log.scan);
	if (log.directory >= 0)
		close(log.directory);
	return status;
}
