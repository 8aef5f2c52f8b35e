# SPDX-License-Identifier: BSD-2-Clause
"""The master is killed, or stands still, at each point of a dialogue.

Without a master the workers end by themselves: they take nobody new, bring to
an end what is under way, and are gone. A new gate starts meanwhile, on the
same ports, with the same spool."""

import os
import signal
import socket
import threading

import pytest

from tests.kill import books, victims
from tests.kill.backend import Backend
from tests.kill.sender import carry, deliver, write_letter
from tests.kill.stage import (POINTS, TIMES, lanes, new_gate, new_letter,
                              settle)

WORKERS = 2


def is_refused(port):
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass
    return False


class Lane:
    """One gate after the other, with one backend."""

    def __init__(self, point, does_return):
        self.point, self.does_return = point, does_return
        self.backend = Backend()
        self.gate = new_gate(self.backend, WORKERS)
        self.letters, self.orphans = [], []
        self.dead = self.worker = None
        self.is_struck = threading.Event()

    def run(self, times):
        for _ in range(times):
            self._once()
        self.gate.stop()
        return settle(self.gate, self.backend, self.letters)

    def _once(self):
        letter = new_letter(self.point)
        self.letters.append(letter)
        self.is_struck.clear()
        self.backend.trap(letter.sender, self._actions())
        attempt = carry(self.gate, letter, {self.point: self._strike})
        assert attempt.is_delivered(), attempt
        assert self.is_struck.wait(victims.SECONDS), self.backend.faults
        if not self.does_return:
            self._bury()

    # --- the trap ---

    def _actions(self):
        if self.point == "reply":
            return {"dot": self._on_dot, "replied": self._on_reply}
        return {self.point: self._strike}

    def _on_dot(self, session):
        """The worker must not pass on the 250 while its master lives."""
        self.worker = victims.holder(self.gate.workers, session.gate_port,
                                     session.port)
        victims.stop(self.worker)

    def _on_reply(self, _):
        self._strike(None, lambda: victims.go_on(self.worker))

    def _strike(self, _, follow=lambda: None):
        master = self.gate.process.pid
        if self.does_return:
            victims.stop(master)
            follow()
            deliver(self.gate, self._another())
            victims.go_on(master)
        else:
            self._kill()
            follow()
            self._succeed()
        self.is_struck.set()

    def _another(self):
        self.letters.append(write_letter(is_bystander=True))
        return self.letters[-1]

    def _kill(self):
        """The master alone."""
        self.dead = self.gate.process
        self.orphans = self.gate.workers()
        os.kill(self.dead.pid, signal.SIGKILL)
        self.dead.child.wait()

    def _succeed(self):
        """Nobody listens soon, and a new gate takes mail at once."""
        for port in self.gate.port, self.gate.plain_port:
            victims.wait_until(lambda port=port: is_refused(port),
                               f"nobody listens at {port}")
        self.gate.start()
        deliver(self.gate, self._another())

    def _bury(self):
        """The session is over: now they end, without being told."""
        victims.wait_until(lambda: all(map(victims.is_gone, self.orphans)),
                           f"the end of the workers {self.orphans}")
        self.dead.kill()


@pytest.mark.parametrize("point", POINTS)
def test_killed(point):
    result = lanes(lambda times: Lane(point, False).run(times))
    books.enter("master killed", point, result)
    assert not result.faults, result.faults
    assert result.once == result.saw["2xx"] == TIMES


@pytest.mark.parametrize("point", POINTS)
def test_stopped(point):
    result = lanes(lambda times: Lane(point, True).run(times))
    books.enter("master stopped", point, result)
    assert not result.faults, result.faults
    assert result.once == result.saw["2xx"] == TIMES
