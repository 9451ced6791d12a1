# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe on system calls: entry together with exit. Private to the collection."""

from __future__ import annotations

import struct
from typing import Any, Optional

from . import calling, layout, sampling, under_way
from .bundle import Bundle
from .errors import HostError
from .loader import Load, LoadedObject
from .request import ProgramRequest
from .targets import Syscall, SyscallTarget

SOURCE = "syscall.c"
_DESCRIBED_CALLS = 8  # with more system calls than this, what arguments point to is not read: it costs too much


class SyscallProbe:
    """One request's programs, maps and, in the end, result."""

    def __init__(self, request: ProgramRequest, target: SyscallTarget, bundle: Bundle) -> None:
        """`bundle`: for what is known about system calls."""
        self.attached_to: list[str] = []
        self._target = target
        self._known = bundle.data("syscalls.json")
        self._calls = {call.number: call for call in target.syscalls}
        self._read: dict[int, list[tuple[str, bool]]] = {}  # number → per blob, its name and whether it is an address
        # Calls are counted when they return; otherwise those that are under way are counted already.
        self._by_returns = target.at_exit or request.filters.on_results
        # Whether a call whose entry was not kept is not counted, for what would tell is not known.
        self._judged = bool(request.filters.min_duration_us) or (self._by_returns and not target.at_exit)
        self._head = sampling.plan_head(request, layout.AT_EXIT if target.at_exit else 0)
        self._loaded: Optional[LoadedObject] = None
        self._over: under_way.Known = frozenset()

    def sources(self) -> tuple[str, ...]:
        """The program texts that are needed."""
        return (SOURCE,)

    def sizes(self) -> dict[str, int]:
        """Entries of the maps whose number depends on the request and the host."""
        return {}

    def attach(self, load: Load, head: layout.PlanHead) -> None:
        """Writes the plan and attaches. Raises HostError, OSError."""
        loaded = load(SOURCE, {})
        self._loaded, self._head = loaded, head
        sampling.write_plan(loaded.maps, layout.SyscallPlan(head=head, registers=calling.system_call()))
        numbers = range(layout.SYSCALLS) if self._target.every else sorted(self._calls)
        for number in numbers:
            wanted = self._wanted(number)
            loaded.maps["wanted"].update(struct.pack("=I", number), bytes(wanted))
        # The exit first: a call that enters before the exit is watched would look like one that never returns.
        # Where there are only counts, and not of returns, nothing is to be known of exits.
        if not head.flags & layout.COUNT_ONLY or self._by_returns:
            loaded.attach_raw_tracepoint("sys_exit", layout.ON_EXIT)
            self.attached_to.append("raw_tracepoint:sys_exit")
        loaded.attach_raw_tracepoint("sys_enter", layout.ON_ENTER)
        self.attached_to.insert(0, "raw_tracepoint:sys_enter")

    def plan(self) -> layout.PlanHead:
        """The plan's shared part, for the size of the sample."""
        return self._head

    def _wanted(self, number: int) -> layout.WantedSyscall:
        wanted = layout.WantedSyscall()
        call = self._calls.get(number)
        never = call is not None and call.name in self._known["never_return"]
        if never:  # what does not return is nothing to a probe that counts returns
            wanted.wanted = layout.NOT_WANTED if self._by_returns else layout.NEVER_RETURNS
        else:
            wanted.wanted = layout.WANTED
        wanted.replaces_memory = int(call is not None and call.name in self._known["replace_memory"])
        if call is not None and call.format is not None and len(self._calls) <= _DESCRIBED_CALLS:
            for blob, (argument, plan) in zip(wanted.blob, self._blobs(call)):
                blob.how, blob.argument, blob.length, blob.when = plan
                self._read.setdefault(number, []).append((argument, plan[0] == layout.READ_SOCKADDR))
        return wanted

    def _blobs(self, call: Syscall) -> list[tuple[str, tuple[int, int, int, int]]]:
        """Which arguments point to something worth reading: shown name, then how, argument, length, when."""
        arguments = call.arguments
        positions = {field.name: index for index, field in enumerate(arguments)}
        address = self._known["addresses"].get(call.name)
        blobs = []
        for index, field in enumerate(arguments):
            if field.type == "const char *" and field.name in self._known["paths"]:
                blobs.append((field.name, (layout.READ_STRING, index, 0, layout.WHEN_ENTERED)))
            elif address and field.name == address["argument"] and address["length"] in positions:
                when = layout.WHEN_RETURNED if address["filled"] else layout.WHEN_ENTERED
                plan = (layout.READ_SOCKADDR, index, positions[address["length"]], when)
                blobs.append((address["shown"], plan))
        return blobs[: layout.BLOBS]

    def look_at_calls(self) -> None:
        """Finds calls at whose return the kernel skipped the program, while returns are seen still."""
        if self._loaded is not None and self._loaded.missed(layout.ON_EXIT):
            self._over = under_way.over(self._loaded.maps["in_flight"], under_way.is_in_syscall, needs_proof=False)

    def result(self, epoch_offset: int, max_events: int) -> dict[str, Any]:
        """What was counted and captured, as the protocol's keys and ours; to be called after detaching."""
        if self._loaded is None:
            raise HostError("The probe was read before it was attached.")
        from .syscall_result import Counting, SyscallResult  # nothing of it is needed before something was traced

        counting = Counting(self._by_returns, self._judged, self._over)
        read = SyscallResult(self._target, self._known, self._read, self._head, self._loaded, counting)
        return read.read(epoch_offset, max_events)

    @staticmethod
    def prepare_result() -> None:
        """Makes ready what `result` takes, while nothing else is to be done."""
        from . import syscall_result  # noqa: F401 - as in `result`
