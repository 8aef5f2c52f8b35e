# SPDX-License-Identifier: BSD-2-Clause
"""A certification authority of the tests' own, by openssl(1): its keys are made
anew and never leave the folder of the test."""

import subprocess

from tests.e2e.process import scratch

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-days", "2")


class Authority:
    """ca.pem, and what it signs."""

    def __init__(self):
        self.folder = scratch("tls")
        self._openssl("req", "-x509", *KEY, "-subj", "/CN=Test-CA", "-keyout",
                      "ca.key", "-out", "ca.pem")
        self.ca = self.folder / "ca.pem"

    def _openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True,
                       timeout=20, capture_output=True)

    def issue(self, name, *, file=None, address="127.0.0.1"):
        """(certificate, key) for a host name, and for an address."""
        file = file or name
        self._openssl("req", *KEY, "-subj", f"/O=Test/CN={name}", "-addext",
                      f"subjectAltName=DNS:{name},IP:{address}", "-keyout",
                      f"{file}.key", "-out", "request")
        self._openssl("x509", "-req", "-in", "request", "-copy_extensions",
                      "copyall", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", "2", "-out", f"{file}.pem")
        return str(self.folder / f"{file}.pem"), str(self.folder /
                                                     f"{file}.key")
