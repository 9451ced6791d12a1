# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: a command line as plain dataclasses, before it is judged.

Loops over words that are known are unrolled already. What depends on what a command prints (`$(…)`, `xargs`) is
`Pending`: it is settled, and judged word by word, when that is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

from .words import Word


@dataclass(frozen=True)
class Redirection:
    """One redirection: the descriptor, and either a file to read, another descriptor, or nothing (discarded)."""

    descriptor: int
    source: Word | None = None
    duplicate_of: int | None = None


@dataclass
class SimpleCommand:
    """Program and arguments as words, and its redirections in order."""

    words: list[Word] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)


@dataclass
class Group:
    """Pipelines one after the other, whose output is one: `( … )`, `{ …; }`, or a loop, unrolled.

    `pattern`: the first file name pattern for whose names a loop is repeated.
    """

    pipelines: list[Pipeline]
    pattern: str = ""


@dataclass
class Choice:
    """`if condition; then …; else …; fi`."""

    condition: list[Pipeline]
    then: list[Pipeline]
    otherwise: list[Pipeline]


@dataclass
class Pending:
    """What has to be run first, and what follows from what that printed, in the same order.

    `settle` raises `Refused` for words that may not stand there.
    """

    first: list[list[Pipeline]]
    settle: Callable[[list[str]], list[Pipeline]]


Member = Union[SimpleCommand, Group, Choice]


@dataclass
class Pipeline:
    """Commands joined by pipes, and what comes before the pipeline: `;`, `&&` or `||`.

    Where it is `pending`, `commands` holds a stand-in for what will be run: `1` for every word that is not yet known.
    """

    joined_by: str
    commands: list[Member]
    pending: Pending | None = None
