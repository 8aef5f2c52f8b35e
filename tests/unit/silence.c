/* SPDX-License-Identifier: BSD-2-Clause */
/* In a file of its own: <fcntl.h> has a struct stat, stats.h an enum. */
#include "tests/unit/silence.h"

#include <fcntl.h>
#include <unistd.h>

int
silence_start(void)
{
	int kept = dup(STDERR_FILENO);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDERR_FILENO);
	close(null);
	return kept;
}

void
silence_end(int kept)
{
	dup2(kept, STDERR_FILENO);
	close(kept);
}
