/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/rules.h"

#include "proxy/textfile.h"

#include <unistd.h>

#define PSL_DEFAULT "/usr/share/publicsuffix/public_suffix_list.dat"

static void
explain_psl(const char *name, struct span text, struct buf *faults)
{
	size_t line = domain_psl_fault(text);

	if (line > 0)
		buf_printf(faults,
			   "%s:%zu: expected a rule of a public suffix list, "
			   "such as \"co.uk\"\n",
			   name, line);
	else
		buf_printf(faults, "%s: not a public suffix list\n", name);
}

static bool
load_psl(struct rules *rules, const struct conf *conf, struct buf *faults)
{
	bool is_set = conf->psl_file.n > 0;
	struct span path = is_set ? conf->psl_file : SPAN_LIT(PSL_DEFAULT);
	char name[PATH_MAX];
	struct buf text;

	if (!textfile_path(path, name, faults))
		return false;
	if (!is_set && access(name, R_OK) != 0) {
		rules->psl = domain_psl_builtin();
		return true; /* without any, a tree walk needs none */
	}
	buf_init(&text, TEXTFILE_OCTETS_MAX);
	if (textfile_read(name, &text, faults)) {
		rules->psl = domain_psl_new(buf_span(&text));
		if (rules->psl == NULL)
			explain_psl(name, buf_span(&text), faults);
	}
	buf_fini(&text);
	return rules->psl != NULL;
}

static bool
read_unsampled(struct rules *rules, const struct conf *conf, const char *name,
	       struct span text, struct buf *faults)
{
	size_t line;

	rules->unsampled = domain_list_new(conf->unsampled,
					   conf->unsampled_count, text, &line);
	if (rules->unsampled != NULL)
		return true;
	if (line > 0)
		buf_printf(faults, "%s:%zu: expected a domain\n", name, line);
	else
		buf_printf(faults, "%s: not enough memory\n", name);
	return false;
}

static bool
load_unsampled(struct rules *rules, const struct conf *conf, struct buf *faults)
{
	char name[PATH_MAX];
	struct buf text;
	bool is_read;

	if (!textfile_path(conf->unsampled_file, name, faults))
		return false;
	buf_init(&text, TEXTFILE_OCTETS_MAX);
	is_read = (name[0] == '\0' || textfile_read(name, &text, faults)) &&
		  read_unsampled(rules, conf, name, buf_span(&text), faults);
	buf_fini(&text);
	return is_read;
}

bool
rules_open(struct rules *rules, const struct conf *conf, struct buf *faults)
{
	*rules = (struct rules){ .psl = NULL };
	if (!load_psl(rules, conf, faults) ||
	    !load_unsampled(rules, conf, faults))
		return false;
	rules->settings = (struct eval_settings){
		.discovery = conf->discovery,
		.does_compare = conf->does_compare,
		.needs_evidence = conf->needs_evidence,
		.psl = rules->psl,
		.overrides = conf->overrides,
		.override_count = conf->override_count,
		.arc_sealers = conf->arc_sealers,
		.arc_sealer_count = conf->arc_sealer_count,
		.forces = conf->forces,
		.force_count = conf->force_count,
		.does_honour_pct = conf->does_honour_pct,
		.unsampled = rules->unsampled,
	};
	return true;
}

void
rules_close(struct rules *rules)
{
	domain_psl_free(rules->psl);
	domain_list_free(rules->unsampled);
}

struct dkim_engine *
rules_dkim_engine(const struct conf *conf, enum dkim_engine_kind kind)
{
	struct dkim_engine *engine = dkim_engine_new(kind);

	if (engine != NULL)
		dkim_engine_distrust_length(engine, conf->distrusts_length);
	return engine;
}
