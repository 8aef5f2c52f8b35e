# SPDX-License-Identifier: BSD-2-Clause
"""What stands around one play: a network of its own, a clock, and the gate.

The network is a namespace with nothing in it but a loopback device that has
every address a script speaks of, so that its proxy.conf is used as it is. The
clock is that of clock.c: it stands still but when it is moved.

settle() is what makes a play certain without waiting for time to pass: it
returns when the gate sleeps and has read all that was sent to it.
"""

import ctypes
import ipaddress
import json
import mmap
import os
import pwd
import re
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

from tests.e2e.process import Process, scratch
from tests.wire import certificates
from tests.wire.certificates import BUILD, CLOCK

DMARCGATE = BUILD / "dmarcgate"

SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)"
                       r"Sanitizer|: runtime error: ")

CLONE_NEWNET = 0x40000000
START_US = 1000 * 1000000          # as in tests/replay/stage.c
HASH_SIZE = Path("/proc/sys/net/ipv4/tcp_child_ehash_entries")
SECONDS_MAX = 20                   # for what should happen at once

# Whatever stands for a host in a script: a client, the gate, a backend.
OTHERS = "203.0.113.77"     # clients that no script listens to
ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|(?<![\w:])2001:db8:[\w:]*")

# States in /proc/net/tcp.
SYN_SENT, TIME_WAIT, LISTEN = 2, 6, 10


class Trouble(Exception):
    """The play cannot go on; the text says why."""


# --- the network --------------------------------------------------------------

def enter_network(script, is_narrow):
    """A network namespace of our own, with the addresses of a script.

    A narrow one holds little of what is under way, so that a peer that does
    not read is soon noticed."""
    _new_network()
    # A table of sockets that is quick to read, for the next one.
    if HASH_SIZE.exists():
        HASH_SIZE.write_text("64")
        _new_network()
    commands = [f"link set lo up mtu {1500 if is_narrow else 65536}"]
    commands += [f"addr add {address} dev lo"
                 + (" nodad" if address.version == 6 else "")
                 for address in addresses(script)]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n",
                   text=True, check=True, timeout=SECONDS_MAX)
    if is_narrow:
        for name in "tcp_wmem", "tcp_rmem":
            Path("/proc/sys/net/ipv4", name).write_text("4096 8192 8192")


def _new_network():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise Trouble(f"unshare: {os.strerror(ctypes.get_errno())}")


def addresses(script):
    """Of a script's hosts, those that loopback does not have anyway."""
    text = script.conf + script.zone + "\n".join(
        line.text.decode("utf-8", "replace") for line in script.lines
        if line.kind == "directive")
    found = {"192.0.2.10", "198.51.100.25", "2001:db8::25", OTHERS,
             *ADDRESS.findall(text)}
    return [address for address in map(ipaddress.ip_address, sorted(found))
            if not address.is_loopback]


class Sockets:
    """The sockets of the namespace, as the kernel shows them."""

    def __init__(self, gate_ports, backend_ports):
        self.gate_ports = gate_ports
        self.backend_ports = backend_ports

    def of_gate(self):
        """(state, peer's port, octets it has not read, not sent) of each."""
        return [(state, remote, unread, unsent)
                for local, remote, state, unread, unsent in _tcp_table()
                if local in self.gate_ports or remote in self.backend_ports]

    def all(self):
        """The same of all, the parties' too."""
        return [(state, remote, unread, unsent)
                for _, remote, state, unread, unsent in _tcp_table()]


def _tcp_table():
    for name in "tcp", "tcp6":
        table = Path("/proc/thread-self/net", name)
        for row in table.read_text().splitlines()[1:]:
            words = row.split()
            state = int(words[3], 16)
            unsent, unread = words[4].split(":")
            if state != TIME_WAIT:
                yield (int(words[1].rsplit(":")[1], 16),
                       int(words[2].rsplit(":")[1], 16), state,
                       int(unread, 16), int(unsent, 16))


# --- the gate -----------------------------------------------------------------

def _with_resolver(conf, settings):
    """A configuration with settings of DNS, beside those that it has."""
    block = "resolver {"
    if block not in conf:
        conf += f"{block} }}\n"
    return conf.replace(block, f"{block} {settings} ")


