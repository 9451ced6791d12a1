# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plans of all ways of attaching share: filters, and how the sample is spread. Private to the collection."""

from __future__ import annotations

import struct
import time
from typing import Any, Callable, Optional, Union

from . import kernel, layout
from .kernel import Map
from .namespace import pid_namespace
from .request import Filters, ProgramRequest

_ZERO = struct.pack("=I", 0)
_MAX_SLOTS = 4096  # of a program's sample in the kernel for slices, over all CPUs; those for bursts come on top
_PER_SLICE = (4, 4)  # slots for ordinary and for failed events, per CPU and slice; one more is for the slowest
_BURST = 64  # slots per CPU for what a slice has no room for


def plan_head(request: ProgramRequest, flags: int = 0) -> layout.PlanHead:
    """Filters and sampling of a request. The window begins now."""
    head = layout.PlanHead()
    head.flags = flags
    _set_filters(head, request.filters)
    head.ordinary, head.erroneous = _PER_SLICE
    head.ns_device, head.ns_inode = pid_namespace()
    head.cpus = max(kernel.possible_cpus()) + 1
    head.slices = max(1, min(layout.MAX_SLICES, _MAX_SLOTS // (head.cpus * (sum(_PER_SLICE) + 1))))
    head.burst = max(4, min(_BURST, _MAX_SLOTS // head.cpus))
    head.started = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    head.slice = int(request.duration * 1e9) // head.slices
    return head


def _set_filters(head: layout.PlanHead, filters: Filters) -> None:
    if filters.pid is not None and not filters.children:  # with its children it is a tree: see scope.py
        head.flags |= layout.FILTER_TGID
        head.tgid = filters.pid
    if filters.errors_only:
        head.flags |= layout.ERRORS_ONLY
    head.least = int((filters.min_duration_us or 0) * 1000)
    if filters.uid is not None:
        head.flags |= layout.FILTER_UID
        head.uid = filters.uid
    if filters.comm is not None:
        prefix = filters.comm.endswith("*")
        wanted = (filters.comm[:-1] if prefix else filters.comm).encode()
        # An exact name ends in zeros, which are compared too; a prefix says nothing of what follows it.
        compared = len(wanted) if prefix else layout.COMM_BYTES
        head.flags |= layout.FILTER_COMM
        head.comm[:] = struct.unpack("=2Q", wanted.ljust(layout.COMM_BYTES, b"\0"))
        head.mask[:] = struct.unpack("=2Q", (b"\xff" * compared).ljust(layout.COMM_BYTES, b"\0"))


def sample_slots(head: layout.PlanHead) -> int:
    """How many events the sample has room for."""
    return int(head.cpus * (head.slices * (head.ordinary + head.erroneous + 1) + head.burst))


def table_sizes() -> dict[str, int]:
    """How many entries tables have that keep one for each CPU: there are more of those the more CPUs there are."""
    cpus = len(kernel.possible_cpus())
    return {"by_process": min(32768, 2048 + 1024 * cpus), "by_result": min(8192, 256 + 128 * cpus)}


def write_plan(maps: dict[str, Map], plan: Any) -> None:
    """Puts a plan into the map `plan`."""
    maps["plan"].update(_ZERO, bytes(plan))


def begin_window(maps: dict[str, Map], now: int) -> None:
    """Lets the sample's slices begin now, in nanoseconds of the monotonic clock; what came before is in the first."""
    plan = bytearray(maps["plan"].values(_ZERO)[0])
    layout.PlanHead.from_buffer(plan).started = now
    maps["plan"].update(_ZERO, bytes(plan))


def add_flag(maps: dict[str, Map], flag: int) -> None:
    """Tells a program something while it runs: layout.COUNT_ONLY, layout.STOPPED."""
    plan = bytearray(maps["plan"].values(_ZERO)[0])
    layout.PlanHead.from_buffer(plan).flags |= flag
    maps["plan"].update(_ZERO, bytes(plan))


def is_thinned(maps: dict[str, Map]) -> bool:
    """Whether a program was told, while it ran, to keep nothing but counts."""
    return bool(layout.PlanHead.from_buffer_copy(maps["plan"].values(_ZERO)[0]).flags & layout.COUNT_ONLY)


def total(maps: dict[str, Map], which: int) -> int:
    """One of the counters of `totals`, over all CPUs."""
    return sum(struct.unpack("=Q", value)[0] for value in maps["totals"].values(struct.pack("=I", which)))


def read_sample(maps: dict[str, Map], head: layout.PlanHead, decode: Callable[[bytes], Any]) -> list[Any]:
    """The events of the sample, decoded, in no order."""
    return [decode(value) for slot in _used(maps, head) for value in maps["sample"].values(struct.pack("=I", slot))]


def _used(maps: dict[str, Map], head: layout.PlanHead) -> list[int]:
    """The slots that hold an event, as `slot_of` in bpf/count_and_sample.h gives them out."""

    def cursors(index: int) -> list[layout.Cursor]:
        return [layout.Cursor.from_buffer_copy(raw) for raw in maps["cursors"].values(struct.pack("=I", index))]

    per_slice = head.ordinary + head.erroneous + 1
    used: list[int] = []
    for index in range(head.slices):
        for cpu, cursor in zip(kernel.possible_cpus(), cursors(index)):
            first = (cpu * head.slices + index) * per_slice
            used += range(first, first + cursor.ordinary)
            used += range(first + head.ordinary, first + head.ordinary + cursor.erroneous)
            used += [first + per_slice - 1] if cursor.slowest else []
    for cpu, cursor in zip(kernel.possible_cpus(), cursors(layout.MAX_SLICES)):
        first = head.cpus * head.slices * per_slice + cpu * head.burst
        used += range(first, first + cursor.ordinary)
    return used


def processes(maps: dict[str, Map]) -> list[dict[str, Any]]:
    """Counts by process, the busiest first."""
    found: dict[tuple[int, bytes], dict[str, Any]] = {}
    for raw in maps["by_process"]:
        key = layout.ProcessKey.from_buffer_copy(raw)
        name = layout.text(key.comm)
        entry = {"process_id": key.tgid, "process_name": name, "count": 0, "errors": 0}
        entry = found.setdefault((key.tgid, key.comm), entry)
        for value in maps["by_process"].values(raw):
            counted = layout.ProcessCount.from_buffer_copy(value)
            entry["count"] += counted.count
            entry["errors"] += counted.errors
    counted_in = [entry for entry in found.values() if entry["count"] or entry["errors"]]
    return sorted(counted_in, key=lambda entry: (-entry["count"], -entry["errors"], entry["process_id"]))


def epoch_offset() -> int:
    """Nanoseconds to add to the kernel's monotonic clock to get nanoseconds since the Unix epoch."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def shown_event(
    event: Union[layout.Call, layout.TracepointEvent], at: int, event_type: str, data: dict[str, Any]
) -> dict[str, Any]:
    """An event as the protocol has it; `at`: nanoseconds since the Unix epoch."""
    return {
        "timestamp": at,
        "process_id": event.pid_tgid >> 32,
        "process_name": layout.text(event.comm),
        "thread_id": event.pid_tgid & 0xFFFFFFFF,
        "event_type": event_type,
        "data": data,
    }


def spread(events: list[dict[str, Any]], limit: Optional[int]) -> list[dict[str, Any]]:
    """At most `limit` events in order of time: the slowest and failures before others, each kind spread over time.

    A tenth of them are the slowest, whether they failed or not; of the others failures are half, or as many as there
    is room for.
    """
    ordered = sorted(events, key=lambda event: int(event["timestamp"]))
    if limit is None or len(ordered) <= limit:
        return ordered
    timed = [event for event in ordered if event["data"].get("duration_us")]
    slowest = sorted(timed, key=lambda event: -float(event["data"]["duration_us"]))[: max(1, limit // 10)][:limit]
    taken = set(map(id, slowest))  # two events may be equal
    failed = [event for event in ordered if "error" in event["data"] and id(event) not in taken]
    others = [event for event in ordered if "error" not in event["data"] and id(event) not in taken]
    room = limit - len(slowest)
    chosen = slowest + _over_time(failed, max(room // 2, room - len(others)))
    chosen += _over_time(others, limit - len(chosen))
    return sorted(chosen, key=lambda event: int(event["timestamp"]))


def _over_time(events: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """At most `limit` of events that are in order, from each part of their time as many as from another.

    The kernel's sample has more of a trace's beginning than of the rest, for bursts are kept there.
    """
    if limit <= 0 or len(events) <= limit:
        return events[: max(0, limit)]
    began = int(events[0]["timestamp"])
    span = int(events[-1]["timestamp"]) - began + 1
    parts: list[list[dict[str, Any]]] = [[] for _part in range(limit)]
    for event in events:
        parts[(int(event["timestamp"]) - began) * limit // span].append(event)
    chosen: list[dict[str, Any]] = []
    waiting = sorted(filter(None, parts), key=len)  # those that have little give all of it
    for index, part in enumerate(waiting):
        chosen += _every(part, (limit - len(chosen)) // (len(waiting) - index))
    return chosen


def _every(events: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """At most `limit` of the events, evenly chosen, the first and the last among them."""
    if len(events) <= limit:
        return list(events)
    if limit == 1:
        return [events[0]]
    return [events[round(index * (len(events) - 1) / (limit - 1))] for index in range(limit)]
