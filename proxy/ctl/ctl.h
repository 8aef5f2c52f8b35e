/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl: what the subcommands of dmarcgatectl share.
 *
 * main.c finds the subcommand in the table of subcommands.def, reads its
 * options by that table, and calls its function, whose result is the exit
 * status. Statuses from 64 up are errors, each with a line on stderr.
 */
#ifndef PROXY_CTL_CTL_H
#define PROXY_CTL_CTL_H

#include "proxy/conf.h"

#include <sysexits.h> /* EX_USAGE and its like, 64 to 78 */

#define CTL_CONF_DEFAULT "/etc/dmarcgate/proxy.conf"
#define CTL_FAULTS_MAX ((size_t)1 << 20)
#define CTL_OPERANDS_MAX 4

/* clang-format off */
enum ctl_subcommand {
#define SUBCOMMAND(name, word, operands, least, most, function, summary, text) \
	CTL_##name,
#include "proxy/ctl/subcommands.def"
	CTL_COUNT
};

enum ctl_option {
#define OPTION(subcommand, name, word, argument, text) subcommand##_##name,
#include "proxy/ctl/subcommands.def"
	CTL_OPTION_COUNT
};
/* clang-format on */

/* A command line, read. Borrows from argv. */
struct ctl_arguments {
	const char *option[CTL_OPTION_COUNT]; /* NULL: not given; a flag that is
						 given: "" */
	const char *operand[CTL_OPERANDS_MAX];
	int operand_count;
};

struct ctl_subcommand_row {
	const char *word;
	const char *operands; /* what they mean */
	int least, most;      /* how many */
	int (*run)(const struct ctl_arguments *arguments);
	const char *summary;
	const char *text;
};

struct ctl_option_row {
	enum ctl_subcommand subcommand;
	const char *word;
	const char *argument; /* NULL: a flag */
	const char *text;
};

extern const struct ctl_subcommand_row ctl_subcommands[CTL_COUNT];
extern const struct ctl_option_row ctl_options[CTL_OPTION_COUNT];

/* The subcommand of that word; CTL_COUNT if none. */
enum ctl_subcommand ctl_find(const char *word);

/* Read the words behind the subcommand. 0, or EX_USAGE and a line on stderr. */
int ctl_read_arguments(enum ctl_subcommand subcommand, int argc,
		       char *const *argv, struct ctl_arguments *arguments);

/* Whether --help is among the words. */
bool ctl_wants_help(int argc, char *const *argv);

/* What there is, and what one subcommand does. */
bool ctl_print_list(struct buf *out);
bool ctl_print_help(enum ctl_subcommand subcommand, struct buf *out);
bool ctl_print_manual(struct buf *out);
bool ctl_print_events(struct buf *out);
bool ctl_print_extensions(struct buf *out);

/* "dmarcgatectl: TEXT" on stderr; gives the status. */
int ctl_complain(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* All of a buf on stdout; EX_OK, or EX_IOERR and a line on stderr. */
int ctl_print(const struct buf *text);

/* The configuration of a file; its faults and warnings go to stderr. A NULL
 * file is the default one, and where that is not there the defaults alone.
 * NULL with EX_CONFIG, EX_NOINPUT or EX_OSERR in *status. */
struct conf *ctl_conf(const char *file, int *status);

int ctl_eval(const struct ctl_arguments *arguments);
int ctl_log(const struct ctl_arguments *arguments);
int ctl_config(const struct ctl_arguments *arguments);
int ctl_sink(const struct ctl_arguments *arguments);
int ctl_help(const struct ctl_arguments *arguments);

#endif
