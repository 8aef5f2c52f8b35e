# SPDX-License-Identifier: BSD-2-Clause
"""A worker that is killed, or stands still for a while, at each point of a
dialogue: its own sessions end, and nothing else."""

import threading

import pytest

from tests.e2e.gate import DMARCGATE
from tests.kill import books, victims
from tests.kill.backend import Backend
from tests.kill.sender import Carrier, deliver, write_letter
from tests.kill.stage import (POINTS, TIMES, lanes, new_gate, new_letter,
                              settle)

WORKERS = 8
WORKERS_MIN = 4  # below, the gate is started anew: a new worker takes time


def stand_still(worker):
    victims.stop(worker)
    victims.go_on(worker)


class Lane:
    """One gate with its backend. `strike` is done to a worker; but at
    "reply", where it must not move between, it is stopped and `end` follows.
    Others are in the middle of their content, unless it is_alone."""

    def __init__(self, point, strike, end, program=DMARCGATE, is_alone=False):
        self.point, self.strike, self.end = point, strike, end
        self.is_alone = is_alone
        self.backend = Backend()
        self.gate = new_gate(self.backend, WORKERS, program=program)
        self.letters = []
        self.victim = None
        self.is_struck = threading.Event()

    def run(self, times):
        for _ in range(times):
            self._once()
        self.gate.stop()
        return settle(self.gate, self.backend, self.letters)

    def _once(self):
        if len(self.gate.workers()) < WORKERS_MIN:
            self.gate.stop()
            self.gate.start()
        others = [] if self.is_alone else self._bystanders()
        letter = new_letter(self.point)
        self.letters.append(letter)
        self.is_struck.clear()
        self.backend.trap(letter.sender, self._actions())
        deliver(self.gate, letter, {self.point: self._on_moment})
        assert self.is_struck.wait(victims.SECONDS), self.backend.faults
        for carrier, worker in others:
            self._finish(carrier, worker)

    # --- the trap ---

    def _actions(self):
        """For the backend; at "upload" and "heard" it is the client's."""
        if self.point == "reply":
            return {"dot": self._on_dot, "replied": self._on_reply}
        return {self.point: self._on_point}

    def _on_point(self, session):
        self._strike(self._worker(session.gate_port, session.port))

    def _on_moment(self, port):
        self._strike(self._worker(self.gate.port, port))

    def _strike(self, worker):
        self.victim = worker
        self.strike(worker)
        self.is_struck.set()

    def _on_dot(self, session):
        self.victim = self._worker(session.gate_port, session.port)
        victims.stop(self.victim)

    def _on_reply(self, _):
        self.end(self.victim)
        self.is_struck.set()

    def _worker(self, port, peer_port):
        return victims.holder(self.gate.workers, port, peer_port)

    # --- the others ---

    def _bystanders(self):
        """One with another worker than the one who comes next, and one who
        may have the same."""
        first = self._bystander()
        self._turn_from(first[1])
        return [first, self._bystander()]

    def _bystander(self):
        """Somebody in the middle of his content, and his worker."""
        letter = write_letter(is_bystander=True)
        self.letters.append(letter)
        carrier = Carrier(self.gate, letter)
        assert carrier.begin(), carrier.attempt
        return carrier, self._worker(self.gate.port, carrier.port())

    def _turn_from(self, worker):
        """Several connections in a row go to one worker: until that is
        another one."""
        victims.wait_until(lambda: self._next_worker() != worker,
                           f"somebody else than {worker}")

    def _next_worker(self):
        with self.gate.client() as client:
            return self._worker(self.gate.port,
                                client.socket.getsockname()[1])

    def _finish(self, carrier, worker):
        """With another worker he is served as if nothing had happened."""
        carrier.finish()
        if worker != self.victim or self.strike is stand_still:
            assert carrier.attempt.is_delivered(), carrier.attempt
        else:
            deliver(self.gate, carrier.letter)


def killed(point, **options):
    """The sum of all its kills at a point."""
    return lanes(lambda times: Lane(point, victims.kill, victims.kill,
                                    **options).run(times))


@pytest.mark.parametrize("point", (*POINTS, "heard"))
def test_killed(point):
    result = killed(point)
    books.enter("worker killed", point, result)
    assert not result.faults, result.faults
    assert result.saw["2xx" if point == "heard" else "closed"] == TIMES
    # An MTA that has it whole takes it, whoever has died in front of it.
    assert result.doubled == (TIMES if point in ("dot", "reply") else 0)


@pytest.mark.parametrize("point", POINTS)
def test_stopped(point):
    result = lanes(lambda times: Lane(point, stand_still,
                                      victims.go_on).run(times))
    books.enter("worker stopped", point, result)
    assert not result.faults, result.faults
    assert result.once == result.saw["2xx"] == TIMES
