/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules: what a configuration tells those who judge mail, the lists of domains
 * that it keeps in files among it.
 *
 * Read by whoever reads the configuration, once for all workers: at start and
 * at each reload.
 */
#ifndef PROXY_RULES_H
#define PROXY_RULES_H

#include "proxy/conf.h"

struct rules {
	struct eval_settings settings; /* borrows from conf and from … */
	struct domain_psl *psl;        /* may be NULL */
	struct domain_list *unsampled; /* may be NULL */
};

/* False with a line in faults; rules_close() is due either way. The
 * configuration must outlive them. */
bool rules_open(struct rules *rules, const struct conf *conf,
		struct buf *faults);
void rules_close(struct rules *rules);

/* An engine of that kind which minds the configuration. NULL without memory,
 * or if a library lacks what it needs. */
struct dkim_engine *rules_dkim_engine(const struct conf *conf,
				      enum dkim_engine_kind kind);

#endif
