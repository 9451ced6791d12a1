# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted of calls that return, of system calls and of functions alike. Private to the collection."""

from __future__ import annotations

import ctypes
import os
import struct
from collections import Counter
from typing import Any, Callable

from . import decode, layout
from .kernel import Map

LISTED = 100  # entries of a list that is ordered by count; what is left out is summed

IDLE = "Process 0 is the idle thread of a CPU: what interrupts do while nothing else runs is counted as its."

_NO_ERROR = {0: "ok", layout.NO_POINTER: decode.NO_POINTER, layout.FALSE: "false", layout.TRUE: "true"}


def number(value: bytes) -> int:
    """A counter's value."""
    return int(struct.unpack("=Q", value)[0])


def results(by_result: Map) -> dict[str, int]:
    """`ok` (or `null`, `true`, `false`) and each errno by name, the most frequent first."""
    counts: Counter[str] = Counter()
    for key in by_result:
        code = layout.ResultKey.from_buffer_copy(key).error
        counts[_NO_ERROR.get(code) or decode.error_name(code)] += sum(map(number, by_result.values(key)))
    return dict(counts.most_common())


def latencies(counts: Map) -> list[int]:
    """The buckets over all CPUs, and last the longest duration, in nanoseconds."""
    by_cpu = [struct.unpack(f"={layout.LATENCIES + 1}Q", value) for value in counts.values(struct.pack("=I", 0))]
    *buckets, longest = zip(*by_cpu)
    return [*map(sum, buckets), max(longest)]


def failures(counts: Map, shown: Callable[[layout.Failure, bytes], dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls that failed, the most frequent first. `shown`: what an entry says beside who, error and count."""
    found: dict[str, dict[str, Any]] = {}
    for raw in counts:
        failure = layout.Failure.from_buffer_copy(raw)
        counted = layout.FailureCount.from_buffer_copy(counts.values(raw)[0])
        entry = {
            "process_id": failure.tgid,
            "process_name": layout.text(counted.comm),
            **shown(failure, raw[ctypes.sizeof(layout.Failure) :]),
            "error": decode.error_name(failure.error) if failure.error else decode.NO_POINTER,
        }
        # Different keys may be shown alike.
        same = found.setdefault(repr(entry), {**entry, "count": 0})
        same["count"] += counted.count
    return sorted(found.values(), key=lambda entry: (-entry["count"], entry["process_id"], entry["key"]))[:LISTED]


def keys(counts: Map, shown: Callable[[bytes], str], total: int) -> dict[str, Any]:
    """`by_key`, the most frequent first, and `by_key_other`: what of the total is in none of them."""
    found: Counter[str] = Counter()
    for raw in counts:
        found[shown(raw)] += sum(map(number, counts.values(raw)))
    listed = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:LISTED]
    return {
        "by_key": [{"key": key, "count": count} for key, count in listed],
        "by_key_other": max(0, total - sum(count for _key, count in listed)),
    }


def is_alive(thread: int, pid_tgid: int) -> bool:
    """Whether the thread of a call still exists. `thread` by the kernel's ids: the idle threads have none."""
    return thread == 0 or os.path.exists(f"/proc/{pid_tgid >> 32}/task/{pid_tgid & 0xFFFFFFFF}")
