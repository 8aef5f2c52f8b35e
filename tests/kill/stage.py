# SPDX-License-Identifier: BSD-2-Clause
"""Killing, over and over: what all tests of this folder share."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.gate import Gate
from tests.e2e.senders import zone
from tests.kill import books, spool
from tests.kill.backend import LARGE
from tests.kill.sender import SMALL, write_letter

TIMES = 50   # each victim at each point
LANES = 2    # gates that are worked on at once

# In the order of the dialogue; see backend.py. At "upload" the client has sent
# half of the content; at "reply" the backend's 250 is out, and ours is not. A
# last one, for workers, is "heard": the client has just heard ours.
POINTS = ("mail", "rcpt", "upload", "data", "content", "dot", "reply")


def new_letter(point):
    """Large where it must not be on its way as a whole."""
    return write_letter(LARGE if point == "content" else SMALL)


def lanes(work, times=TIMES):
    """Have work(times) done in several lanes; the sum of their balances."""
    shares = [times // LANES + (lane < times % LANES) for lane in range(LANES)]
    total = books.Balance()
    with ThreadPoolExecutor(LANES) as pool:
        for result in pool.map(work, shares):
            total.add(result)
    return total


def share_out(work, things, hands):
    """Have work(thing) done for each, by several at once."""
    with ThreadPoolExecutor(hands) as pool:
        list(pool.map(work, things))


def new_gate(backend, workers, backend_settings=None, **settings):
    """A gate before a scripted backend, which is not told who the client
    is."""
    return Gate(backend=backend.port, identity="none", zone=zone(),
                backend_settings={"trust-unidentified": True,
                                  **(backend_settings or {})},
                limit={"connections-per-address": 0},
                top={"workers": workers, "body-memory": "64k",
                     "received-header": "off"}, **settings)


def settle(gate, backend, letters):
    """The books of a gate that is no more."""
    backend.close()
    return books.balance(letters, backend.accepted,
                         spool.read(gate.spool).verdicts)
