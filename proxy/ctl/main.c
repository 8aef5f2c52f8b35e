/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmarcgatectl: the tool beside the gate. It finds the subcommand and runs it.
 */
#include "proxy/ctl/ctl.h"
#include "proxy/version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
ctl_complain(int status, const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("dmarcgatectl: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return status;
}

int
ctl_print(const struct buf *text)
{
	struct span octets = buf_span(text);

	if (text->has_overflowed)
		return ctl_complain(EX_OSERR, "not enough memory");
	if ((octets.n > 0 &&
	     fwrite(octets.p, 1, octets.n, stdout) != octets.n) ||
	    fflush(stdout) != 0)
		return ctl_complain(EX_IOERR, "standard output: %s",
				    strerror(errno));
	return EX_OK;
}

struct conf *
ctl_conf(const char *file, int *status)
{
	struct buf faults;
	struct conf *conf;
	struct span text;

	*status = EX_OK;
	if (file == NULL && access(CTL_CONF_DEFAULT, F_OK) != 0) {
		conf = conf_default();
		if (conf == NULL)
			*status = ctl_complain(EX_OSERR, "not enough memory");
		return conf;
	}
	buf_init(&faults, CTL_FAULTS_MAX);
	conf = conf_read(file == NULL ? CTL_CONF_DEFAULT : file, CONF_TOOL,
			 &faults);
	text = buf_span(&faults);
	if (text.n > 0)
		fwrite(text.p, 1, text.n, stderr);
	buf_fini(&faults);
	if (conf == NULL)
		*status = EX_CONFIG;
	return conf;
}

static int
print_version(void)
{
	printf("dmarcgatectl %s\n", DMARCGATE_VERSION);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static int
run(const char *word, int argc, char *const *argv)
{
	enum ctl_subcommand subcommand = ctl_find(word);
	struct ctl_arguments arguments;
	int status;

	if (subcommand == CTL_COUNT)
		return ctl_complain(EX_USAGE,
				    "unknown subcommand %s; see dmarcgatectl "
				    "help",
				    word);
	if (ctl_wants_help(argc, argv)) {
		arguments = (struct ctl_arguments){ .operand = { word },
						    .operand_count = 1 };
		return ctl_help(&arguments);
	}
	status = ctl_read_arguments(subcommand, argc, argv, &arguments);
	if (status != EX_OK)
		return status;
	return ctl_subcommands[subcommand].run(&arguments);
}

int
main(int argc, char **argv)
{
	static const struct ctl_arguments none;

	if (argc < 2)
		return ctl_complain(EX_USAGE, "expected a subcommand; see "
					      "dmarcgatectl help");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return ctl_help(&none);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return print_version();
	return run(argv[1], argc - 2, argv + 2);
}
