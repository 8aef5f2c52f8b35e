# SPDX-License-Identifier: BSD-2-Clause
"""The gate does not get slower: instructions per message beside a baseline."""

import os

import pytest

import counts

BUILD = (counts.ROOT / os.environ.get("DMARCGATE_BUILD", "build")).resolve()


@pytest.mark.parametrize("name", counts.MESSAGES)
def test_a_message_costs_no_more_than_it_did(name, tmp_path, capsys):
    version, baseline = counts.read_baseline(counts.BASELINE.read_text())
    now = counts.total(counts.per_message(BUILD, name, tmp_path))
    is_same = counts.compiler(BUILD) == version
    with capsys.disabled():
        print(f"\n{name:8} {now:10,} instructions a message, baseline "
              f"{baseline[name]:,} ({now / baseline[name] - 1:+.1%})"
              + ("" if is_same else f", but that is of {version}"), end="")
    if is_same:
        assert counts.fault(name, now, baseline[name]) is None


def test_a_count_is_the_same_each_time(tmp_path):
    longer = {**os.environ, "SOME_VARIABLE": "x" * 1000, "TZ": "Asia/Tokyo",
              "LC_ALL": "C.UTF-8"}
    assert counts.count(BUILD, "new", 3, tmp_path) \
        == counts.count(BUILD, "new", 3, tmp_path, longer)


def test_growth_is_found_and_named():
    assert counts.fault("kept", 105_000, 100_000) is None
    assert counts.fault("kept", 50_000, 100_000) is None
    assert "'kept' costs 105,100 instructions, 5.1% more" in counts.fault(
        "kept", 105_100, 100_000)


def test_the_baseline_is_read_as_it_is_written():
    rows = ("gcc (Debian 12) 12.2.0", {"kept": 123, "large": 4567})
    assert counts.read_baseline(counts.format_baseline(*rows)) == rows


def test_only_our_own_cost_is_counted():
    written = ["ob=(1) /b/play", "fl=(1) a.c", "fn=(1) f", "0 10",
               "cob=(2) libc.so.6", "cfn=(2) memcpy", "calls=3 0", "0 500",
               "+0 5", "", "ob=(2)", "fn=(2)", "0 500", "",
               "ob=(1)", "fn=(3) g", "* 7", "cfn=(1)", "calls=1 0", "0 515",
               "totals: 522"]
    assert counts.read_costs(written, "/b/play") == {"f": 15, "g": 7}
