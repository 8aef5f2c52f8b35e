# SPDX-License-Identifier: BSD-2-Clause
"""The smtpd of a real Postfix is killed at each point of a dialogue; what was
delivered in the end is counted in the mailbox."""

import pytest

from tests.e2e.gate import Gate
from tests.e2e.senders import zone
from tests.kill import books, spool, victims
from tests.kill.backend import Died
from tests.kill.passage import Passage, keep_ready, read_mailbox
from tests.kill.sender import deliver
from tests.kill.stage import POINTS, TIMES, new_letter, share_out

SENDERS = 4


def kill(session):
    victims.kill(session.smtpd())


def stop(session):
    session.victim = session.smtpd()
    victims.stop(session.victim)


def kill_stopped(session):
    """It has never seen the dot that lies in its socket."""
    victims.kill(session.victim)


def kill_behind_250(session):
    """Postfix has accepted, and its 250 has come as far as the passage."""
    kill(session)
    raise Died()


ACTIONS = {"dot": {"dot": stop, "dot sent": kill_stopped},
           "reply": {"replied": kill_behind_250}}


def deliver_uploading(gate, passage, letter):
    """smtpd is killed while it waits for the DATA that the client is at."""
    sessions = []
    passage.trap(letter.sender, {"rcpt": sessions.append})

    def strike(_):
        kill(sessions[0])
        sessions[0].interrupt()
    deliver(gate, letter, {"upload": strike})


def deliver_one(gate, passage, point, letter):
    if point == "upload":
        deliver_uploading(gate, passage, letter)
    else:
        passage.trap(letter.sender, ACTIONS.get(point, {point: kill}))
        deliver(gate, letter)


@pytest.mark.parametrize("point", POINTS)
def test_smtpd_killed(postfix, point):
    keep_ready(postfix, TIMES + SENDERS)
    passage = Passage(postfix)
    gate = Gate(backend=passage.port, zone=zone(),
                limit={"connections-per-address": 0})
    letters = [new_letter(point) for _ in range(TIMES)]
    share_out(lambda letter: deliver_one(gate, passage, point, letter),
              letters, SENDERS)
    gate.stop()
    passage.close()
    result = books.balance(letters, read_mailbox(postfix, "bob"),
                           spool.read(gate.spool).verdicts)
    books.enter("Postfix killed", point, result)
    assert not result.faults, result.faults
    assert result.once + 2 * result.doubled == len(passage.accepted)
    assert result.doubled == (TIMES if point == "reply" else 0)
    assert result.saw["closed"] == 0
