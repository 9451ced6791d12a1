# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is run on the throw-away host: each hostile line, in each way that tries one fence by itself.

- `shell`: in the sandbox past the policy, by a shell, which no rule grants anything.
- `program`: in the sandbox past the policy, by its program, where the line is one simple command, with all that any use
  of the program is granted by its rule.
- `policy`: without a sandbox, as root, if the policy accepts it.
- `unfenced`: without a sandbox, as root, whatever the policy says of it: some of the lines for each kind of look. This
  shows that the looks see.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from corpus import Hostile

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.schema import Rule
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.table import RULES

SANDBOX_WAYS = ("shell", "program")
# On an emulated processor: until a program has begun, and of one that means to go on.
_SECONDS, _SECONDS_LONG = 6.0, 2.0
# Seen by a sandboxed command as the host has it, and open to everybody: /tmp in there is a private one, in which a line
# may do as it likes and finds nothing.
_TEMPORARY = re.compile(r"(?<!/var)(?<!/mnt)(?<!/host)/tmp(?![A-Za-z0-9_.-])")
_ELSEWHERE = "/srv"
_UNFENCED = 8  # lines of each kind of look, at most
_SHELL_ONLY = re.compile(r"[;|&<>\n`]|\$\(|^\s*[({!]")
_KINDS = ("capabilities", "network", "dbus")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_PATH = re.compile(r"(?:^|(?<=[=,@:\s'\"])|(?<=^-[A-Za-z]))(/[^\s'\",:;(){}]*)")


@dataclass(frozen=True)
class Job:
    """One run of one line. `grants` and `words` only where it is run by its program."""

    number: int
    where: str
    way: str
    line: str
    look: str
    seconds: float
    elsewhere: bool = False
    words: tuple[str, ...] = ()
    grants: dict[str, list[str]] | None = None

    def data(self) -> dict[str, Any]:
        """The job as JSON holds it."""
        return asdict(self)


def sandbox_jobs(cases: list[Hostile]) -> list[Job]:
    """Each line in the sandbox alone: as it is and moved to where it would do harm, by a shell and by its program."""
    jobs: list[Job] = []
    for case in cases:
        for elsewhere, line, look in _places(case):
            jobs.append(_job(len(jobs), case, "shell", line, look, elsewhere))
        # Where the line is about the temporary directory, it is the one outside that is of interest.
        words = simple_command(line)
        for grants in worst_grants(words) if words else []:
            # Granted nothing, and with nothing to be read for it, it is no different from what the shell starts.
            if any(grants[kind] for kind in _KINDS) or (case.look.startswith("shown") and grants["reads"]):
                jobs.append(_job(len(jobs), case, "program", line, look, elsewhere, tuple(words), grants))
    return jobs


def policy_jobs(cases: list[Hostile]) -> list[Job]:
    """Each line with the policy alone."""
    return [_job(number, case, "policy", case.line, case.look) for number, case in enumerate(cases)]


def unfenced_jobs(cases: list[Hostile], fatal: set[str]) -> list[Job]:
    """Some lines for each kind of look without any fence, and last one of those that end the host."""
    by_kind: dict[str, list[Hostile]] = {}
    for case in cases:
        if case.line not in fatal:
            by_kind.setdefault(look_kind(case.look), []).append(case)
    # Spread over the corpus. To undo what such a line did takes an emulated machine longer than all else.
    some = [case for of_kind in by_kind.values() for case in of_kind[:: -(-len(of_kind) // _UNFENCED)]]
    # Those that reconfigure come last: not everything that they do can be undone for others.
    chosen = sorted(some, key=lambda case: case.where.startswith("act."))
    chosen += [case for case in cases if case.line in fatal][:1]
    return [_job(number, case, "unfenced", _for_a_shell(case.line), case.look) for number, case in enumerate(chosen)]


def look_kind(look: str) -> str:
    """What looks are counted by: the first word, and of a state what it is of."""
    return " ".join(look.split()[: 2 if look.startswith("state") else 1])


def simple_command(line: str) -> list[str]:
    """The words of a line that is one simple command, [] for any other.

    Assignments before it are made by `env`. Patterns are left as they are: where it is run, they stand for something.
    """
    if _SHELL_ONLY.search(re.sub(r"'[^']*'", "''", line)):
        return []
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    return ["env", *words] if words and _ASSIGNMENT.match(words[0]) else words


def worst_grants(words: list[str]) -> list[dict[str, list[str]]]:
    """All that any use of the program is granted by its rule, and the same without capabilities, where it has some.

    A program that runs another one is given what that one is. Without capabilities is the worse in one respect: who has
    one may open no file for writing. What the line names is offered to the trusted reader, which judges what it opens.
    """
    rules = [RULES[name] for name in _programs(words) if name in RULES]
    capabilities = sorted({name for rule in rules for name in _capabilities(rule)})
    given = {
        "network": sorted(
            {family for rule in rules for uses in rule.get("network", {}).values() for family in uses.split()}
        ),
        "dbus": sorted({method for rule in rules for method in rule.get("dbus", [])}),
        "reads": sorted({path for word in words[1:] for path in _PATH.findall(word)}),
    }
    without: dict[str, list[str]] = {"capabilities": [], **given}
    return (
        [{"capabilities": capabilities, **given}, without]
        if capabilities and given["network"]
        else [{"capabilities": capabilities, **given}]
    )


def _programs(words: list[str]) -> Iterator[str]:
    """The program and, behind one that runs another, the first of the words that has a rule."""
    runs = False
    for word in words:
        name = word.rpartition("/")[2]
        if not runs or name in RULES:
            yield name
            runs = name == "env" or "runs" in RULES.get(name, {})
            if not runs:
                return


def _capabilities(rule: Rule) -> Iterator[str]:
    for uses in (rule.get("capability", {}), rule.get("capability_on", {})):
        for names in uses.values():
            yield from names.split()


def _places(case: Hostile) -> list[tuple[bool, str, str]]:
    """The line as it is, and with its look elsewhere where it is about the temporary directory."""
    line = _for_a_shell(case.line)
    moved = _TEMPORARY.sub(_ELSEWHERE, line)
    places = [(False, line, case.look)]
    return places if moved == line else [*places, (True, moved, _TEMPORARY.sub(_ELSEWHERE, case.look))]


def _for_a_shell(line: str) -> str:
    # No word that a program is given can hold a NUL; a shell that reads one drops it.
    return line.replace("\0", "")


def _job(
    number: int,
    case: Hostile,
    way: str,
    line: str,
    look: str,
    elsewhere: bool = False,
    words: tuple[str, ...] = (),
    grants: dict[str, list[str]] | None = None,
) -> Job:
    seconds = _SECONDS_LONG if look in ("long", "process") else _SECONDS
    return Job(number, case.where, way, line, look, seconds, elsewhere, words, grants)
