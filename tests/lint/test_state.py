# SPDX-License-Identifier: BSD-2-Clause
"""The pure layers hold no state: their objects hold nothing writable, but for
what is named here."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = (ROOT / os.environ.get("DMARCGATE_BUILD", "build")).resolve()

# .data.rel.ro is what the loader alone writes: tables of pointers.
WRITABLE = re.compile(r"\s(\.t?(?:data|bss)(?!\.rel\.ro)\S*|\*COM\*)\s+"
                      r"([0-9a-f]+)\s+(\S+)$")


# Which way smtp/scan.c goes: set by tests alone, and no answer depends on it.
ALLOWED = {"libsmtp.a": ["scan_wanted"], "libdmarc.a": []}


def state_of(file):
    """Names of the variables that an object or archive could change."""
    table = subprocess.run(["objdump", "-t", file], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    found = [WRITABLE.search(line) for line in table.splitlines()]
    return [match[3] for match in found
            if match and int(match[2], 16) > 0]


@pytest.mark.parametrize("library", ALLOWED)
def test_the_pure_layers_hold_no_state(library):
    assert state_of(BUILD / library) == ALLOWED[library]


def test_state_would_be_found(tmp_path):
    source, obj = tmp_path / "a.c", tmp_path / "a.o"
    source.write_text("static int count;\n"
                      "static const char *const names[] = { \"a\" };\n"
                      "static const int table[] = { 1 };\n"
                      "int global = 1;\n"
                      "const char *f(int n);\n"
                      "const char *f(int n) { static __thread int own;\n"
                      "  own += n; count += own + table[n];\n"
                      "  return names[count]; }\n")
    subprocess.run(["gcc", "-fPIE", "-c", "-o", obj, source], check=True)
    assert sorted(name.split(".")[0] for name in state_of(obj)) == [
        "count", "global", "own"]
