# SPDX-License-Identifier: BSD-2-Clause
"""The certificates of scripts: "/tls/mx.pem" of a script's proxy.conf, with
its key, and "/tls/ca.pem" that has signed it. Made anew by openssl(1), once
for a process; they prove mx.example and 127.0.0.1."""

import mmap
import os
import ssl
import subprocess

from tests.e2e.process import ROOT, scratch

BUILD = (ROOT / os.environ.get("DMARCGATE_BUILD", "build")).resolve()
CLOCK = BUILD / "tests" / "wire" / "clock.so"
NAME = "mx.example"

_folder = None


def folder():
    """The directory with mx.pem, mx.key and ca.pem."""
    global _folder
    if _folder is None:
        _folder = scratch("tls")
        _openssl("req", "-x509", *KEY, "-subj", "/CN=Test-CA", "-keyout",
                 "ca.key", "-out", "ca.pem")
        _openssl("req", *KEY, "-subj", f"/CN={NAME}", "-addext",
                 f"subjectAltName=DNS:{NAME},IP:127.0.0.1", "-keyout",
                 "mx.key", "-out", "request")
        _openssl("x509", "-req", "-in", "request", "-copy_extensions",
                 "copyall", "-CA", "ca.pem", "-CAkey", "ca.key",
                 "-CAcreateserial", "-out", "mx.pem")
    return _folder


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*words):
    """With the clock of the scripts, which is another than today's."""
    clock = _folder / "clock"
    clock.write_bytes(bytes(mmap.PAGESIZE))
    subprocess.run(["openssl", *words], cwd=_folder, check=True, timeout=20,
                   capture_output=True,
                   env={**os.environ, "LD_PRELOAD": str(CLOCK),
                        "WIRE_CLOCK": str(clock)})


def context(is_client):
    """(SSL context, name of the peer) for one side of the gate; the gate's
    client proves who it speaks to."""
    if is_client:
        return ssl.create_default_context(cafile=folder() / "ca.pem"), NAME
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder() / "mx.pem", folder() / "mx.key")
    return (server,)
