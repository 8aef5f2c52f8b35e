# SPDX-License-Identifier: BSD-2-Clause
"""Processes that a test starts, the ports they listen on, the files they use.

Whatever happens, what was started is ended, by its own id: stop() in the
usual course, an exit handler after an exception, and a reaper when this very
process is killed. Each process leads a group of its own, so that what it
forks ends with it.

Why not PR_SET_PDEATHSIG: the kernel forgets it when a process changes its
user, which is the first thing that daemons do.
"""

import atexit
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SCRATCH_PREFIX = "dmarcgate-"

# It reads "+ID" and "-ID" lines from a pipe whose other end dies with us, and
# then ends the groups that are left.
REAPER = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
_reaper = None

_running = []
_directories = []
_ports_given = set()


def _tell_reaper(text):
    """Started at the first need, in a session of its own: what kills our
    group leaves it alone."""
    global _reaper
    if _reaper is None:
        _reaper = subprocess.Popen(
            [sys.executable, "-c", REAPER], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
    os.write(_reaper.stdin.fileno(), text.encode())


class Process:
    """One program, and the process group it leads.

    Its stdout and stderr go to the file `output`, which text() reads."""

    def __init__(self, command, output, env=None, cwd=None):
        self.name = Path(command[0]).name
        self.output = Path(output)
        self.status = None
        with open(self.output, "ab") as sink:
            self.child = subprocess.Popen(
                [str(word) for word in command], env=env, cwd=cwd,
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                start_new_session=True)
        self.pid = self.child.pid
        _tell_reaper(f"+{self.pid}\n")
        _running.append(self)

    def text(self):
        """All that it has printed so far."""
        return self.output.read_text("utf-8", "replace")

    def is_running(self):
        return self.child.poll() is None

    def wait_for(self, claim, seconds=10, what="start"):
        """Wait until claim() holds; a process that ends before it does, or
        takes longer, is an error that shows what it printed."""
        deadline = time.monotonic() + seconds
        while not claim():
            if not self.is_running():
                raise RuntimeError(f"{self.name} ended before it could {what},"
                                   f" status {self.child.returncode}:\n"
                                   f"{self.text()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not {what} within "
                                   f"{seconds} s:\n{self.text()}")
            time.sleep(0.02)

    def signal(self, number):
        """To the process alone, not to its group."""
        if self.is_running():
            self.child.send_signal(number)

    def stop(self, seconds=10):
        """SIGTERM, then SIGKILL to the whole group; gives the exit status,
        which is negative for a signal. May be called again."""
        if self in _running:
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            self.kill()
        return self.status

    def kill(self):
        """SIGKILL to the whole group, at once. Once ended, its id may be
        somebody else's: it is not used again."""
        if self in _running:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.status = self.child.wait()
            _running.remove(self)
            _tell_reaper(f"-{self.pid}\n")
        return self.status


@atexit.register
def _end_all():
    for process in list(_running):
        process.kill()
    for directory in _directories:
        shutil.rmtree(directory, ignore_errors=True)


def free_port():
    """A loopback port that nobody has, for TCP and UDP, v4 and v6.

    Below the kernel's range for outgoing connections, so that none of those
    takes it before its server starts; never given twice."""
    while True:
        port = random.randrange(10000, 32000)
        if port not in _ports_given and _is_free(port):
            _ports_given.add(port)
            return port


def _is_free(port):
    wanted = [(socket.AF_INET, "127.0.0.1")]
    if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
        wanted.append((socket.AF_INET6, "::1"))
    for family, address in wanted:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            with socket.socket(family, kind) as probe:
                try:
                    probe.bind((address, port))
                except OSError:
                    return False
    return True


def _others_may_enter(path):
    """Whether an unprivileged user gets as far as path."""
    return all(part.stat().st_mode & stat.S_IXOTH
               for part in [path, *path.parents])


def scratch(name):
    """A new directory that unprivileged daemons can reach: in build/tmp, or
    in /tmp where this checkout lies in somebody's private home. It is removed
    when this process ends, or, if this was killed, by the next one; with
    KEEP_SCRATCH=1 it stays, to be looked at."""
    base = ROOT / "build" / "tmp"
    base.mkdir(parents=True, exist_ok=True)
    if not _others_may_enter(base):
        base = Path("/tmp")
    keep = os.environ.get("KEEP_SCRATCH")
    owner = "kept" if keep else os.getpid()
    _sweep(base)
    directory = Path(tempfile.mkdtemp(
        prefix=f"{SCRATCH_PREFIX}{owner}-{name}-", dir=base))
    directory.chmod(0o755)
    if not keep:
        _directories.append(directory)
    return directory


def _sweep(base):
    """Remove what processes that are no more have left."""
    for directory in base.glob(f"{SCRATCH_PREFIX}*"):
        owner = directory.name.split("-")[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(directory, ignore_errors=True)


def can_connect(port, address="127.0.0.1"):
    """Whether somebody listens there."""
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False
