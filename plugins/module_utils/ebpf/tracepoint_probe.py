# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe on any tracepoint that is no system call. Private to the collection."""

from __future__ import annotations

from typing import Any, Optional

from . import decode, layout, sampling
from .errors import HostError
from .loader import Load, LoadedObject
from .request import ProgramRequest
from .targets import TracepointTarget
from .tracefs import Field

CAPTURE_SOURCE, COUNTER_SOURCE, FUNCTIONS = "tracepoint.c", "raw_counter.c", ("on_event",)
_LISTED = 100
# Categories whose events fire in interrupts: the current process there is whoever was interrupted.
_INTERRUPTS = frozenset(("irq", "irq_vectors", "ipi", "timer", "napi", "net", "softirq"))


class TracepointProbe:
    """One request's programs, maps and, in the end, result: a raw tracepoint counts, a perf event captures."""

    def __init__(self, request: ProgramRequest, target: TracepointTarget) -> None:
        self._target = target
        self._head = sampling.plan_head(request)
        self._counter: Optional[LoadedObject] = None
        self._capture: Optional[LoadedObject] = None
        self.attached_to: list[str] = []
        self._located = [field for field in target.format.fields if field.is_location and "char" in field.type]

    def plan(self) -> layout.PlanHead:
        """The plan's shared part, for the size of the sample."""
        return self._head

    def sources(self) -> dict[str, tuple[str, ...]]:
        """The program texts that are needed, and the functions in each."""
        return {COUNTER_SOURCE: FUNCTIONS, CAPTURE_SOURCE: FUNCTIONS}

    def sizes(self) -> dict[str, int]:
        """Entries of the maps whose number depends on the request and the host."""
        return {}

    def attach(self, load: Load, head: layout.PlanHead) -> None:
        """Writes the plans and attaches. Raises HostError, OSError."""
        counter, capture = load(COUNTER_SOURCE), load(CAPTURE_SOURCE)
        self._head, self._capture = head, capture
        form = self._target.format
        sampling.write_plan(counter.maps, head)
        try:
            counter.attach_raw_tracepoint(form.event, "on_event")
            self._counter = counter
            self.attached_to.append(f"raw_tracepoint:{form.event}")
        except OSError:
            counter.close()  # some events have no tracepoint of their own: then the capturing program counts
        plan = layout.TracepointPlan(head=head, counts=0 if self._counter else 1)
        plan.record = min(form.record_size, layout.RECORD_BYTES)
        for index, field in enumerate(self._located[: layout.BLOBS]):
            plan.blob[index], plan.relative[index] = field.offset, int(field.is_relative)
        sampling.write_plan(capture.maps, plan)
        capture.attach_tracepoint(form.identifier, "on_event")
        self.attached_to.append(f"tracepoint:{form.category}/{form.event}")

    def result(self, epoch_offset: int, max_events: int) -> dict[str, Any]:
        """What was counted and captured, as the protocol's keys and ours; to be called after detaching."""
        if self._capture is None:
            raise HostError("The probe was read before it was attached.")
        counting = self._counter or self._capture
        events = sampling.read_sample(self._capture.maps, self._head, layout.TracepointEvent.from_buffer_copy)
        carried = sampling.spread([self._event(event, epoch_offset) for event in events], max_events)
        count = sampling.total(counting.maps, layout.TOTAL_EVENTS)
        missed = (self._counter.missed() if self._counter else None) or 0
        listed = sampling.processes(counting.maps)
        return {
            "event_count": count,
            "events": carried,
            "exact": self._counter is not None and missed == 0,
            "missed": missed,
            "own_events": sampling.total(counting.maps, layout.TOTAL_OWN),
            "events_not_carried": max(0, count - len(carried)),
            "by_process": [_without_errors(entry) for entry in listed[:_LISTED]],
            "by_process_other": sampling.total(counting.maps, layout.TOTAL_OTHER_PROCESS)
            + sum(entry["count"] for entry in listed[_LISTED:]),
            "notes": self._notes(),
        }

    def _event(self, event: layout.TracepointEvent, epoch_offset: int) -> dict[str, Any]:
        located: dict[str, str] = {}
        for index, field in enumerate(self._located[: layout.BLOBS]):
            length = event.length[index]
            raw = bytes(event.blob[index])[: max(0, length)]
            unreadable = f"(unreadable: {decode.error_name(-length)})"
            located[field.name] = unreadable if length < 0 else decode.string(raw, layout.BLOB_BYTES)
        return {
            "timestamp": event.timestamp + epoch_offset,
            "process_id": event.pid_tgid >> 32,
            "process_name": layout.text(event.comm),
            "thread_id": event.pid_tgid & 0xFFFFFFFF,
            "event_type": self._target.event,
            "data": _with_endpoints(decode.record(self._target.format, bytes(event.record), located)),
        }

    def _notes(self) -> list[str]:
        notes = [self._target.note] if self._target.note else []
        if self._target.format.category in _INTERRUPTS:
            notes.append("This event fires in interrupts too: the process named is whoever was interrupted then.")
        if self._counter is None:
            notes.append(
                "This event has no raw tracepoint, so it was counted by a program that the kernel skips while another"
                " one runs on the same CPU: the count may be too low."
            )
        if self._target.format.record_size > layout.RECORD_BYTES:
            notes.append(f"Fields beyond the record's first {layout.RECORD_BYTES} bytes are not shown.")
        left_out = _names(self._located[layout.BLOBS :]) + _names(
            [field for field in self._target.format.fields if field.is_location and field not in self._located]
        )
        if left_out:
            notes.append(f"These fields are not carried: {', '.join(left_out)}.")
        return notes


def _names(fields: list[Field]) -> list[str]:
    return [field.name for field in fields]


def _without_errors(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "errors"}


def _with_endpoints(data: dict[str, Any]) -> dict[str, Any]:
    """Adds `source` and `destination` as `ip:port` where the record has an IP address and a port of each."""
    six = data.get("family") in ("AF_INET6", 10)
    for shown, address, port in (("source", "saddr", "sport"), ("destination", "daddr", "dport")):
        value = data.get(f"{address}_v6" if six else address)
        if isinstance(value, str) and isinstance(data.get(port), int) and value.replace(".", "").isdigit():
            data[shown] = f"{value}:{data[port]}"
        elif isinstance(value, str) and isinstance(data.get(port), int) and six:
            data[shown] = f"[{value}]:{data[port]}"
    return data
