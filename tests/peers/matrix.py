# SPDX-License-Identifier: BSD-2-Clause
"""Backends by clients by STARTTLS by BDAT by kinds of messages.

Each cell sends its messages through a gate of its row, a row being a backend
and the identity it is told of clients by. It holds when every message came out
as it went in: what the verdict line says was stripped is gone, what the gate
and the two peers are known to put on top is on top, every octet below is the
same; and when the backend's log has the client's own address beside it.

What a peer cannot do is not tried, and never counted as if it had been.
"""

import collections
import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.e2e.parts import txt
from tests.peers import backends, clients
from tests.peers.messages import KINDS, fields_of, messages
from tests.peers.network import BACKEND, CLIENT
from tests.peers.peergate import PeerGate, listener

SECURITIES = ("plain", "STARTTLS")
VERBS = ("DATA", "BDAT")
IDENTITIES = ("xclient", "proxy-v1", "proxy-v2", "transparent")
OURS = ("Authentication-Results",)
FIRST_PORT = 3000
SECONDS_MAX = 60
SECONDS_EACH = 10
AT_ONCE = 3
LETTERS = {"7bit": "7", "8bit": "8", "smtputf8": "u", "binary": "b"}

ZONE = ("sender.example. 300 IN A 192.0.2.10\n"
        + txt("sender.example", f"v=spf1 ip4:{CLIENT} -all")
        + txt("_dmarc.sender.example", "v=DMARC1; p=reject"))


