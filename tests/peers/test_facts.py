# SPDX-License-Identifier: BSD-2-Clause
"""What is said of the peers in backends.py holds, with no gate between."""

import smtplib
import ssl

from tests.peers.network import BACKEND


def handshake(network, server):
    """Whether STARTTLS leads to TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with network.inside("gate"):
        mail = smtplib.SMTP(BACKEND, server.services["transparent"],
                            "gate.example", 20)
        try:
            mail.starttls(context=context)
        except ssl.SSLError:
            return False
        finally:
            mail.close()
    return True


def test_who_takes_tls(network, servers):
    for server in servers:
        assert "STARTTLS" in server.extensions
        assert handshake(network, server) == server.takes_tls, server.name
