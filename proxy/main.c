/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmarcgate: the command line of the daemon.
 */
#include "proxy/cryptomem.h"
#include "proxy/log.h"
#include "proxy/master.h"
#include "proxy/resources.h"
#include "proxy/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONF_DEFAULT "/etc/dmarcgate/proxy.conf"
#define FAULTS_MAX ((size_t)1 << 20)
#define PRINTED_MAX ((size_t)16 << 20)
#define STATUS_USE 64 /* EX_USAGE */

/* X(letter, word, argument, what it does) */
#define OPTIONS(X)                                                         \
	X('c', "config", "FILE", "read FILE, not " CONF_DEFAULT)           \
	X('t', "test", NULL, "check the configuration, print it, and end") \
	X('V', "version", NULL, "print the version and end")               \
	X('h', "help", NULL, "print this and end")

struct option_row {
	char letter;
	const char *word;
	const char *argument;
	const char *text;
};

static const struct option_row rows[] = {
#define X(letter, word, argument, text) { letter, word, argument, text },
	OPTIONS(X)
#undef X
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

struct command_line {
	const char *file;
	bool is_test;
	bool is_version;
	bool is_help;
};

static void
print_help(FILE *out)
{
	fprintf(out, "usage: dmarcgate [-c FILE] [-t]\n"
		     "A transparent SMTP proxy that enforces DMARC in front of"
		     " any mail server.\n\n");
	for (size_t i = 0; i < ROW_COUNT; i++)
		fprintf(out, "  -%c, --%-8s %-5s %s\n", rows[i].letter,
			rows[i].word,
			rows[i].argument == NULL ? "" : rows[i].argument,
			rows[i].text);
	fprintf(out, "\nIt stays in the foreground, writes events to stderr,"
		     " and ends by SIGTERM after a\ndrain. See dmarcgate(8)"
		     " and proxy.conf(5).\n");
}

static const struct option_row *
find_row(const char *word)
{
	struct span text = span_cstr(word);

	for (size_t i = 0; i < ROW_COUNT; i++) {
		struct span name = span_cstr(rows[i].word);

		if (text.n == 2 && word[0] == '-' && word[1] == rows[i].letter)
			return &rows[i];
		if (text.n > 2 && word[0] == '-' && word[1] == '-' &&
		    span_equal(span_after(text, 2), name))
			return &rows[i];
	}
	return NULL;
}

static bool
read_command_line(int count, char *const words[], struct command_line *line)
{
	*line = (struct command_line){ .file = CONF_DEFAULT };
	for (int i = 1; i < count; i++) {
		const struct option_row *row = find_row(words[i]);

		if (row == NULL || (row->argument != NULL && i + 1 >= count)) {
			fprintf(stderr, "dmarcgate: %s \"%s\"; see --help\n",
				row == NULL ? "unknown word" : "no FILE behind",
				words[i]);
			return false;
		}
		switch (row->letter) {
		case 'c':
			line->file = words[++i];
			break;
		case 't':
			line->is_test = true;
			break;
		case 'V':
			line->is_version = true;
			break;
		default:
			line->is_help = true;
		}
	}
	return true;
}

static void
put(FILE *out, const struct buf *text)
{
	struct span octets = buf_span(text);

	if (octets.n > 0)
		fwrite(octets.p, 1, octets.n, out);
}

static int
print_conf(const struct conf *conf)
{
	struct buf text;
	bool is_whole;

	buf_init(&text, PRINTED_MAX);
	is_whole = conf_print(conf, &text);
	put(stdout, &text);
	buf_fini(&text);
	if (!is_whole || fflush(stdout) != 0) {
		fprintf(stderr, "dmarcgate: cannot print all of it\n");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* Whether the files that settings name can be read, and are what they are
 * taken for: certificates and keys, the zone, lists of domains. */
static bool
check_files(const struct conf *conf)
{
	struct buf faults;
	bool is_good;

	buf_init(&faults, FAULTS_MAX);
	is_good = resources_check_files(conf, &faults);
	put(stderr, &faults);
	buf_fini(&faults);
	return is_good;
}

static int
run(const struct command_line *line)
{
	int status = EXIT_FAILURE;
	struct buf faults;
	struct conf *conf;

	buf_init(&faults, FAULTS_MAX);
	conf = conf_read(line->file, CONF_GATE, &faults);
	if (conf == NULL || line->is_test)
		put(stderr, &faults);
	else
		log_lines(EVENT_CONF_WARNING, "warning", &faults);
	buf_fini(&faults);
	if (conf == NULL)
		return status;
	if (!line->is_test)
		return master_run(conf);
	if (check_files(conf))
		status = print_conf(conf);
	conf_free(conf);
	return status;
}

int
main(int count, char *words[])
{
	struct command_line line;

	log_init();
	if (!cryptomem_count())
		fprintf(stderr, "dmarcgate: the memory of TLS cannot be "
				"counted: OpenSSL is in use already\n");
	if (!read_command_line(count, words, &line))
		return STATUS_USE;
	if (line.is_help)
		print_help(stdout);
	else if (line.is_version)
		printf("dmarcgate %s\n", DMARCGATE_VERSION);
	else
		return run(&line);
	return EXIT_SUCCESS;
}
