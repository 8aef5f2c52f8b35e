/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege: from root to the user of the configuration.
 */
#include "proxy/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

bool
privilege_find(struct span user, struct privilege *privilege,
	       struct buf *faults)
{
	struct passwd *entry;

	*privilege =
		(struct privilege){ .user = geteuid(), .group = getegid() };
	if (user.n == 0)
		return true;
	if (user.n >= sizeof(privilege->name)) {
		buf_append(faults, SPAN_LIT("user: the name is too long\n"));
		return false;
	}
	memcpy(privilege->name, user.p, user.n);
	errno = 0;
	entry = getpwnam(privilege->name);
	if (entry == NULL) {
		buf_printf(faults, "user: no user \"%s\" on this machine%s%s\n",
			   privilege->name, errno == 0 ? "" : ": ",
			   errno == 0 ? "" : strerror(errno));
		return false;
	}
	if (entry->pw_uid == privilege->user)
		return true;
	if (privilege->user != 0) {
		buf_printf(faults, "user: only root can become \"%s\"\n",
			   privilege->name);
		return false;
	}
	privilege->does_drop = true;
	privilege->user = entry->pw_uid;
	privilege->group = entry->pw_gid;
	return true;
}

static bool
become(const struct privilege *privilege)
{
	if (initgroups(privilege->name, privilege->group) != 0 ||
	    setgid(privilege->group) != 0 || setuid(privilege->user) != 0)
		return false;
	if (setuid(0) == 0 || geteuid() != privilege->user) {
		errno = EPERM; /* it did not hold */
		return false;
	}
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

bool
privilege_drop(const struct privilege *privilege, struct buf *faults)
{
	if (privilege->does_drop && !become(privilege)) {
		buf_printf(faults, "user: cannot become \"%s\": %s\n",
			   privilege->name, strerror(errno));
		return false;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		buf_printf(faults, "no_new_privs: %s\n", strerror(errno));
		return false;
	}
	return true;
}
