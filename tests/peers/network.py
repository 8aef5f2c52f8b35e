# SPDX-License-Identifier: BSD-2-Clause
"""Three hosts in a row, each a network namespace:

    client 10.99.1.2 --- 10.99.1.1 gate 10.99.2.1 --- 10.99.2.2 backend

and the same as 2001:db8:99:1::2 and so on.

None of them has a way to this machine's own network. The gate's forwards
nothing: whatever comes to it, for whatever address, is for a socket of its
own, or for nobody. So what the client sends to the backend's address, and the
backend to the client's, meets dmarcgate or an end, as it does on a router with
the rules for a transparent one.
"""

import contextlib
import ctypes
import os
import subprocess

from tests.e2e.process import Process

CLIENT, BACKEND = "10.99.1.2", "10.99.2.2"
GATE_OUTSIDE, GATE_INSIDE = "10.99.1.1", "10.99.2.1"
CLIENT6, BACKEND6 = "2001:db8:99:1::2", "2001:db8:99:2::2"
GATE_OUTSIDE6, GATE_INSIDE6 = "2001:db8:99:1::1", "2001:db8:99:2::1"
HOSTS = ("client", "gate", "backend")
CLONE_NEWNET = 0x40000000
SECONDS_MAX = 20

GATE_ROUTES = """\
rule add iif inside lookup 100
rule add iif outside lookup 100
route add local 0.0.0.0/0 dev lo table 100
"""


class Network:
    """The three hosts; they live until stop()."""

    def __init__(self, home):
        self.home = home
        self.holders = {}
        try:
            for host in HOSTS:
                self.holders[host] = self._new(host)
            self._connect()
        except BaseException:
            self.stop()
            raise

    def _new(self, host):
        holder = Process(["unshare", "--net", "sleep", "infinity"],
                         self.home / f"host-{host}")
        ours = os.readlink("/proc/self/ns/net")
        holder.wait_for(lambda: os.readlink(
            f"/proc/{holder.pid}/ns/net") != ours, SECONDS_MAX)
        return holder

    def _connect(self):
        client, gate, backend = (self.holders[host].pid for host in HOSTS)
        self._ip(None,
                 f"link add outside netns {gate} type veth "
                 f"peer name eth0 netns {client}\n"
                 f"link add inside netns {gate} type veth "
                 f"peer name eth0 netns {backend}\n")
        self._ip("client", "link set lo up\nlink set eth0 up\n"
                 f"addr add {CLIENT}/24 dev eth0\n"
                 f"addr add {CLIENT6}/64 dev eth0 nodad\n"
                 f"route add default via {GATE_OUTSIDE}\n")
        self._ip("backend", "link set lo up\nlink set eth0 up\n"
                 f"addr add {BACKEND}/24 dev eth0\n"
                 f"addr add {BACKEND6}/64 dev eth0 nodad\n"
                 f"route add default via {GATE_INSIDE}\n")
        self._ip("gate", "link set lo up\nlink set outside up\n"
                 f"link set inside up\naddr add {GATE_OUTSIDE}/24 dev outside\n"
                 f"addr add {GATE_OUTSIDE6}/64 dev outside nodad\n"
                 f"addr add {GATE_INSIDE6}/64 dev inside nodad\n"
                 f"addr add {GATE_INSIDE}/24 dev inside\n{GATE_ROUTES}")
        # Only now: a way leads through an interface that is up on both sides.
        self._ip("client", f"route add default via {GATE_OUTSIDE6}\n", "-6")
        self._ip("backend", f"route add default via {GATE_INSIDE6}\n", "-6")
        self._ip("gate", GATE_ROUTES.replace("0.0.0.0/0", "::/0"), "-6")

    def _ip(self, host, commands, *options):
        prefix = [] if host is None else self.on(host)
        subprocess.run([*prefix, "ip", *options, "-batch", "-"], input=commands,
                       text=True, check=True, timeout=SECONDS_MAX)

    def on(self, host):
        """What stands before a command that runs on a host; its process is
        the command's own."""
        return ["nsenter", f"--net=/proc/{self.holders[host].pid}/ns/net"]

    @contextlib.contextmanager
    def inside(self, host):
        """Sockets that this thread makes belong to that host."""
        with open("/proc/thread-self/ns/net", encoding="ascii") as ours, \
                open(f"/proc/{self.holders[host].pid}/ns/net",
                     encoding="ascii") as theirs:
            _enter(theirs)
            try:
                yield
            finally:
                _enter(ours)

    def stop(self):
        for holder in self.holders.values():
            holder.kill()


def _enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
