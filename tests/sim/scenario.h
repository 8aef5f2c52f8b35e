/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario: a configuration of the gate, tests/sim/NAME.conf, and the DNS that
 * all of them share, tests/sim/world.zone.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "tests/sim/world.h"

#define SCENARIOS 16

extern const char *const scenario_names[SCENARIOS];

/* Read it; false with one line per fault in scenario->faults. */
bool scenario_init(struct scenario *scenario, const char *name);
void scenario_fini(struct scenario *scenario);

#endif
