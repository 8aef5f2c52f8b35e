/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

int
signals_open(int another)
{
	/* SIGINT comes to all processes of a terminal; the master decides. */
	static const int ignored[] = { SIGINT, SIGHUP, SIGPIPE, SIGXFSZ };
	sigset_t taken;

	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGUSR1);
	if (another != 0)
		sigaddset(&taken, another);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &taken, NULL) != 0)
		return -1;
	return signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
}
