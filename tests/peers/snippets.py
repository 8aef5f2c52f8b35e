# SPDX-License-Identifier: BSD-2-Clause
"""What contrib/mta tells people to write into a server's configuration: the
servers of these tests run with it, but for addresses and ports."""

from tests.e2e.process import ROOT

FOLDER = ROOT / "contrib" / "mta"


def read(name):
    """A file of contrib/mta, as it is."""
    return (FOLDER / name).read_text("utf-8")


def adapted(name, *changes):
    """The same with other words in place of some, (old, new) each. All of
    them must be there: what is tested is what people read."""
    text = read(name)
    for old, new in changes:
        assert old in text, f"contrib/mta/{name} does not have {old!r}"
        text = text.replace(old, new)
    return text
