# SPDX-License-Identifier: BSD-2-Clause
"""dmarcgate on the host between client and backend."""

from tests.e2e.gate import Gate
from tests.e2e.process import Process, can_connect
from tests.peers.network import GATE_OUTSIDE


def listener(port, certificate=None):
    """The block of one that clients reach, with or without STARTTLS."""
    tls = "" if certificate is None else (
        f'tls-cert = "{certificate.chain}" tls-key = "{certificate.key}" ')
    return f'listen "{GATE_OUTSIDE}:{port}" {{ {tls}}}\n'


class PeerGate(Gate):
    """As Gate, with listeners of its own as text."""

    def __init__(self, network, **settings):
        self.network = network
        super().__init__(**settings)

    def launch(self):
        self.process = Process([*self.network.on("gate"), self.program, "-c",
                                self.conf], self.home / "events")

    def wait_for(self, port):
        """Until clients can come in there."""
        with self.network.inside("gate"):
            self.process.wait_for(lambda: can_connect(port, GATE_OUTSIDE))
