/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege: from root to the user of the configuration.
 */
#include "proxy/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Ports below 1024; becoming the user, and telling its processes to end;
 * making the spool directory for it; files of root and of that user;
 * transparent sockets. */
static const unsigned kept[] = {
	CAP_NET_BIND_SERVICE, CAP_SETUID,  CAP_SETGID, CAP_KILL, CAP_CHOWN,
	CAP_DAC_OVERRIDE,     CAP_NET_RAW,
};

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

/* What execve() could give back. Those the kernel does not know end it. */
static void
narrow_bounding_set(uint64_t mask)
{
	for (unsigned i = 0; i < 64; i++)
		if ((mask >> i & 1) == 0 &&
		    prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 && errno == EINVAL)
			return;
}

/* libcap is not needed for one call. */
static bool
narrow_own_sets(uint64_t mask, bool is_effective)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct sets[2];

	if (syscall(SYS_capget, &header, sets) != 0)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(mask >> (32 * i));

		sets[i].permitted &= half;
		sets[i].effective &= half;
		if (is_effective)
			sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, sets) == 0;
}

bool
privilege_narrow(struct buf *faults)
{
	uint64_t mask = 0;

	if (geteuid() != 0)
		return true;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		mask |= UINT64_C(1) << kept[i];
	narrow_bounding_set(mask);
	if (narrow_own_sets(mask, false))
		return true;
	buf_printf(faults, "cannot give up capabilities: %s\n",
		   strerror(errno));
	return false;
}

/* Of root's powers this one outlives the change of the user. */
static bool
become(const struct privilege *privilege)
{
	if (privilege->keeps_raw && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return false;
	if (initgroups(privilege->name, privilege->group) != 0 ||
	    setgid(privilege->group) != 0 || setuid(privilege->user) != 0)
		return false;
	if (setuid(0) == 0 || geteuid() != privilege->user) {
		errno = EPERM; /* it did not hold */
		return false;
	}
	return !privilege->keeps_raw ||
	       narrow_own_sets(UINT64_C(1) << CAP_NET_RAW, true);
}

bool
privilege_drop(const struct privilege *privilege, struct buf *faults)
{
	if (privilege->does_drop && !become(privilege)) {
		buf_printf(faults, "user: cannot become \"%s\": %s\n",
			   privilege->name, strerror(errno));
		return false;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return true;
	buf_printf(faults, "cannot be made safe from others: %s\n",
		   strerror(errno));
	return false;
}
