# SPDX-License-Identifier: BSD-2-Clause
"""A scripted MTA dies, or falls silent for longer than the gate waits, at each
point of a dialogue. What it has whole when it wakes up, it takes."""

import pytest

from tests.kill import books, victims
from tests.kill.backend import Backend, Died
from tests.kill.sender import deliver
from tests.kill.stage import (POINTS, TIMES, lanes, new_gate, new_letter,
                              settle, share_out)

SILENT_POINTS = ("mail", "rcpt", "data", "content", "dot")


def die(session):
    session.reset()
    raise Died()


class Lane:
    """One gate, with one worker, who lives; and its backend, who dies."""

    def __init__(self, point):
        self.point = point
        self.backend = Backend()
        self.gate = new_gate(self.backend, 1)
        self.letters, self.sessions = [], []

    def run(self, times):
        for _ in range(times):
            self._once()
        self.gate.stop()
        return settle(self.gate, self.backend, self.letters)

    def _once(self):
        letter = new_letter(self.point)
        self.letters.append(letter)
        self.backend.trap(letter.sender, self._actions())
        deliver(self.gate, letter, {self.point: self._on_upload})

    def _actions(self):
        if self.point == "upload":
            return {"rcpt": self.sessions.append}
        if self.point == "reply":
            return {"dot": lambda _: victims.stop(self._worker()),
                    "replied": self._on_reply}
        return {self.point: die}

    def _on_upload(self, _):
        """It has nothing to do but to wait for DATA."""
        self.sessions.pop().interrupt()

    def _on_reply(self, session):
        """The reset follows the 250; both are there when the worker looks."""
        session.reset()
        victims.go_on(self._worker())
        raise Died()

    def _worker(self):
        worker, = self.gate.workers()
        return worker


@pytest.mark.parametrize("point", POINTS)
def test_killed(point):
    result = lanes(lambda times: Lane(point).run(times))
    books.enter("MTA killed", point, result)
    assert not result.faults, result.faults
    assert result.saw["closed"] == 0  # the gate has an answer to all that
    assert result.once == TIMES
    # Behind the 354 a message is not sent a second time.
    assert result.saw["4xx"] == (TIMES if point in ("content", "dot") else 0)


@pytest.mark.parametrize("point", SILENT_POINTS)
def test_silent(point):
    """All at once: each takes as long as the gate waits."""
    backend = Backend()
    gate = new_gate(backend, 2, {
        "reply-timeout": "1s", "data-reply-timeout": "1s",
        "data-block-timeout": "1s", "final-timeout": "1s"})
    letters = [new_letter(point) for _ in range(TIMES)]
    for letter in letters:
        backend.trap(letter.sender, {point: lambda it: it.wait_gone()})
    share_out(lambda letter: deliver(gate, letter), letters, TIMES)
    gate.stop()
    result = settle(gate, backend, letters)
    books.enter("MTA silent", point, result)
    assert not result.faults, result.faults
    assert result.saw["4xx"] == TIMES
    # Who is told of the time-out knows no more than we do: what the MTA has
    # whole it takes when it wakes up.
    assert result.doubled == (TIMES if point == "dot" else 0)