class Gate:
    """dmarcgate with the configuration of a script, and its clock."""

    def __init__(self, script, extra_conf, home, resolver=None):
        self.home = home
        self.is_told = False  # to end
        self._make_clock()
        (home / "zone").write_text(script.zone, "utf-8")
        conf = home / "proxy.conf"
        conf.write_text(_with_resolver(
            self._conf(script) + extra_conf,
            resolver or f'zone-file = "{home / "zone"}"'), "utf-8")
        self.process = Process([DMARCGATE, "-c", conf], home / "events",
                               env=self._environment())

    def _conf(self, script):
        bodies, spool = self._own("bodies"), self._own("spool")
        return (script.conf.replace('"/tls/', f'"{certificates.folder()}/')
                + 'workers = 1\nuser = "nobody"\n'
                f'body-directory = "{bodies}"\n'
                f'spool {{ directory = "{spool}" }}\n')

    def _own(self, name):
        """A directory that the gate may write into."""
        directory = self.home / name
        directory.mkdir()
        nobody = pwd.getpwnam("nobody")
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        return directory

    def _environment(self):
        # The clock stands in front of everything, and asan wants to.
        asan = os.environ.get("ASAN_OPTIONS", "")
        return {**os.environ, "LD_PRELOAD": str(CLOCK),
                "WIRE_CLOCK": str(self.home / "clock"),
                "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}

    # The clock.

    def _make_clock(self):
        file = self.home / "clock"
        file.write_bytes(bytes(mmap.PAGESIZE))
        with open(file, "r+b") as opened:
            self._page = mmap.mmap(opened.fileno(), mmap.PAGESIZE)
        self.now_us = START_US
        self.pass_time(0)

    def pass_time(self, us):
        self.now_us += us
        struct.pack_into("=Q", self._page, 0, self.now_us)

    def wake(self):
        """Have the workers look at the clock: a process that was stopped
        comes back from its system call."""
        for pid in self.workers():
            try:
                os.kill(pid, signal.SIGSTOP)
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass   # it has just ended

    def workers(self):
        """Children of the master: their ids stay theirs until it has waited
        for them, so a signal reaches nobody else."""
        pid = self.process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            return []
        return [int(child) for child in children.split()]

    def is_asleep(self):
        """Whether no thread of a worker does anything, nor waits for a
        disk."""
        try:
            states = [(task / "stat").read_text().rsplit(")", 1)[1].split()[0]
                      for pid in self.workers()
                      for task in Path(f"/proc/{pid}/task").iterdir()]
        except OSError:  # one has just ended
            return False
        return all(state == "S" for state in states)

    # What it says.

    def log_size(self):
        return self.process.output.stat().st_size

    def _log(self):
        return self.process.text().split("\n")[:-1]

    def has_logged(self, name):
        return any(line.split(" ")[2:3] == [name] for line in self._log())

    def events(self):
        """The events of sessions, in order, as NAME KEY=VALUE...: others are
        told of processes and of probes."""
        return [line.split(" ", 2)[2] for line in self._log()
                if " session=" in line and f" client={OTHERS}" not in line]

    def verdicts(self):
        """Verdict lines so far, as text; others stand between them."""
        file = self.home / "spool" / "verdict.log"
        if not file.exists():
            return []
        lines = file.read_text("utf-8").split("\n")
        if lines[-1] != "":
            raise Trouble(f"a torn verdict line: {lines[-1]!r}")
        return [line for line in lines[:-1] if "action" in json.loads(line)]

    # Its end.

    def terminate(self):
        """Once: a second SIGTERM would cut off what still drains."""
        if not self.is_told:
            self.is_told = True
            self.process.signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM, and time until it has ended: with status 0, and nothing
        that a sanitizer says."""
        self.terminate()
        deadline = time.monotonic() + SECONDS_MAX
        while self.process.is_running():
            if time.monotonic() > deadline:
                raise Trouble("it does not end by SIGTERM")
            time.sleep(0.002)
            self.pass_time(100000)
            self.wake()
        status = self.process.stop()
        if status != 0 or SANITIZER.search(self.process.text()):
            raise Trouble(f"it ended with status {status}")


_home = None


def new_home():
    """An empty directory of this process for one play."""
    global _home
    if _home is None:
        _home = scratch("wire")
    home = _home / "play"
    if "KEEP_SCRATCH" in os.environ:
        home = _home / f"play-{time.monotonic_ns()}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o755)
    return home
