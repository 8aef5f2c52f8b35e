# SPDX-License-Identifier: BSD-2-Clause
"""What this machine may let us do or not, and how tests get along with it."""

import functools
import itertools
import os
import subprocess
from pathlib import Path

# What a transparent gate's packet filter must be able to do.
TPROXY = ("table ip t { chain c { type filter hook prerouting priority 0; "
          "tcp dport 25 tproxy to :25 meta mark set 1 accept; "
          "socket transparent 1 accept; }; }")

USER = "dmarcgate-test"
_numbers = itertools.count()


def _fault(*words):
    """What a command complains of; "" where it is well."""
    done = subprocess.run(words, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          check=False)
    return "" if done.returncode == 0 else (
        " ".join(done.stderr.split()) or f"{words[0]} fails")


@functools.cache
def no_namespaces():
    """Why there can be no networks of our own; "" where there can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    fault = _fault("unshare", "--net", "--mount",
                   "ip", "link", "set", "lo", "up")
    return fault and f"no network namespace can be made: {fault}"


@functools.cache
def no_tproxy():
    """Why nothing can be intercepted in them; "" where it can."""
    if no_namespaces():
        return no_namespaces()
    fault = _fault("unshare", "--net", "nft", TPROXY)
    return fault and f"no tproxy rule can be set: {fault}"


class OwnUser:
    """A user that no other process of this machine is: uid, name, and the
    words that stand before a command for which there is that user.

    What the rings of one user lock counts together against RLIMIT_MEMLOCK,
    which not every root may raise: with all gates of all tests as nobody, a
    gate may fail to start for what others have running."""

    name = USER

    def __init__(self, home):
        # Ids of processes end at 2**22: nobody else alive has this number.
        self.uid = (1 << 31) + (os.getpid() << 8) + next(_numbers) % 256
        passwd = home / "passwd"
        passwd.write_text(Path("/etc/passwd").read_text() + (
            f"{USER}:x:{self.uid}:{self.uid}::/nonexistent:/bin/false\n"))
        self.words = ["unshare", "--mount", "--propagation", "private",
                      "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"',
                      passwd]
