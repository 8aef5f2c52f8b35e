# SPDX-License-Identifier: BSD-2-Clause
"""The books: who heard what, who holds what, and which verdicts were written.

They are balanced after the killing. What must hold, whatever was killed:

    lost     a client has heard 2xx for a message that the backend does not
             hold, octet for octet, behind our one field: never
    doubled  a message that the backend holds more than once: only where it
             had accepted one, and the client had not heard that
    verdicts whoever has heard a reply to the end of data has exactly one
             line, with that reply; nobody has two; who never came to the end
             has none
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

OUR_FIELD = re.compile(
    rb"Authentication-Results: gate\.example;[^\r\n]*\r\n"
    rb"(?:[ \t][^\r\n]*\r\n)*")


@dataclass
class Balance:
    """What came of one victim at one point, or of a part of it."""

    letters: int = 0
    once: int = 0
    doubled: int = 0
    lost: int = 0
    saw: Counter = field(default_factory=Counter)  # of each first attempt
    unharmed: int = 0  # bystanders who were served as if nothing happened
    lines: int = 0       # verdict lines
    faults: list = field(default_factory=list)  # sentences

    def add(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def balance(letters, copies, verdicts):
    """Letters with their attempts; copies that were accepted; verdicts."""
    result = Balance(lines=len(verdicts))
    of_sender, of_attempt = defaultdict(list), defaultdict(list)
    for copy in copies:
        of_sender[copy.sender].append(copy)
    for verdict in verdicts:
        of_attempt[verdict["client"]["helo"]].append(verdict)
    for letter in letters:
        copies = of_sender.pop(letter.sender, [])
        _compare(result, letter, copies)
        _check_copies(result, letter, copies)
        _count(result, letter, copies)
        for attempt in letter.attempts:
            _match(result, attempt, of_attempt.pop(attempt.helo, []))
    result.faults += [f"nobody sent what {sender} is said to have sent"
                      for sender in of_sender]
    result.faults += [f"a verdict of an attempt that was none: {helo}"
                      for helo in of_attempt]
    return result


def is_unchanged(arrived, sent):
    """Whether it is our field, and then what was sent."""
    ours = OUR_FIELD.match(arrived)
    return ours is not None and arrived[ours.end():] == sent


def _compare(result, letter, copies):
    result.faults += [
        f"{copy.helo} was changed on its way: {copy.octets[:200]!r}"
        for copy in copies if not is_unchanged(copy.octets, letter.octets)]


def _count(result, letter, copies):
    if letter.is_bystander:
        result.unharmed += letter.attempts[0].is_delivered()
        return
    result.letters += 1
    result.once += len(copies) == 1
    result.doubled += len(copies) > 1
    result.saw[letter.attempts[0].saw()] += 1


def _check_copies(result, letter, copies):
    holders = Counter(copy.helo for copy in copies)
    heard = [attempt.helo for attempt in letter.attempts
             if attempt.is_delivered()]
    lost = [helo for helo in heard if holders[helo] == 0]
    result.lost += bool(lost)
    result.faults += [f"lost: {helo} has heard 2xx" for helo in lost]
    if len(heard) != 1:
        result.faults.append(f"{letter.sender}: 2xx for {heard}")
    result.faults += [f"{helo} was accepted {count} times"
                      for helo, count in holders.items() if count > 1]


def _match(result, attempt, verdicts):
    """The verdict lines of one attempt."""
    replies = [verdict["reply"] for verdict in verdicts]
    if attempt.stage != "end":
        if replies:
            result.faults.append(f"{attempt} has verdicts: {replies}")
        return
    if len(replies) > 1:
        result.faults.append(f"{attempt} has several verdicts: {replies}")
    if attempt.reply is None:
        return  # unheard: written or not, that depends on when he died
    heard = f"{attempt.reply.code} {attempt.reply.text}"
    if replies != [heard]:
        result.faults.append(f"{attempt.helo} has heard {heard!r}, and its "
                             f"verdicts say {replies}")
    elif (verdicts[0]["action"] == "relay"
          and verdicts[0]["accepted"] != attempt.is_delivered()):
        result.faults.append(f"{attempt.helo}: wrong outcome: {verdicts[0]}")


# --- the table that a run ends with -------------------------------------------

HEAD = ("victim", "point", "times", "once", "doubled", "lost", "closed",
        "4xx", "2xx", "unharmed", "verdicts")
_rows, _planted, _notes = [], [], []


def enter(victim, point, result, is_planted=False):
    """A row of the table. A gate with a planted fault does not count."""
    (_planted if is_planted else _rows).append((victim, point, result))


def note(line):
    """A line below it."""
    _notes.append(line)


def summary():
    """The table, in the order of the tests; empty if there was none."""
    lines = _table(_rows + _planted) if _rows + _planted else []
    if _rows:
        lines.append(_totals())
    return "\n".join(["", *lines, *_notes, ""]) if lines + _notes else ""


def _totals():
    times, doubled, lost = (
        sum(getattr(result, name) for _, _, result in _rows)
        for name in ("letters", "doubled", "lost"))
    return (f"killed or stopped {times} times: messages lost {lost}; doubled "
            f"{doubled}, all accepted and unheard")


def _table(rows):
    """Of the clients it says what they saw at the first attempt."""
    cells = [HEAD, *((victim, point, result.letters, result.once,
                      result.doubled, result.lost, result.saw["closed"],
                      result.saw["4xx"], result.saw["2xx"], result.unharmed,
                      result.lines) for victim, point, result in rows)]
    widths = [max(len(str(cell)) for cell in column)
              for column in zip(*cells)]
    return ["  ".join([str(cell).ljust(width) if at < 2
                       else str(cell).rjust(width)
                       for at, (cell, width) in enumerate(zip(row, widths))])
            for row in cells]
