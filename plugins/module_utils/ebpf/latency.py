# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From buckets of durations to percentiles. Private to the collection.

A bucket of the kernel's is a quarter of a power of two of nanoseconds (count_latency in bpf/syscall.c), so a percentile
is known to within a quarter; it is given as the upper end of its bucket, and never above the longest duration.
"""

from __future__ import annotations

from typing import Any, Optional

from .layout import LATENCIES, LATENCY_STEPS

_PERCENTILES = (50, 95, 99)


def upper_end(bucket: int) -> int:
    """Nanoseconds at which a bucket ends, exclusive."""
    power, step = divmod(bucket, LATENCY_STEPS)
    if power < 2:  # too small to be divided: one bucket for the power
        return int(2 << power)
    return int((1 << power) + (step + 1) * (1 << power) // LATENCY_STEPS)


def summarise(buckets: list[int]) -> Optional[dict[str, Any]]:
    """`p50`, `p95`, `p99` and `max` in microseconds and a histogram by powers of two, or None where nothing returned.

    `buckets`: the counts, and last the longest duration in nanoseconds. `histogram`: upper end in microseconds → count.
    """
    counts, longest = buckets[:LATENCIES], buckets[LATENCIES]
    total = sum(counts)
    if not total:
        return None
    summary: dict[str, Any] = {}
    for percentile in _PERCENTILES:
        end = upper_end(_bucket_of(counts, -(-total * percentile // 100)))
        summary[f"p{percentile}"] = round(min(end, longest) / 1000, 1)
    summary["max"] = round(longest / 1000, 1)
    summary["histogram"] = _histogram(counts)
    return summary


def _histogram(counts: list[int]) -> dict[str, int]:
    histogram = {}
    for first in range(0, LATENCIES, LATENCY_STEPS):
        count = sum(counts[first : first + LATENCY_STEPS])
        if count:
            histogram[f"{upper_end(first + LATENCY_STEPS - 1) / 1000:g}"] = count
    return histogram


def _bucket_of(counts: list[int], rank: int) -> int:
    """The bucket that has the event of that rank, the first being 1."""
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= rank:
            return bucket
    return len(counts) - 1
