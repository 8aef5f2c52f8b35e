# SPDX-License-Identifier: BSD-2-Clause
"""System calls of the worker by the message, at load: counted by perf(1), in
the kernel, which slows nothing down; without it by strace(1), whose delay has
more done in one call than without it."""

import re
import signal
import subprocess
import time

from tests.bench.rig import check, die, drive
from tests.bench.rows import Row

GOAL = 2.0
ENTER, ALL = "syscalls:sys_enter_io_uring_enter", "raw_syscalls:sys_enter"
STRACE = r"^ *[\d.]+ +[\d.]+ +(?:\d+ +)?(\d+) +(?:\d+ +)?{name}$"
MESSAGES, SESSIONS = 4000, 20


def _has_perf():
    try:
        return subprocess.run(["perf", "stat", "-e", ENTER, "true"],
                              capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _counted(pid, home, has_perf, work):
    """(io_uring_enter, all system calls) of a process while work() runs."""
    said = home / "syscalls"
    command = (["perf", "stat", "-x,", "-o", said, "-e", f"{ENTER},{ALL}",
                "-p", str(pid)] if has_perf else
               ["strace", "-f", "-c", "-o", said, "-p", str(pid)])
    counter = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    work()
    counter.send_signal(signal.SIGINT)
    counter.wait(30)
    text = said.read_text()
    found = ([re.search(rf"^(\d+),,{re.escape(name)}", text, re.M)
              for name in (ENTER, ALL)] if has_perf else
             [re.search(STRACE.format(name=name), text, re.M)
              for name in ("io_uring_enter", "total")])
    if not all(found):
        die(f"system calls could not be counted: {text!r}")
    return [int(each[1]) for each in found]


def measure(rig, _):
    server, has_perf = rig.gate(), _has_perf()
    worker, = server.gate.workers()
    mail, messages = rig.mails.good(), rig.count(MESSAGES)
    for is_kept in False, True:
        def work(is_kept=is_kept):
            check(server, drive(server, mail, sessions=SESSIONS, kept=is_kept,
                                messages=messages))
        work()
        enters, calls = _counted(worker, rig.home, has_perf, work)
        yield Row("enters-" + ("kept" if is_kept else "new"),
                  "io_uring_enter per message, " +
                  ("connection kept" if is_kept else "new connection"),
                  enters / messages, "calls", GOAL,
                  detail={"calls": calls / messages},
                  note=f"{calls / messages:.2f} system calls in all, by " +
                  ("perf" if has_perf else "strace"))
