/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/scenario.h"

#include <stdio.h>

#define FOLDER "tests/sim/"
#define TEXT_MAX (256u * 1024)

const char *const scenario_names[SCENARIOS] = {
	"early-tag", "early-xclient", "early-proxy",  "late-one",
	"routes",    "divert-tag",    "divert-defer", "monitor",
	"limits",    "tls-early",     "tls-required", "tls-routes",
	"roads",     "crowd",         "login",        "login-proxy",
};

static bool
read_file(const char *path, struct buf *text)
{
	FILE *file = fopen(path, "r");
	char piece[4096];
	size_t n;

	if (file == NULL)
		return false;
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append(text, span_make(piece, n));
	fclose(file);
	return !text->has_overflowed;
}

static struct zone *
read_zone(struct buf *faults)
{
	struct zone *zone = NULL;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	if (read_file(FOLDER "world.zone", &text))
		zone = zone_parse(buf_span(&text), "world.zone", faults);
	buf_fini(&text);
	return zone;
}

bool
scenario_init(struct scenario *scenario, const char *name)
{
	struct stage_props *props = &scenario->props;
	char path[256];

	*scenario = (struct scenario){ .name = name };
	buf_init(&scenario->faults, TEXT_MAX);
	snprintf(path, sizeof(path), FOLDER "%s.conf", name);
	scenario->conf = conf_read(path, CONF_GATE, &scenario->faults);
	scenario->zone = read_zone(&scenario->faults);
	if (scenario->conf != NULL)
		scenario->dkim =
			rules_dkim_engine(scenario->conf, DKIM_ENGINE_NATIVE);
	*props = (struct stage_props){
		.conf = scenario->conf,
		.zone = scenario->zone,
		.rules = &scenario->rules.settings,
		.dkim = scenario->dkim,
	};
	return props->conf != NULL &&
	       rules_open(&scenario->rules, props->conf, &scenario->faults) &&
	       props->zone != NULL && props->dkim != NULL;
}

void
scenario_fini(struct scenario *scenario)
{
	dkim_engine_free(scenario->dkim);
	rules_close(&scenario->rules);
	zone_free(scenario->zone);
	conf_free(scenario->conf);
	buf_fini(&scenario->faults);
}
