/* SPDX-License-Identifier: BSD-2-Clause */
/* dmarcgatectl log: the verdict log, for people or as it is. */
#include "proxy/ctl/ctl.h"
#include "proxy/ctl/log_line.h"
#include "proxy/ctl/tail.h"

#include "dmarc/report/json_read.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#define LOG_NAME "verdict.log"
#define LOG_PAUSE_MS 200
#define PATH_OCTETS 2048
#define SUMMARY_MAX ((size_t)1 << 18)

struct log {
	char file[PATH_OCTETS];
	struct tail tail;
	struct buf out;
	bool is_json;
	uint64_t torn;
};

/* Print one line, or what is left of it. */
static int
print_line(struct log *log, struct span line)
{
	buf_reset(&log->out);
	if (!json_is_object(line)) {
		line = json_resynchronise(line);
		log->torn++;
		if (!json_is_object(line))
			return EX_OK;
	}
	if (log->is_json) {
		buf_append(&log->out, line);
		buf_append_octet(&log->out, '\n');
	} else {
		log_line_format(line, &log->out);
	}
	if (fwrite(buf_span(&log->out).p, 1, log->out.n, stdout) != log->out.n)
		return ctl_complain(EX_IOERR, "standard output: %s",
				    strerror(errno));
	return EX_OK;
}

/* All lines that are there. */
static int
print_lines(struct log *log)
{
	enum tail_status found;
	struct span line;
	int status = EX_OK;

	while (status == EX_OK &&
	       (found = tail_next(&log->tail, &line)) != TAIL_END) {
		if (found == TAIL_ERROR)
			return ctl_complain(EX_IOERR, "%s: %s", log->file,
					    strerror(errno));
		if (line.n > 0) /* an empty one ends a torn one */
			status = print_line(log, line);
	}
	if (fflush(stdout) != 0)
		return ctl_complain(EX_IOERR, "standard output: %s",
				    strerror(errno));
	return status;
}

static void
say_torn(struct log *log)
{
	if (log->torn > 0)
		ctl_complain(0, "%s: %llu torn or foreign line%s", log->file,
			     (unsigned long long)log->torn,
			     log->torn == 1 ? "" : "s");
	log->torn = 0;
}

static int
follow(struct log *log)
{
	int status;

	do {
		bool is_torn;

		say_torn(log);
		poll(NULL, 0, LOG_PAUSE_MS);
		if (tail_look(&log->tail, &is_torn) == TAIL_TRUNCATED)
			ctl_complain(0, "%s was truncated; from its start",
				     log->file);
		log->torn += is_torn;
		status = print_lines(log);
	} while (status == EX_OK);
	return status;
}

/* DIRECTORY/verdict.log, or the file itself. */
static int
find_file(struct log *log, const char *spool)
{
	struct stat st;
	bool is_directory = stat(spool, &st) != 0 || S_ISDIR(st.st_mode);
	int n = snprintf(log->file, sizeof log->file, "%s%s", spool,
			 is_directory ? "/" LOG_NAME : "");

	if (n < 0 || (size_t)n >= sizeof log->file)
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
		return find_file(log, spool);
	conf = ctl_conf(arguments->option[LOG_CONF], &status);
	if (conf == NULL)
		return status;
	spool = arena_string(&conf->arena, conf->spool_directory);
	status = spool == NULL ? ctl_complain(EX_OSERR, "not enough memory")
			       : find_file(log, spool);
	conf_free(conf);
	return status;
}

static int
show(struct log *log, const struct ctl_arguments *arguments)
{
	bool is_following = arguments->option[LOG_FOLLOW] != NULL;
	int status, error;

	error = tail_init(&log->tail, log->file,
			  arguments->option[LOG_NEW] != NULL);
	if (error == 0 && log->tail.fd < 0 && !is_following)
		error = -ENOENT;
	if (error != 0)
		status = ctl_complain(EX_NOINPUT, "%s: %s", log->file,
				      strerror(-error));
	else
		status = print_lines(log);
	if (status == EX_OK && is_following)
		status = follow(log);
	/* Nobody finishes this line while we look. */
	if (status == EX_OK && log->tail.pending.n > 0)
		log->torn++;
	say_torn(log);
	tail_fini(&log->tail);
	return status;
}

int
ctl_log(const struct ctl_arguments *arguments)
{
	struct log log = { .is_json = arguments->option[LOG_JSON] != NULL };
	int status = find_spool(&log, arguments);

	if (status != EX_OK)
		return status;
	buf_init(&log.out, SUMMARY_MAX);
	status = show(&log, arguments);
	buf_fini(&log.out);
	return status;
}
