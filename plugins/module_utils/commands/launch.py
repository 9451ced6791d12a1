# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: how a judged command is started, with and without a sandbox around it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .grants import Grants


@dataclass
class Launch:
    """What is started for a command: words, inherited descriptors, remarks for the result.

    `capabilities`: of `grants.CAPABILITIES`, what it was given of those that its rule grants.
    `is_program`: it is the program itself, by its path, and not something around it.
    """

    arguments: list[str]
    descriptors: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    capabilities: frozenset[str] = frozenset()
    on_close: list[Callable[[], None]] = field(default_factory=list)
    is_program: bool = False

    def close(self) -> None:
        """Closes what was opened for it, once it has been started or could not be."""
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.descriptors.clear()
        for close in self.on_close:
            close()


class Fence(Protocol):
    """What commands run in."""

    def launch(
        self, path: str, arguments: list[str], grants: Grants, seconds: float, may_read: Callable[[str], None]
    ) -> Launch:
        """What to start so that `arguments` (the program's name first) run fenced in. Raises OSError."""

    def describe(self) -> dict[str, Any]:
        """What it is, as data."""

    def close(self) -> None:
        """Ends what was started beside commands."""


class Unsandboxed:
    """The policy alone, as root: for hosts without a sandbox, where the operator says so for a run."""

    name = "none"

    def __init__(self, reason: str = "The operator said so for this run.") -> None:
        self.reason = reason

    def describe(self) -> dict[str, Any]:
        """What fences commands in, as data."""
        return {"name": self.name, "commands": "as root, with the policy alone", "reason": self.reason}

    def launch(
        self, path: str, arguments: list[str], grants: Grants, seconds: float, may_read: Callable[[str], None]
    ) -> Launch:
        """The program as it is."""
        return Launch([path, *arguments[1:]], capabilities=grants.capabilities, is_program=True)

    def close(self) -> None:
        """Nothing is open."""
