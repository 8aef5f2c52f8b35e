# SPDX-License-Identifier: BSD-2-Clause
"""Memory that a message of 50 MB takes: how much the worker's own memory grows
while it is on its way, over what it had while it took small ones."""

import re
import threading
from pathlib import Path

from tests.bench.rig import check, die, drive
from tests.bench.rows import Row

BODY_MEMORY_KIB = 1024  # its default
SLACK_KIB = 64
MEGABYTES = 50
TIMES = 3
WARM = 800  # small messages


class Watch(threading.Thread):
    """The most that RssAnon of a process was."""

    def __init__(self, pid):
        super().__init__()
        self.status = Path(f"/proc/{pid}/status")
        self.most = 0
        self.looks = 0
        self.is_over = threading.Event()

    def kib(self):
        return int(re.search(r"^RssAnon:\s+(\d+) kB", self.status.read_text(),
                             re.M)[1])

    def run(self):
        while not self.is_over.wait(0.001):
            self.most = max(self.most, self.kib())
            self.looks += 1

    def stop(self):
        self.is_over.set()
        self.join()


def huge():
    """Just below 50 MiB, the default of message-size."""
    line = b"All work and no play makes the gate a dull one. %06d\r\n"
    head = b"From: <alice@sender.example>\r\nSubject: much\r\n\r\n"
    count = (MEGABYTES * 1024 * 1024 - 4096) // len(line % 0)
    return head + b"".join(line % (i % 1000000) for i in range(count))


def measure(rig, _):
    """By a gate of its own: what others have left in the allocator could be
    used again, and would not show. The small messages fill every buffer that
    the worker receives into; they are of two sizes, so that it is not always
    the same ones that are filled to the end."""
    server = rig.new_gate("gate-large")
    worker, = server.gate.workers()
    mail = rig.mails.named("huge", huge())
    check(server, drive(server, rig.mails.good(40), rig.mails.good(60),
                        sessions=1, messages=WARM))
    watch = Watch(worker)
    before = watch.kib()
    watch.start()
    for _ in range(TIMES):
        check(server, drive(server, mail, sessions=1, messages=1))
    watch.stop()
    rig.drop(server)
    if watch.looks < 100:
        die(f"the worker's memory was looked at {watch.looks} times only")
    yield Row("large", f"memory for a {MEGABYTES} MB message",
              watch.most - before, "KiB", BODY_MEMORY_KIB + SLACK_KIB,
              detail={"rss_anon_kib": [before, watch.most],
                      "looks": watch.looks, "octets": mail.octets},
              note="target: body-memory (1 MiB) + 64 KiB; most over "
              f"{watch.looks} looks")
