# SPDX-License-Identifier: BSD-2-Clause
"""One row of the result: a value, its target, whether it is met; and what is
made of all rows: a table, JSON."""

import json
import statistics
from dataclasses import asdict, dataclass, field

UNITS = {"x": "{:.2f} x", "ms": "{:.3f} ms", "KiB": "{:.1f} KiB",
         "MiB": "{:.1f} MiB", "calls": "{:.2f}"}


@dataclass
class Row:
    name: str          # as --only takes it, or of one of its rows
    what: str          # in words
    value: float
    unit: str = "x"
    target: float = None  # at most; None where there is none
    low: float = None
    high: float = None
    detail: dict = field(default_factory=dict)
    note: str = ""

    @property
    def is_met(self):
        return None if self.target is None else self.value <= self.target

    def as_dict(self):
        return {**asdict(self), "is_met": self.is_met}


def shown(value, unit):
    return "" if value is None else UNITS[unit].format(value)


def ratios(ours, theirs):
    """Pairwise, turn by turn."""
    return [a.cpu_ms / b.cpu_ms for a, b in zip(ours, theirs)]


def median_cpu(runs):
    return statistics.median(run.cpu_ms for run in runs)


def median_rate(runs):
    return statistics.median(run.rate for run in runs)


def compare(name, what, target, ours, theirs, labels=("dmarcgate", "HAProxy")):
    """A row that says how many times as much CPU time a message takes."""
    each = ratios(ours, theirs)
    return Row(
        name, what, statistics.median(each), "x", target, min(each), max(each),
        {"cpu_ms": {labels[0]: median_cpu(ours), labels[1]: median_cpu(theirs)},
         "rate": {labels[0]: median_rate(ours), labels[1]: median_rate(theirs)},
         "ratios": each},
        f"{median_cpu(ours):.3f} ms against {median_cpu(theirs):.3f} ms")


VERDICTS = {True: "met", False: "MISSED", None: ""}


def print_row(row):
    span = ("" if row.low is None else
            f"({shown(row.low, row.unit).split()[0]}-"
            f"{shown(row.high, row.unit).split()[0]})")
    target = "" if row.target is None else "<= " + shown(row.target, row.unit)
    print(f"{row.what:52} {shown(row.value, row.unit):>11} {span:>13} "
          f"{target:>14} {VERDICTS[row.is_met]:6}  {row.note}".rstrip(),
          flush=True)


def print_head():
    print(f"{'':52} {'measured':>11} {'(min-max)':>13} {'target':>14}",
          flush=True)


def write_json(path, rows, machine):
    path.write_text(json.dumps(
        {"machine": machine, "rows": [row.as_dict() for row in rows]},
        indent=1) + "\n", "utf-8")
