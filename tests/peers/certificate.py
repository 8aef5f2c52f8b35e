# SPDX-License-Identifier: BSD-2-Clause
"""A certificate for the gate and its backends, with its key; it is its own
authority."""

import subprocess

NAMES = ("gate.example", "mx.backend.example", "lenient.example")


class Certificate:
    """chain and key are paths."""

    def __init__(self, home):
        self.chain, self.key = home / "chain.pem", home / "key.pem"
        names = ",".join(f"DNS:{name}" for name in NAMES)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-days", "7", "-subj", f"/CN={NAMES[0]}", "-addext",
             f"subjectAltName={names},IP:10.99.2.2", "-keyout", self.key,
             "-out", self.chain], check=True, capture_output=True)
        self.key.chmod(0o600)
