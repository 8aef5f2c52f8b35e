# SPDX-License-Identifier: BSD-2-Clause
"""Whatever real peers send through the gate arrives as it was sent, and the
mail server behind knows who sent it: see matrix.py."""

import sys

from tests.peers.matrix import Matrix


def test_the_octets_delivered_are_those_sent(network, certificate, servers,
                                                 capfd):
    matrix = Matrix(network, certificate, servers)
    try:
        matrix.start()
        matrix.run()
        with capfd.disabled():
            print("", *matrix.table(), sep="\n", flush=True, file=sys.stdout)
        faults = matrix.faults()
        assert not faults, "\n".join(faults)
    except BaseException:
        matrix.kill()
        raise
    matrix.stop()
