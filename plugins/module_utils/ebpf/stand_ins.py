# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tracepoint that stands in for a function which takes no probe. Private to the collection."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Optional

_ENTER, _EXIT = "syscalls/sys_enter_", "syscalls/sys_exit_"
# A system call's own function, as it was and is called on the machines that Linux runs on.
_SYSTEM_CALL = re.compile(r"(?:__\w+?_)?(?:sys|SyS|ksys)_(\w+)", re.ASCII)


@dataclass(frozen=True)
class StandIn:
    """Tracepoints of this kernel, several where they are system calls; `differs` is a clause, or empty."""

    events: tuple[str, ...]
    differs: str = ""

    def __str__(self) -> str:
        kind = "tracepoint" if len(self.events) == 1 else "tracepoints"
        return f"{kind} {' and '.join(self.events)}"


class StandIns:
    """Knows stand-ins from targets.json, by the names of tracepoints, and by those of system calls."""

    def __init__(self, known: dict[str, Any], syscall_names: dict[str, str]) -> None:
        """`syscall_names`: the tracepoint's name of a system call where that has another one, to the other."""
        self._groups: dict[str, list[dict[str, Any]]] = {
            name: group["instead"] for group in known["stand_ins"] for name in group["functions"]
        }
        self._needed = frozenset(known["needed"])
        self._events_of_calls = {call: event for event, call in syscall_names.items()}

    def needed(self, names: Collection[str]) -> bool:
        """Whether one of a function's names is of those that are answered on every kernel."""
        return any(name in self._needed for name in names)

    @property
    def functions(self) -> list[str]:
        """The functions for which a stand-in is known."""
        return list(self._groups)

    def find(self, names: list[str], listed: list[str], at_return: bool) -> Optional[StandIn]:
        """The first stand-in for a function (under all its names) that is among the kernel's tracepoints."""
        have = frozenset(listed)
        for name in names:
            for alternative in self._groups.get(name, []):
                events = tuple(
                    event for event in (_at(event, at_return) for event in alternative["events"]) if event in have
                )
                if events:
                    return StandIn(events, alternative.get("differs", ""))
        for name in names:
            call = self.system_call(name, have, at_return)
            if call:
                return call
        same = [event for name in names for event in listed if event.rpartition("/")[2] == name]
        return StandIn((same[0],)) if same else None

    def system_call(self, name: str, have: Collection[str], at_return: bool = False) -> Optional[StandIn]:
        """The tracepoint of the system call whose own function the name is or was, such as __x64_sys_openat."""
        match = _SYSTEM_CALL.fullmatch(name)
        if match is None:
            return None
        for call in (match[1], self._events_of_calls.get(match[1], match[1])):
            event = _at(_ENTER + call, at_return)
            if event in have:
                return StandIn((event,))
        return None


def _at(event: str, at_return: bool) -> str:
    return _EXIT + event[len(_ENTER) :] if at_return and event.startswith(_ENTER) else event
