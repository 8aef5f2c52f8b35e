# SPDX-License-Identifier: BSD-2-Clause
"""Many sessions at once, by Postfix's own smtp-source: every message arrives
once, has one verdict line, and nothing is left behind."""

import os
import subprocess

import pytest

from tests.e2e.parts import environment, tool
from tests.e2e.senders import zone

SESSIONS, MESSAGES = 20, 400


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_smtp_source(gate, postfix, is_kept, workers):
    mx = gate(backend=postfix.port, zone=zone(), top={"workers": workers})
    subprocess.run(
        [tool("smtp-source"), *(["-d"] if is_kept else []),
         "-s", str(SESSIONS), "-m", str(MESSAGES), "-l", "5000",
         "-f", "x@none.example", "-t", "bob@backend.example",
         "-M", "mx.none.example", f"127.0.0.1:{mx.plain_port}"],
        env=environment(), check=True, timeout=120)
    assert len(postfix.wait_mail("bob", MESSAGES, seconds=60)) == MESSAGES
    verdicts = mx.wait_verdicts(MESSAGES, seconds=30)
    assert len(verdicts) == MESSAGES
    assert len({verdict["id"] for verdict in verdicts}) == MESSAGES
    assert all(verdict["accepted"] for verdict in verdicts)
    for pid in mx.workers():
        open_files = [os.readlink(f"/proc/{pid}/fd/{fd}")
                      for fd in os.listdir(f"/proc/{pid}/fd")]
        assert sum(name.startswith("socket:") for name in open_files) < 12, \
            open_files