def start_all(peers):
    """Several at once: most of it is waiting."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda peer: peer.start(), peers))


# --- cells --------------------------------------------------------------------

@dataclass
class Row:
    """A backend, told of clients in one way, with its gates."""

    backend: backends.Backend
    identity: str
    is_first: bool  # of its backend: it gets every message
    gates: dict = field(default_factory=dict)  # security: (port, gate)

    def __str__(self):
        return f"{self.backend.name:9} {self.identity:11}"


@dataclass
class Cell:
    """number, and what it is of; fault is None while nobody has looked, and
    "" when it holds."""

    number: int
    row: Row
    client: clients.Sender
    security: str
    verb: str
    kind: str
    cannot: str = ""
    fault: str = None
    sent: list = field(default_factory=list)

    @property
    def port(self):
        return self.row.gates[self.security][0]

    @property
    def sender(self):
        local = f"c{self.number}-{self.port}-{self.security}-{self.verb}"
        name = f"{local}-grün" if self.kind == "smtputf8" else local
        return f"{name}@sender.example"

    def __str__(self):
        return (f"{self.row} {self.client.name} {self.security} {self.verb} "
                f"{self.kind}")

    def judge(self, deadline):
        """One that has failed may only be late: an MTA sends when it
        likes. What others have waited for is not taken from its own time:
        a message can be there before its verdict line is."""
        deadline = max(deadline, time.monotonic() + SECONDS_EACH)
        while True:
            self.fault = Judgement(self).fault()
            if not self.fault or time.monotonic() > deadline:
                return
            time.sleep(0.2)

    def mark(self):
        return "-" if self.cannot else "=" if self.fault == "" else "!"


def why_not(row, client, security, verb, kind):
    """Why a cell is not possible, by what the peers are; "" if it is."""
    for what in security, verb, kind:
        if what in client.lacks:
            return client.lacks[what]
    offered = row.backend.extensions
    if kind == "smtputf8" and "SMTPUTF8" not in offered:
        return f"{row.backend.name} offers no SMTPUTF8"
    if kind == "binary":
        if verb == "DATA":
            return "RFC 3030 has no BINARYMIME by DATA"
        if client.name == "exim-client":
            return "Exim has no BINARYMIME"
        if "BINARYMIME" not in offered:
            return f"{row.backend.name} offers no BINARYMIME"
    return ""


class Matrix:
    """All of it: start(), run(), table(), stop(). The backends are running
    already, and go on."""

    def __init__(self, network, certificate, servers):
        self.network = network
        self.certificate = certificate
        self.backends = servers
        self.clients = [kind(network, certificate) for kind in clients.ALL]
        self.rows = []
        self.cells = []

    def start(self):
        start_all(self.clients)
        port = itertools.count(FIRST_PORT)
        for backend in self.backends:
            usable = [name for name in backend.services if name in IDENTITIES]
            for identity in usable:
                row = Row(backend, identity, identity == usable[0])
                row.gates = {security: self._gate(row, security, next(port))
                             for security in SECURITIES}
                self.rows.append(row)
        self._lay_out_cells()

    def _gate(self, row, security, port):
        gate = PeerGate(
            self.network, zone=ZONE, identity=row.identity,
            **self._secured(row, port, security),
            backend=f"{BACKEND}:{row.backend.services[row.identity]}")
        gate.wait_for(port)
        return port, gate

    def _secured(self, row, port, security):
        """Settings of both legs; of the client's alone where the backend
        has no TLS."""
        if security == "plain":
            return {"text": listener(port)}
        if not row.backend.takes_tls:
            return {"text": listener(port, self.certificate)}
        return {"text": listener(port, self.certificate),
                "backend_settings": {"tls": "verify",
                                     "tls-ca": str(self.certificate.chain),
                                     "tls-name": "mx.backend.example"}}

    def _lay_out_cells(self):
        number = itertools.count(1)
        for row, client, security, verb, kind in itertools.product(
                self.rows, self.clients, SECURITIES, VERBS, KINDS):
            cell = Cell(next(number), row, client, security, verb, kind)
            cell.cannot = why_not(row, client, security, verb, kind)
            self.cells.append(cell)

    def stop(self):
        """All must end, and the gates well."""
        try:
            for gate in self._gates():
                gate.stop()
        finally:
            self.kill()

    def kill(self):
        for gate in self._gates():
            gate.process.kill()
        for client in self.clients:
            client.stop()

    def _gates(self):
        return [gate for row in self.rows for _, gate in row.gates.values()]

    # --- sending ---

    def run(self):
        """Send everything, then look at what became of it."""
        possible = [cell for cell in self.cells if not cell.cannot]
        # Neighbours use different peers, so that none has to do it all.
        possible.sort(key=lambda cell: cell.number * 7919 % 1009)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._send, possible))
        deadline = time.monotonic() + SECONDS_MAX
        for cell in possible:
            if cell.fault is None:
                cell.judge(deadline)

    def _send(self, cell):
        wanted = messages(cell.kind, f"c{cell.number}")
        cell.sent = wanted if cell.row.is_first else wanted[:1]
        try:
            cell.client.send(cell, cell.sent)
        except (clients.NotSent, OSError) as fault:
            cell.fault = str(fault)

    def faults(self):
        return [f"{cell}: {cell.fault}" for cell in self.cells
                if cell.fault]

    # --- showing ---

    def table(self):
        """A line for each backend and client, then what cannot be and why."""
        columns = list(itertools.product(SECURITIES, VERBS))
        marks = {(str(cell.row), cell.client.name, cell.security, cell.verb,
                  cell.kind): cell.mark() for cell in self.cells}
        titles = [f"{security} {verb}" for security, verb in columns]
        yield " " * 37 + "  ".join(f"{title:13}" for title in titles)
        letters = " ".join(LETTERS[kind] for kind in KINDS)
        yield (f"{'backend':9} {'identity':11} {'client':15}"
               + "  ".join(f"{letters:13}" for _ in columns))
        for row, client in itertools.product(self.rows, self.clients):
            groups = [" ".join(marks[str(row), client.name, *column, kind]
                               for kind in KINDS) for column in columns]
            yield (f"{row} {client.name:15}"
                   + "  ".join(f"{group:13}" for group in groups))
        yield ("7 8 u b: 7bit, 8bit, SMTPUTF8, binary; = delivered and equal,"
               " the client's address logged; - cannot; ! failed")
        yield from (f"STARTTLS on the client's leg alone: {backend.name} "
                    "fails every handshake" for backend in self.backends
                    if not backend.takes_tls)
        reasons = collections.Counter(cell.cannot for cell in self.cells
                                      if cell.cannot)
        for reason, count in sorted(reasons.items()):
            yield f"cannot: {reason} ({count})"
        held = sum(cell.fault == "" for cell in self.cells)
        yield (f"{len(self.cells)} cells: {held} delivered and equal, "
               f"{sum(reasons.values())} cannot, {len(self.faults())} failed")


class Judgement:
    """What became of one cell's messages."""

    def __init__(self, cell):
        self.cell = cell
        self.backend = cell.row.backend
        self.client = cell.client
        self.delivered = self.backend.delivered()
        self.verdicts = {verdict["message_id"]: verdict for verdict in
                         cell.row.gates[cell.security][1].verdicts()}

    def fault(self):
        """The first thing that is not as it must be, or ""."""
        for message in self.cell.sent:
            fault = self._of_message(message) or self._of_verdict(message)
            if fault:
                return f"{message.name}: {fault}"
        logged = self.backend.clients_of(self.cell.sender)
        if logged != {CLIENT}:
            return f"logged as from {logged}, not from {CLIENT}"
        if (self.client.name == "exim-client"
                and self.client.used_bdat(self.cell.sender)
                != (self.cell.verb == "BDAT")):
            return "Exim did not send it by the verb it was told"
        return ""

    def _of_message(self, message):
        copies = self.delivered.get(message.name, [])
        wanted = len(message.recipients) if self.backend.copies else 1
        if len(copies) != wanted:
            return f"{len(copies)} copies, not {wanted}"
        return next(filter(None, (self._of_copy(message, copy)
                                  for copy in copies)), "")

    def _of_copy(self, message, copy):
        kept = message.kept()
        if message.is_header_only and not copy.endswith(kept):
            kept += b"\r\n"  # mailboxes end every header so
        if not copy.endswith(kept):
            return f"not what was sent: {differing(copy, kept)}"
        names = fields_of(copy[:-len(kept)])
        wanted = (*self.backend.added, *OURS, *self.client.added)
        if names != wanted:
            return f"on top are {names}, not {wanted}"
        if not re.search(rb"^Authentication-Results: gate\.example;", copy,
                         re.M):
            return "no Authentication-Results of ours"
        return ""

    def _of_verdict(self, message):
        verdict = self.verdicts.get(f"<{message.name}@sender.example>")
        if verdict is None:
            return "no verdict line"
        stripped = list(fields_of(message.stripped))
        if verdict["stripped"] != stripped:
            return f"the verdict has stripped {verdict['stripped']}"
        if verdict["client"]["ip"] != CLIENT or not verdict["accepted"]:
            return f"the verdict is {verdict['client']}"
        is_secured = verdict["client"].get("tls") is not None
        if is_secured != (self.cell.security == "STARTTLS"):
            return f"the verdict has TLS {verdict['client'].get('tls')}"
        return ""


def differing(copy, kept):
    """Where two texts begin to differ, seen from their ends."""
    at = next((at for at in range(1, min(len(copy), len(kept)) + 1)
               if copy[-at] != kept[-at]), min(len(copy), len(kept)))
    return (f"{at} octets from the end ...{copy[-at - 30:][:80]!r} for "
            f"...{kept[-at - 30:][:80]!r}")
