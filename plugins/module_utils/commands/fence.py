# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: which fence the commands of a run get, and how that is told."""

from __future__ import annotations

from typing import Any

from .launch import Fence, Unsandboxed
from .policy import Policy, PolicyError
from .sandbox import Sandbox, SandboxUnavailable


class NoFence:
    """Refuses every command, as there is no working sandbox and nobody said that it may go without."""

    name = "none"

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def describe(self) -> dict[str, Any]:
        """What there is, as data."""
        return {"name": "none", "commands": "refused", "reason": self.reason}

    def close(self) -> None:
        """Nothing is open."""


def choose(also_secret: tuple[str, ...], unsandboxed: bool) -> Fence | NoFence:
    """The sandbox where it works, else nothing, or the policy alone where the operator said so for this run."""
    try:
        return Sandbox.for_host(also_secret)
    except SandboxUnavailable as error:
        return Unsandboxed(str(error)) if unsandboxed else NoFence(str(error))


def survey() -> dict[str, Any]:
    """What this host has for fencing commands in, as `ebpf_info` reports it; nothing of a model's is run."""
    try:
        patterns = Policy.for_host().secret_patterns
    except PolicyError:
        # A diagnosis will say what is wrong with it.
        patterns = ()
    fence = choose(patterns, unsandboxed=False)
    fence.close()
    return fence.describe()
