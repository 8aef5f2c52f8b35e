# SPDX-License-Identifier: BSD-2-Clause
"""What one message of a dialogue costs: instructions of our own objects.

Callgrind counts while a session runs (session_new, session_step, session_next,
session_free); what libc and libcrypto do there does not count, nor what the
harness does around it. Start-up and warm-up are out by playing N messages and
then 2 N.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BASELINE = Path(__file__).resolve().parent / "baseline"

# How many messages N are, of each dialogue.
MESSAGES = {"kept": 5, "new": 5, "forged": 5, "large": 1}
DOORS = ("session_new", "session_step", "session_next", "session_free")
GROWTH_PERCENT_MAX = 5

HEAD = """\
# SPDX-License-Identifier: BSD-2-Clause
# Instructions of our own for one message of each dialogue of tests/cost, with
# this compiler. `make cost-baseline` writes this file; `make cost` fails where
# one has grown by more than 5 % since.
"""


def compiler(build):
    """What the objects of a build were compiled with, as it calls itself."""
    name = (build / "flags").read_text().split()[0]
    return subprocess.run([name, "--version"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.splitlines()[0]


# --- callgrind ----------------------------------------------------------------

NAMED = re.compile(r"(ob|fn)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"[+*-]?\d* ?(\d+)$")


def read_costs(lines, program):
    """Self cost of each function of one program, from what callgrind wrote.

    A name is written once, as "(number) name", and by its number after that.
    The line behind "calls=" is what the call cost, and no cost of our own."""
    names, costs = {"ob": {}, "fn": {}}, Counter()
    now, is_call = {"ob": "", "fn": ""}, False
    for line in lines:
        named = NAMED.match(line)
        if named:
            kind, number, name = named.groups()
            if name is not None:
                names[kind][number] = name
            now[kind] = names[kind][number]
        elif line.startswith(("cob=", "cfn=")):
            learn(names[line[1:3]], line)
        elif line.startswith("calls="):
            is_call = True
        elif COST.match(line):
            if not is_call and now["ob"] == program:
                costs[now["fn"]] += int(COST.match(line)[1])
            is_call = False
    return costs


def learn(names, line):
    called = re.match(r"c..=\((\d+)\) (.*)$", line)
    if called:
        names[called[1]] = called[2]


def count(build, name, messages, folder, env=None):
    """Instructions by function, of so many messages and what comes before."""
    program = build / "tests" / "cost" / "play_dialogue"
    out = Path(folder) / f"{name}.{messages}"
    subprocess.run(
        ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
         "--dump-line=no", *(f"--toggle-collect={door}" for door in DOORS),
         program, name, str(messages)], cwd=ROOT, env=env, check=True)
    return read_costs(out.read_text().splitlines(), str(program))


def per_message(build, name, folder, env=None):
    """Instructions by function of one message."""
    messages = MESSAGES[name]
    before = count(build, name, messages, folder, env)
    costs = count(build, name, 2 * messages, folder, env)
    costs.subtract(before)
    return {function: cost / messages for function, cost in costs.items()
            if cost}


def total(costs):
    return round(sum(costs.values()))


# --- the baseline -------------------------------------------------------------


def read_baseline(text):
    """The compiler, and the count of each dialogue."""
    rows = dict(line.split(None, 1) for line in text.splitlines()
                if line and not line.startswith("#"))
    return rows.pop("compiler"), {name: int(n) for name, n in rows.items()}


def format_baseline(version, counts):
    return HEAD + f"compiler {version}\n" + "".join(
        f"{name} {n}\n" for name, n in counts.items())


def fault(name, now, before):
    """What is wrong with a count beside its baseline; None if nothing is."""
    if 100 * (now - before) <= GROWTH_PERCENT_MAX * before:
        return None
    return (f"a message of the dialogue '{name}' costs {now:,} instructions, "
            f"{now / before - 1:.1%} more than the {before:,} of tests/cost/baseline. "
            f"`make cost-profile` shows where; if it has to be, "
            f"`make cost-baseline` records the new counts.")
