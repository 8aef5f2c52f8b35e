# SPDX-License-Identifier: BSD-2-Clause
"""Every script of tests/replay once more: the real gate on real sockets.

    /usr/bin/python3 -m pytest -q tests/wire -k 103

What in process is one session and a world in memory is here dmarcgate with the
script's own proxy.conf, a client at the script's address, and backends where
proxy.conf has them, in a network namespace that has nothing else in it. See
play.py for how; in-process-only for which scripts are not played, and why.
"""

import re
from pathlib import Path

import pytest

from tests.e2e.rights import no_namespaces

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted((HERE.parent / "replay").glob("*.replay"))

# This many scripts may be missing on the wire, and no more.
IN_PROCESS_ONLY_MAX = 18


def in_process_only():
    """Reason by name of a script."""
    rows = (HERE / "in-process-only").read_text().splitlines()
    return dict(row.split(": ", 1) for row in rows
                if row and not row.startswith("#"))


# Whom the events about backends name, one after the other.
BACKENDS_NAMED = {
    "185-routed-greeting-and-backend-lost": ["east"],
    "205-divert-fails-tag-in-the-content": ["pen"],
    "291-divert-goodbye": ["pen"] * 5,
}

ABSENT = in_process_only()
PLAYED = [path for path in SCRIPTS if path.stem not in ABSENT]


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
def test_on_the_wire(path, request):
    if no_namespaces():
        pytest.skip(no_namespaces())
    fault, log = request.getfixturevalue("stage").outcome(path)
    assert fault is None, f"{fault}\n{log}"
    if path.stem in BACKENDS_NAMED:
        assert BACKENDS_NAMED[path.stem] == [
            name for name in re.findall(
                r"backend-[a-z]+ session=.* backend=(\w+)", log)]


def test_what_is_missing_on_the_wire(capsys):
    """The list holds scripts that there are, each with a reason, and is not
    longer than it was."""
    with capsys.disabled():
        print(f"\n{len(PLAYED)} scripts on the wire, {len(ABSENT)} in process "
              "only:")
        for name, reason in sorted(ABSENT.items()):
            print(f"  {name}: {reason}")
    assert set(ABSENT) <= {path.stem for path in SCRIPTS}
    assert all(ABSENT.values())
    assert len(ABSENT) <= IN_PROCESS_ONLY_MAX
