/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper: the process that rotates the verdict log.
 *
 * It is a child of the master and runs as the unprivileged user, who owns the
 * spool. About once a second it looks at verdict.log: by size or age it is
 * rotated (segment.h); workers follow by themselves. A rotated segment gets its
 * last line when no worker can write to it any more. Segments that all
 * registered readers have passed are compressed, one at a time, in a child of
 * its own, and deleted as keep and keep-size ask; one that a registered reader
 * has not passed stays, and where that takes more than keep-size, an event says
 * so.
 *
 * What others do to verdict.log is noticed, and said: one that was cut short
 * (its lines are lost) is rotated, so that no position means two things; one
 * that was renamed becomes the segment it would have become; one that was
 * deleted is lost; one without a head, as older versions left it, is rotated.
 *
 * There is one keeper of a spool; another one, of a gate that is ending or of a
 * second one, waits. Nothing depends on the keeper: workers write, and the next
 * one mends what this one left half done. It never waits but for the disk.
 */
#ifndef PROXY_KEEPER_H
#define PROXY_KEEPER_H

#include "proxy/conf.h"

struct keeper_setup {
	const struct conf *conf;
	int spool; /* the directory; O_PATH will do */
	int life;  /* ends when the master does */
};

/* Keep the spool until the master ends or SIGTERM comes. SIGUSR1 re-opens the
 * event log. The process's exit status. */
int keeper_run(const struct keeper_setup *setup);

#endif
