# SPDX-License-Identifier: BSD-2-Clause
"""Workers that play scripts on the wire, several at a time."""

import concurrent.futures
import json
import os
import queue
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

WORKERS = max(2, os.cpu_count() or 2)


class Worker:
    """A process of worker.py; one that ends is replaced."""

    def __init__(self):
        self.child = None

    def play(self, path):
        """What was wrong, or None; and the gate's event log."""
        if self.child is None:
            self.child = subprocess.Popen(
                [sys.executable, ROOT / "tests" / "wire" / "worker.py"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
                text=True)
        try:
            self.child.stdin.write(f"{path}\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return json.loads(answer)
        status = self.child.wait()
        self.child = None
        return f"the worker ended with status {status}", ""

    def stop(self):
        if self.child is not None:
            self.child.stdin.close()
            self.child.wait()


class Stage:
    """Plays ahead: the outcome of a script is a future."""

    def __init__(self, paths):
        self.free = queue.SimpleQueue()
        self.workers = [Worker() for _ in range(WORKERS)]
        for worker in self.workers:
            self.free.put(worker)
        self.pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
        self.outcomes = {path: self.pool.submit(self._play, path)
                         for path in paths}

    def _play(self, path):
        worker = self.free.get()
        try:
            return worker.play(path)
        finally:
            self.free.put(worker)

    def outcome(self, path):
        return self.outcomes[path].result()

    def stop(self):
        self.pool.shutdown(cancel_futures=True)
        for worker in self.workers:
            worker.stop()


@pytest.fixture(scope="session")
def stage(request):
    """All scripts that were asked for are under way."""
    paths = [item.callspec.params["path"] for item in request.session.items
             if "path" in getattr(item, "callspec", _NoParameters).params]
    playing = Stage(paths)
    yield playing
    playing.stop()


class _NoParameters:
    params = {}
