# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe on system calls has counted and captured, as a result. Private to the collection."""

from __future__ import annotations

import struct
import time
from collections import Counter
from typing import Any, NamedTuple, Optional

from . import calls, decode, latency, layout, sampling, under_way
from .kernel import Map
from .loader import LoadedObject
from .targets import Syscall, SyscallTarget

# A number of a system call → for each blob of its events, its name and whether it is an address.
Blobs = dict[int, list[tuple[str, bool]]]


class Counting(NamedTuple):
    """`by_returns`: calls are counted when they return. `judged`: one whose entry was not kept is not counted.

    `over`: calls that were not under way any more when the trace ended, although no return of theirs was seen.
    """

    by_returns: bool
    judged: bool
    over: under_way.Known


class SyscallResult:
    """Reads the maps of one request's programs."""

    def __init__(
        self,
        target: SyscallTarget,
        known: dict[str, Any],
        blobs: Blobs,
        head: layout.PlanHead,
        loaded: LoadedObject,
        counting: Counting,
    ) -> None:
        """`known`: what is known about system calls; `blobs`: what is read of each."""
        self._target = target
        self._known = known
        self._calls = {call.number: call for call in target.syscalls}
        self._read = blobs
        self._head = head
        self._loaded = loaded
        self._counting = counting

    def read(self, epoch_offset: int, max_events: int) -> dict[str, Any]:
        """What was counted and captured, as the protocol's keys and ours; to be called after detaching."""
        maps = self._loaded.maps
        events = sampling.read_sample(maps, self._head, layout.SyscallEvent.from_buffer_copy)
        carried = sampling.spread([self._event(event, epoch_offset) for event in events], max_events)
        missed = self._missed()
        listed = sampling.processes(maps)
        pending, over = self._in_flight(maps["in_flight"], epoch_offset)
        by_result = calls.results(maps["by_result"])
        count = sampling.total(maps, layout.TOTAL_EVENTS)
        waiting = 0 if self._counting.by_returns else pending["count"]  # which are told of by themselves
        return {
            "event_count": count,
            "events": carried,
            # Before 5.12 the kernel skips no program of a raw tracepoint.
            "exact": not missed and not (self._counting.judged and sampling.total(maps, layout.TOTAL_NOT_PAIRED)),
            "missed": missed or 0,
            "own_events": sampling.total(maps, layout.TOTAL_OWN),
            "events_not_carried": max(0, count - len(carried) - waiting),
            "by_process": listed[: calls.LISTED],
            "by_process_other": sampling.total(maps, layout.TOTAL_OTHER_PROCESS)
            + sum(entry["count"] for entry in listed[calls.LISTED :]),
            "by_result": by_result,
            "failures": calls.failures(maps["failures"], self._failure),
            "failures_other": sampling.total(maps, layout.TOTAL_OTHER_FAILURE),
            **self._keys(maps),
            "by_syscall": self._counts(maps["by_syscall"]),
            "latency_us": latency.summarise(calls.latencies(maps["latency"])),
            "in_flight": pending,
            "returns_missed": self._returns_missed(count - sum(by_result.values()) - pending["count"], over),
            "notes": [*([self._target.note] if self._target.note else []), *self._notes(maps)],
        }

    def _missed(self) -> Optional[int]:
        """How often the kernel skipped the program that counts: at returns, at entries, or where both must run, any."""
        if self._counting.judged and self._counting.by_returns:
            return self._loaded.missed()
        return self._loaded.missed(layout.ON_EXIT if self._counting.by_returns else layout.ON_ENTER)

    def _returns_missed(self, unknown: int, over: int) -> int:
        """Of how many calls the kernel skipped the program at the return, as far as is known.

        `unknown`: calls that were counted and of which nothing more is known; `over`: those that left an entry.
        """
        if self._counting.by_returns or sampling.is_thinned(self._loaded.maps):
            return over
        return max(over, min(self._loaded.missed(layout.ON_EXIT) or 0, unknown))

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
            return {"note": self._without_entry(event)}
        arguments = call.arguments if call else []
        data: dict[str, Any] = {
            field.name: decode.argument(field.type, value) for field, value in zip(arguments, event.argument)
        }
        for index, (name, is_address) in enumerate(self._read.get(event.number, [])):
            self._add_blob(data, call, event, index, name, is_address)
        return data

    def _without_entry(self, event: layout.SyscallEvent) -> str:
        if event.result == 0 and self._name(event.number) in self._known["fork"]:
            return "the first return of the new process or thread: the call, and its arguments, were its parent's"
        return "its arguments are not known, for its entry is not among what was kept"

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

    def _in_flight(self, pending: Map, epoch_offset: int) -> tuple[dict[str, Any], int]:
        """What entered and had not returned; how many returns were not seen. A thread that is gone took its call."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        events, not_seen = [], 0
        for key in pending:
            for raw in pending.values(key):
                event = layout.SyscallEvent.from_buffer_copy(raw)
                if not calls.is_alive(event.thread, event.pid_tgid):
                    continue
                if (key, event.timestamp) in self._counting.over:
                    not_seen += 1
                    continue
                shown = self._event(event, epoch_offset)
                shown["data"]["elapsed_us"] = round((now - event.timestamp) / 1000, 1)
                if now - event.timestamp >= self._head.least:
                    events.append(shown)
        events.sort(key=lambda event: int(event["timestamp"]))
        return {"count": len(events), "events": events[:20]}, not_seen

    def _notes(self, maps: dict[str, Map]) -> list[str]:
        notes = []
        names = [call.name for call in self._target.syscalls]
        by_returns = self._counting.by_returns
        if by_returns and names and all(name in self._known["never_return"] for name in names):
            notes.append(f"No call of {' or '.join(names)} returns, so there is nothing to count: trace its entry.")
        if by_returns and not self._target.at_exit and sampling.total(maps, layout.TOTAL_OWN):
            notes.append("own_events are all calls of this diagnosis itself, whatever came of them.")
        unseen = self._loaded.missed(layout.ON_ENTER) if by_returns else 0
        if unseen:
            notes.append(f"The kernel skipped the program at {unseen} entries of whichever system calls.")
        skipped = 0 if by_returns else self._loaded.missed(layout.ON_EXIT)
        if skipped:
            notes.append(
                f"The kernel skipped the program at {skipped} returns of whichever system calls: the results of up to"
                " as many of these calls are not known."
            )
        if not set(names).isdisjoint(self._known["io_uring"]) and _io_uring_was_used():
            notes.append(
                "Programs on this host have used io_uring: what they have done by it is not among these system calls."
            )
        compat = sampling.total(maps, layout.TOTAL_COMPAT)
        if compat:
            notes.append("32-bit programs ran: their calls, which have other numbers, are not counted here.")
        lost = sampling.total(maps, layout.TOTAL_NOT_PAIRED)
        if lost:
            what = "they are not counted" if self._counting.judged else "their results are not known"
            notes.append(f"{lost} calls were under way beyond what there was room for: {what}.")
        return notes


def _io_uring_was_used() -> bool:
    from .kernel_files import KernelFiles  # most system calls are none of io_uring's

    return KernelFiles().has_requests_of_io_uring()


def _is_address(key: bytes) -> bool:
    """Whether a key is a socket address and no path, where both are among the calls: it begins with its family.

    A path of one character looks like a family alone, of which no address has such a number and nothing behind it.
    """
    (family,) = struct.unpack_from("=H", key)
    return family < 256 and (family < ord(" ") or any(key[2:]))
