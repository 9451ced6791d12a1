# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe on a tracepoint has counted and captured, as a result. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

from . import calls, decode, layout, sampling
from .kernel import Map
from .loader import LoadedObject
from .record_key import RecordKey
from .records import Records, located_bytes
from .targets import TracepointTarget
from .tracefs import Field


class TracepointResult:
    """Reads the maps of one request's programs."""

    def __init__(
        self,
        target: TracepointTarget,
        records: Records,
        key: Optional[RecordKey],
        located: list[Field],
        head: layout.PlanHead,
        capture: LoadedObject,
        counter: Optional[LoadedObject],
    ) -> None:
        """`located`: the fields that say where in the record the real data is, in the order of the events' blobs.

        `counter`: None where the capturing program counted as well.
        """
        self._target = target
        self._records = records
        self._key = key
        self._located = located
        self._head = head
        self._capture = capture
        self._counter = counter

    def read(self, epoch_offset: int, max_events: int) -> dict[str, Any]:
        """What was counted and captured, as the protocol's keys and ours; to be called after detaching."""
        counting = self._counter or self._capture
        events = sampling.read_sample(self._capture.maps, self._head, layout.TracepointEvent.from_buffer_copy)
        # Which are carried is chosen before any is decoded.
        carried = sampling.spread(
            [{"timestamp": event.timestamp, "data": self._worth(event), "raw": event} for event in events], max_events
        )
        code = self._code(bytes(event["raw"].record) for event in carried)
        count = sampling.total(counting.maps, layout.TOTAL_EVENTS)
        missed = (self._counter.missed() if self._counter else None) or 0
        listed = sampling.processes(counting.maps)
        result = {
            "event_count": count,
            "events": [self._event(event["raw"], epoch_offset, code) for event in carried],
            "exact": self._counter is not None and missed == 0,
            "missed": missed,
            "own_events": sampling.total(counting.maps, layout.TOTAL_OWN),
            "events_not_carried": max(0, count - len(carried)),
            "by_process": [_without_errors(entry) for entry in listed[: calls.LISTED]],
            "by_process_other": sampling.total(counting.maps, layout.TOTAL_OTHER_PROCESS)
            + sum(entry["count"] for entry in listed[calls.LISTED :]),
        }
        read = sampling.total(self._capture.maps, layout.TOTAL_CAPTURED)
        if self._records.failure is not None and (read or not count):
            result["failed_events"] = sampling.total(self._capture.maps, layout.TOTAL_ERRORS)
        notes = self._notes(any(entry["process_id"] == 0 for entry in listed))
        if self._key is not None:
            result.update(self._keys(self._capture.maps, count))
            notes += self._skipped(self._capture.maps, count)
        return {**result, "notes": notes}

    def _worth(self, event: layout.TracepointEvent) -> dict[str, Any]:
        """What makes a record worth more than another: that it tells of a failure."""
        field = self._records.failure
        if field is None or not any(bytes(event.record)[field.offset : field.offset + field.size]):
            return {}
        return {"error": field.name}

    def _code(self, records: Iterable[bytes]) -> dict[int, str]:
        """The names of the addresses of code in some records."""
        addresses = {address for raw in records for address in self._records.addresses(raw)}
        if not addresses:
            return {}
        from .code_addresses import name_addresses  # most events have none
        from .kernel_files import KernelFiles

        return name_addresses(KernelFiles(), addresses)

    def _keys(self, maps: dict[str, Map], count: int) -> dict[str, Any]:
        key = self._key
        if key is None:
            return {}
        code = self._code(key.record(raw) for raw in maps["by_key"])
        return calls.keys(maps["by_key"], lambda raw: key.show(raw, self._records, code), count)

    def _skipped(self, maps: dict[str, Map], count: int) -> list[str]:
        """Why events that were counted are in none of the keys, where it is not for want of room."""
        skipped = count - sampling.total(maps, layout.TOTAL_CAPTURED)
        if skipped <= 0 or sampling.is_thinned(maps):
            return []
        return [
            f"{skipped} of the events are in by_key_other and not in the sample: the program that reads them is"
            " attached after the one that counts and detached before it, and the kernel skips it while another one"
            " runs on the same CPU."
        ]

    def _event(self, event: layout.TracepointEvent, epoch_offset: int, code: dict[int, str]) -> dict[str, Any]:
        data = self._records.data(bytes(event.record), self._pointed_at(event), code)
        return sampling.shown_event(event, event.timestamp + epoch_offset, self._target.event, data)

    def _pointed_at(self, event: layout.TracepointEvent) -> dict[str, Any]:
        located: dict[str, Any] = {}
        for index, field in enumerate(self._located[: layout.BLOBS]):
            length = event.length[index]
            raw = bytes(event.blob[index])[: max(0, length)]
            if length < 0:
                located[field.name] = f"(unreadable: {decode.error_name(-length)})"
            elif field.is_text:
                located[field.name] = decode.string(raw, layout.BLOB_BYTES)
            else:
                located[field.name] = located_bytes(field.type, raw, length)
        return located

    def _notes(self, idle: bool) -> list[str]:
        """`idle`: whether some of the events are counted as the idle thread's."""
        notes = [self._target.note] if self._target.note else []
        if self._records.in_interrupts:
            notes.append("This event fires in interrupts too: the process named is whoever was interrupted then.")
        elif idle:
            notes.append(calls.IDLE)
        if self._counter is None:
            notes.append(
                "This event has no raw tracepoint, so it was counted by a program that the kernel skips while another"
                " one runs on the same CPU: the count may be too low."
            )
        if self._target.format.record_size > layout.RECORD_BYTES:
            notes.append(f"Fields beyond the record's first {layout.RECORD_BYTES} bytes are not shown.")
        left_out = [field.name for field in self._located[layout.BLOBS :]]
        if left_out:
            notes.append(f"These fields are not carried: {', '.join(left_out)}.")
        return notes


def _without_errors(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "errors"}
