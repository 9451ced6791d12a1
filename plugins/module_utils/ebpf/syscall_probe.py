# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe on system calls: entry together with exit. Private to the collection."""

from __future__ import annotations

import struct
import time
from collections import Counter
from typing import Any, Optional

from . import calling, calls, decode, latency, layout, sampling
from .bundle import Bundle
from .errors import HostError
from .kernel import Map
from .loader import Load, LoadedObject
from .request import ProgramRequest
from .targets import Syscall, SyscallTarget
from .tracefs import Field

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
        # Where there are only counts, nothing is to be known of exits.
        if not head.flags & layout.COUNT_ONLY or self._target.at_exit:
            loaded.attach_raw_tracepoint("sys_exit", "on_exit")
            self.attached_to.append("raw_tracepoint:sys_exit")
        loaded.attach_raw_tracepoint("sys_enter", "on_enter")
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
        arguments = _arguments(call)
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

    def result(self, epoch_offset: int, max_events: int) -> dict[str, Any]:
        """What was counted and captured, as the protocol's keys and ours; to be called after detaching."""
        loaded = self._require_loaded()
        maps = loaded.maps
        events = sampling.read_sample(maps, self._head, layout.SyscallEvent.from_buffer_copy)
        carried = sampling.spread([self._event(event, epoch_offset) for event in events], max_events)
        missed = loaded.missed()
        listed = sampling.processes(maps)
        pending = self._in_flight(maps["in_flight"], epoch_offset)
        count = sampling.total(maps, layout.TOTAL_EVENTS)
        under_way = 0 if self._by_returns else pending["count"]  # which are told of by themselves
        return {
            "event_count": count,
            "events": carried,
            # Before 5.12 the kernel skips no program of a raw tracepoint.
            "exact": not missed and not (self._judged and sampling.total(maps, layout.TOTAL_NOT_PAIRED)),
            "missed": missed or 0,
            "own_events": sampling.total(maps, layout.TOTAL_OWN),
            "events_not_carried": max(0, count - len(carried) - under_way),
            "by_process": listed[: calls.LISTED],
            "by_process_other": sampling.total(maps, layout.TOTAL_OTHER_PROCESS)
            + sum(entry["count"] for entry in listed[calls.LISTED :]),
            "by_result": calls.results(maps["by_result"]),
            "failures": calls.failures(maps["failures"], self._failure),
            "failures_other": sampling.total(maps, layout.TOTAL_OTHER_FAILURE),
            **self._keys(maps),
            "by_syscall": self._counts(maps["by_syscall"]),
            "latency_us": latency.summarise(calls.latencies(maps["latency"])),
            "in_flight": pending,
            "notes": [*([self._target.note] if self._target.note else []), *self._notes(maps)],
        }

    def _require_loaded(self) -> LoadedObject:
        if self._loaded is None:
            raise HostError("The probe was read before it was attached.")
        return self._loaded

    def _name(self, number: int) -> str:
        call = self._calls.get(number)
        return call.name if call else f"syscall_{number}"

    def _event(self, event: layout.SyscallEvent, epoch_offset: int) -> dict[str, Any]:
        prefix = "sys_exit_" if self._target.at_exit else "sys_enter_"
        data = self._data(event)
        returned = event.entered == 0 or event.duration > 0
        if event.entered and returned:
            data["duration_us"] = round(event.duration / 1000, 1)
        if returned:
            data.update(decode.result(event.result, self._name(event.number) in self._known["pointers"]))
        at = event.timestamp + (event.duration if self._target.at_exit else 0)
        return sampling.shown_event(event, at + epoch_offset, prefix + self._name(event.number), data)

    def _data(self, event: layout.SyscallEvent) -> dict[str, Any]:
        """The arguments by name, what they point to as text."""
        call = self._calls.get(event.number)
        if not event.entered:
            return {"note": "entered before the trace began, so its arguments are not known"}
        arguments = _arguments(call) if call else []
        data: dict[str, Any] = {
            field.name: decode.argument(field.type, value) for field, value in zip(arguments, event.argument)
        }
        for index, (name, is_address) in enumerate(self._read.get(event.number, [])):
            self._add_blob(data, call, event, index, name, is_address)
        return data

    def _add_blob(
        self,
        data: dict[str, Any],
        call: Optional[Syscall],
        event: layout.SyscallEvent,
        index: int,
        name: str,
        is_address: bool,
    ) -> None:
        length, raw = event.length[index], bytes(event.blob[index])
        pointer = self._known["addresses"][call.name]["argument"] if is_address and call else name
        if data.get(pointer) == "0x0":
            data[pointer] = None
            return
        data.pop(pointer, None)
        if length == 0 and is_address:
            data[name] = None  # the kernel filled nothing in
        elif length < 0:
            data[name] = f"(unreadable: {decode.error_name(-length)})"
        elif is_address:
            address = decode.socket_address(raw[:length])
            data[name], data["family"] = address["address"], address["family"]
        else:
            data[name] = decode.string(raw[:length], layout.BLOB_BYTES)

    def _failure(self, failure: layout.Failure, key: bytes) -> dict[str, Any]:
        read = self._read.get(failure.number, [])
        return {
            "syscall": self._name(failure.number),
            "key": self._shown_key(key, bool(read) and read[0][1]),
        }

    def _keys(self, maps: dict[str, Map]) -> dict[str, Any]:
        """Counts by what calls were about; none where their arguments point to nothing that is read."""
        if not self._read:
            return {"by_key": [], "by_key_other": 0}
        kinds = {read[0][1] for read in self._read.values()}

        def shown(raw: bytes) -> str:
            return self._shown_key(raw, _is_address(raw) if len(kinds) > 1 else True in kinds)

        return calls.keys(maps["by_key"], shown, sampling.total(maps, layout.TOTAL_EVENTS))

    @staticmethod
    def _shown_key(raw: bytes, is_address: bool) -> str:
        if not any(raw):
            return ""
        return decode.socket_address(raw)["address"] if is_address else decode.string(raw, len(raw))

    def _counts(self, counts: Map) -> dict[str, int]:
        by_cpu = [struct.unpack(f"={layout.SYSCALLS}Q", value) for value in counts.values(struct.pack("=I", 0))]
        totals = Counter({self._name(number): sum(each) for number, each in enumerate(zip(*by_cpu)) if any(each)})
        return {name: count for name, count in totals.most_common() if count}

    def _in_flight(self, pending: Map, epoch_offset: int) -> dict[str, Any]:
        """What entered and had not returned; a thread that is gone took its call with it."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        events = []
        for key in pending:
            for raw in pending.values(key):
                event = layout.SyscallEvent.from_buffer_copy(raw)
                if not calls.is_alive(event.thread, event.pid_tgid):
                    continue
                shown = self._event(event, epoch_offset)
                shown["data"]["elapsed_us"] = round((now - event.timestamp) / 1000, 1)
                if now - event.timestamp >= self._head.least:
                    events.append(shown)
        events.sort(key=lambda event: int(event["timestamp"]))
        return {"count": len(events), "events": events[:20]}

    def _notes(self, maps: dict[str, Map]) -> list[str]:
        notes = []
        names = [call.name for call in self._target.syscalls]
        if self._by_returns and names and all(name in self._known["never_return"] for name in names):
            notes.append(f"No call of {' or '.join(names)} returns, so there is nothing to count: trace its entry.")
        if self._by_returns and not self._target.at_exit and sampling.total(maps, layout.TOTAL_OWN):
            notes.append("own_events are all calls of this diagnosis itself, whatever came of them.")
        compat = sampling.total(maps, layout.TOTAL_COMPAT)
        if compat:
            notes.append("32-bit programs ran: their calls, which have other numbers, are not counted here.")
        lost = sampling.total(maps, layout.TOTAL_NOT_PAIRED)
        if lost:
            what = "they are not counted" if self._judged else "their results are not known"
            notes.append(f"{lost} calls were under way beyond what there was room for: {what}.")
        return notes


def _is_address(key: bytes) -> bool:
    """Whether a key is a socket address and no path, where both are among the calls: it begins with its family.

    A path of one character looks like a family alone, of which no address has such a number and nothing behind it.
    """
    (family,) = struct.unpack_from("=H", key)
    return family < 256 and (family < ord(" ") or any(key[2:]))


def _arguments(call: Syscall) -> list[Field]:
    """The fields of a system call's tracepoint that are its arguments, in order."""
    if call.format is None:
        return []
    return [field for field in call.format.fields if field.name not in ("__syscall_nr", "nr")]
