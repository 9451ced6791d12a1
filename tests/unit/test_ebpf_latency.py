# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles from the kernel's buckets are within a quarter of the truth, and never above the longest."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import latency
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.layout import LATENCIES, LATENCY_STEPS


def bucket_of(duration: int) -> int:
    """As count_latency in bpf/syscall.c has it."""
    power = max(0, duration.bit_length() - 1)
    step = (duration >> (power - 2)) & (LATENCY_STEPS - 1) if power >= 2 else 0
    return power * LATENCY_STEPS + step


def buckets(durations: list[int]) -> list[int]:
    counts = [0] * (LATENCIES + 1)
    for duration in durations:
        counts[bucket_of(duration)] += 1
    counts[LATENCIES] = max(durations, default=0)
    return counts


@given(st.integers(0, 2**50))
def test_a_duration_is_below_the_end_of_its_bucket_by_a_quarter_at_most(duration: int) -> None:
    end = latency.upper_end(bucket_of(duration))
    assert duration < end
    assert end <= max(4, duration + duration // 4 + 1 + duration // 16)


@given(st.lists(st.integers(1000, 10**10), min_size=1, max_size=300))
def test_percentiles_are_ordered_and_near_the_truth(durations: list[int]) -> None:
    found: Optional[dict[str, float]] = latency.summarise(buckets(durations))
    assert found is not None
    assert found["p50"] <= found["p95"] <= found["p99"] <= found["max"] == round(max(durations) / 1000, 1)
    for percentile in (50, 95, 99):
        truth = sorted(durations)[-(-len(durations) * percentile // 100) - 1] / 1000
        assert truth - 0.1 <= found[f"p{percentile}"] <= truth * 1.26 + 0.1


def test_nothing_returned_has_no_percentiles() -> None:
    assert latency.summarise(buckets([])) is None


@pytest.mark.parametrize(("duration", "key"), [(1000, "1.024"), (1024, "2.048"), (200_000_000, "268435")])
def test_the_histogram_is_by_powers_of_two(duration: int, key: str) -> None:
    found = latency.summarise(buckets([duration] * 3))
    assert found is not None
    assert found["histogram"] == {key: 3}
