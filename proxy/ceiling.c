/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ceiling.h"

#include "proxy/cryptomem.h"
#include "proxy/log.h"

static size_t
all_held(const struct drivers *drivers)
{
	size_t crypto = cryptomem_held();

	return drivers->memory + (crypto > drivers->crypto_base
					  ? crypto - drivers->crypto_base
					  : 0);
}

void
ceiling_weigh(struct drivers *drivers, size_t before, size_t now)
{
	size_t most = drivers->memory_max;
	bool was_full = drivers->is_memory_full;
	size_t all;

	drivers->memory = drivers->memory - before + now;
	all = all_held(drivers);
	if (all >= most && most > 0)
		drivers->is_memory_full = true;
	else if (all <= most - most / 8)
		drivers->is_memory_full = false;
	if (drivers->is_memory_full != was_full)
		log_printf(drivers->is_memory_full ? EVENT_MEMORY_FULL
						   : EVENT_MEMORY_FREE,
			   "worker=%u sessions=%zu memory=%zu", drivers->worker,
			   drivers->count, all);
}
