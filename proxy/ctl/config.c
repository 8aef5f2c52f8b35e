/* SPDX-License-Identifier: BSD-2-Clause */
/* dmarcgatectl config: check and print configurations. */
#include "proxy/ctl/ctl.h"

#include <stdio.h>

#define PRINT_MAX ((size_t)64 << 20)

/* The gate reads what is checked here: by its rules. */
static struct conf *
read_conf(const struct ctl_arguments *arguments)
{
	const char *file = arguments->option[CONFIG_CONF];
	struct buf faults;
	struct conf *conf;

	buf_init(&faults, CTL_FAULTS_MAX);
	conf = conf_read(file == NULL ? CTL_CONF_DEFAULT : file, CONF_GATE,
			 &faults);
	if (faults.n > 0)
		fwrite(buf_span(&faults).p, 1, faults.n, stderr);
	buf_fini(&faults);
	return conf;
}

static int
check(const struct ctl_arguments *arguments, struct buf *out)
{
	struct conf *conf = read_conf(arguments);

	(void)out;
	if (conf == NULL)
		return EX_CONFIG;
	conf_free(conf);
	return EX_OK;
}

static int
show(const struct ctl_arguments *arguments, struct buf *out)
{
	struct conf *conf = read_conf(arguments);

	if (conf == NULL)
		return EX_CONFIG;
	conf_print(conf, out);
	conf_free(conf);
	return EX_OK;
}

static int
example(const struct ctl_arguments *arguments, struct buf *out)
{
	(void)arguments;
	conf_print_example(out);
	return EX_OK;
}

static int
manual(const struct ctl_arguments *arguments, struct buf *out)
{
	(void)arguments;
	conf_print_manual(out);
	return EX_OK;
}

int
ctl_config(const struct ctl_arguments *arguments)
{
	static const struct {
		const char *word;
		int (*run)(const struct ctl_arguments *arguments,
			   struct buf *out);
	} rows[] = {
		{ "check", check },
		{ "show", show },
		{ "example", example },
		{ "manual", manual },
	};
	struct buf out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status;

		if (strcmp(arguments->operand[0], rows[i].word) != 0)
			continue;
		buf_init(&out, PRINT_MAX);
		status = rows[i].run(arguments, &out);
		if (status == EX_OK)
			status = ctl_print(&out);
		buf_fini(&out);
		return status;
	}
	return ctl_complain(EX_USAGE,
			    "config: expected check, show, example or manual, "
			    "found %s",
			    arguments->operand[0]);
}
