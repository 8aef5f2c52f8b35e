#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Count what messages cost, to be recorded or looked at.

    tests/cost/record.py baseline    write tests/cost/baseline
    tests/cost/record.py profile     print what the costliest functions cost
"""

import os
import sys
import tempfile

import counts

BUILD = (counts.ROOT / os.environ.get("DMARCGATE_BUILD", "build")).resolve()
FUNCTIONS = 30


def print_profile(name, costs):
    print(f"{name}: {counts.total(costs):,} instructions a message")
    ranked = sorted(costs.items(), key=lambda item: -item[1])
    for function, cost in ranked[:FUNCTIONS]:
        print(f"  {cost:12,.0f} {cost / sum(costs.values()):6.1%}  {function}")


def main():
    if sys.argv[1:] not in (["baseline"], ["profile"]):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        costs = {name: counts.per_message(BUILD, name, folder)
                 for name in counts.MESSAGES}
    if sys.argv[1] == "profile":
        for name, functions in costs.items():
            print_profile(name, functions)
        return
    text = counts.format_baseline(
        counts.compiler(BUILD),
        {name: counts.total(functions) for name, functions in costs.items()})
    counts.BASELINE.write_text(text, "utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
