# SPDX-License-Identifier: BSD-2-Clause
"""Who serves a connection, and what is done to him.

A victim is found by the connection that it holds, never by its name, and only
among the processes that the test has started.
"""

import os
import signal
import socket
import struct
import time
from pathlib import Path

SECONDS = 20

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1
ANY = 0xffffffff
INODE_AT = 16 + 68


def wait_until(claim, what):
    """Wait until claim() holds; the first true value."""
    deadline = time.monotonic() + SECONDS
    while not (value := claim()):
        assert time.monotonic() < deadline, f"{what}: not in {SECONDS} s"
        time.sleep(0.001)
    return value


# --- finding ------------------------------------------------------------------


def children(pid):
    """The ids of a process's children; none of one that is gone."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _inode(port, peer_port):
    """Of the socket of 127.0.0.1:port that is connected to peer_port; None if
    there is none. The kernel is asked for this one (sock_diag(7)): to read
    through /proc/net/tcp takes a hundred times as long."""
    address = socket.inet_aton("127.0.0.1") + bytes(12)
    wanted = (struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0,
                          ANY) + struct.pack("!HH", port, peer_port)
              + address + address + struct.pack("=III", 0, ANY, ANY))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as diag:
        diag.send(struct.pack("=IHHII", 16 + len(wanted),
                              SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
                  + wanted)
        answer = diag.recv(8192)
    kind, = struct.unpack_from("=H", answer, 4)
    if kind != SOCK_DIAG_BY_FAMILY:
        return None
    return struct.unpack_from("=I", answer, INODE_AT)[0] or None


def _holds(pid, link):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == link
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:  # it, or one of its descriptors, has just gone
        return False


def find(pids, port, peer_port):
    """Which of the processes holds the socket of 127.0.0.1:port that is
    connected to peer_port, if one does."""
    inode = _inode(port, peer_port)
    return next((pid for pid in pids
                 if inode and _holds(pid, f"socket:[{inode}]")), None)


def holder(pids, port, peer_port):
    """The same, of the processes that pids() gives; it may just be about to
    accept the connection."""
    return wait_until(lambda: find(pids(), port, peer_port),
                      f"who holds {port} -> {peer_port}")


# --- states -------------------------------------------------------------------


def _state(path):
    try:
        return path.read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def is_gone(pid):
    """Whether it has ended, be it that nobody has asked for its status."""
    return _state(Path(f"/proc/{pid}/stat")) in ("gone", "Z", "X")


def _is_stopped(pid):
    """With all its threads, those of the kernel's for its ring too."""
    return all(_state(thread / "stat") in ("T", "gone")
               for thread in Path(f"/proc/{pid}/task").iterdir())


# --- doing --------------------------------------------------------------------


def kill(pid):
    """SIGKILL; it is dead when this returns."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid), f"the death of {pid}")


def stop(pid):
    """SIGSTOP; it stands still when this returns."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _is_stopped(pid), f"{pid} stands still")


def go_on(pid):
    os.kill(pid, signal.SIGCONT)
