# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what was judged, and all that will be run of a line, word for word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Optional, Union

from .grants import NOTHING, Grants
from .syntax import Redirection


@dataclass(frozen=True)
class JudgedCommand:
    """One program with its arguments, its redirections in order, and what it is granted.

    `arguments[0]` is the program's name. `tells`: whether its outcome tells of this host.
    """

    arguments: list[str]
    redirections: list[Redirection]
    grants: Grants = NOTHING
    tells: bool = True


@dataclass(frozen=True)
class JudgedGroup:
    """Pipelines one after the other, with one output."""

    pipelines: list[JudgedPipeline]


@dataclass(frozen=True)
class JudgedChoice:
    """`then` is run where `condition` ends with 0, else `otherwise`."""

    condition: list[JudgedPipeline]
    then: list[JudgedPipeline]
    otherwise: list[JudgedPipeline]


@dataclass(frozen=True)
class JudgedPending:
    """What is run first; `settle` takes what each of that printed and gives what is run then, judged.

    `settle` raises `Refused` where the policy does not accept what came of it. `stand_in` is what was judged instead of
    it beforehand, and is not run.
    """

    first: list[list[JudgedPipeline]]
    settle: Callable[[list[str]], list[JudgedPipeline]]
    stand_in: list[JudgedMember] = field(default_factory=list)


JudgedMember = Union[JudgedCommand, JudgedGroup, JudgedChoice]


@dataclass(frozen=True)
class JudgedPipeline:
    """Commands joined by pipes; `joined_by` is `;`, `&&` or `||`.

    Only the first of `commands` may be a group or a choice. Where the pipeline is `pending`, `commands` is empty.
    """

    joined_by: str
    commands: list[JudgedMember]
    pending: Optional[JudgedPending] = None


@dataclass(frozen=True)
class Verdict:
    """Whether a line may be run; why not, as a sentence for the model; and what would be run."""

    allowed: bool
    reason: str = ""
    pipelines: list[JudgedPipeline] = field(default_factory=list)

    def commands(self) -> Iterator[JudgedCommand]:
        """Every simple command that is known beforehand, also within groups and substitutions."""
        return simple_commands(self.pipelines)


def simple_commands(pipelines: list[JudgedPipeline]) -> Iterator[JudgedCommand]:
    """Every simple command in the pipelines."""
    for pipeline in pipelines:
        for first in pipeline.pending.first if pipeline.pending else []:
            yield from simple_commands(first)
        for member in pipeline.commands:
            if isinstance(member, JudgedCommand):
                yield member
            elif isinstance(member, JudgedGroup):
                yield from simple_commands(member.pipelines)
            else:
                yield from simple_commands([*member.condition, *member.then, *member.otherwise])
