# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probe is thinned or detached, and when: decided on what programs took, here told by a clock of our own."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import cost, layout, memory
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel import MapDefinition
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.loader import LoadedObject


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class PlanMap:
    """The map `plan` of a program."""

    def __init__(self) -> None:
        self.fd = 3
        self.value = bytes(layout.TracepointPlan(head=layout.PlanHead(flags=layout.FILTER_UID, uid=7), record=40))

    def values(self, key: bytes) -> list[bytes]:
        return [self.value]

    def update(self, key: bytes, value: bytes) -> None:
        self.value = value


class Program:
    """Takes a share of a CPU, another one when it only counts, and nothing when it is stopped."""

    def __init__(self, clock: Clock, whole: float, counting: float) -> None:
        self.maps = {"plan": PlanMap()}
        self._clock, self._shares = clock, (whole, counting)
        self._at, self._taken = clock.now, 0.0

    @property
    def plan(self) -> layout.TracepointPlan:
        return layout.TracepointPlan.from_buffer_copy(self.maps["plan"].value)

    @property
    def thinned(self) -> bool:
        return bool(self.plan.head.flags & layout.COUNT_ONLY)

    @property
    def attached(self) -> bool:
        """As far as the watch goes: it stops programs, and the tracer detaches them."""
        return not self.plan.head.flags & layout.STOPPED

    def pass_time(self) -> None:
        self._taken += (self._clock.now - self._at) * self._shares[self.thinned] * self.attached
        self._at = self._clock.now

    def statistics(self) -> tuple[int, int]:
        return int(self._taken * 1e9), int(self._taken * 1e6)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watched(clock: Clock, limit: float, programs: list[Program], monkeypatch: pytest.MonkeyPatch) -> cost.CostWatch:
    monkeypatch.setattr(cost, "enable_statistics", lambda: os.open(os.devnull, os.O_RDONLY))
    watch = cost.CostWatch(limit, clock)
    watch.start()
    for index, program in enumerate(programs):
        watch.add(index, cast(list[LoadedObject], [program]))
    return watch


def run(watch: cost.CostWatch, clock: Clock, programs: list[Program], seconds: float) -> None:
    until = clock.now + seconds
    while clock.now < until:
        clock.now = watch.due
        for program in programs:
            program.pass_time()
        watch.look()


CASES: list[tuple[float, list[tuple[float, float]], list[str]]] = [
    (0.1, [(0.09, 0.04)], ["whole"]),
    (0.1, [(0.05, 0.02), (0.04, 0.02)], ["whole", "whole"]),
    (0.1, [(0.2, 0.05)], ["thinned"]),
    (0.1, [(2.0, 0.05)], ["thinned"]),
    (0.1, [(0.2, 0.15)], ["detached"]),
    (0.1, [(0.2, 0.05), (0.01, 0.01)], ["thinned", "whole"]),
    (0.1, [(0.9, 0.5), (0.01, 0.01)], ["detached", "whole"]),
    (0.1, [(0.08, 0.03), (0.06, 0.03)], ["thinned", "whole"]),
    (0.1, [(0.2, 0.08), (0.2, 0.08)], ["detached", "thinned"]),
    (0.0, [(5.0, 5.0)], ["whole"]),
]


@pytest.mark.parametrize(("limit", "shares", "expected"), CASES)
def test_the_costliest_is_thinned_then_detached_until_the_rest_fits(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    limit: float,
    shares: list[tuple[float, float]],
    expected: list[str],
) -> None:
    programs = [Program(clock, whole, counting) for whole, counting in shares]
    watch = watched(clock, limit, programs, monkeypatch)
    run(watch, clock, programs, 30)
    ended = ["detached" if not one.attached else "thinned" if one.thinned else "whole" for one in programs]
    assert ended == expected
    for index, state in enumerate(ended):
        keys, notes = watch.result(index, 30, 30)
        assert ("thinned_after_s" in keys) == (state != "whole")
        assert ("detached_after_s" in keys) == (state == "detached")
        assert len(notes) == {"whole": 0, "thinned": 1, "detached": 3}[state]


def test_thinning_changes_nothing_else_in_the_plan(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(clock, 1.0, 0.0)
    run(watched(clock, 0.1, [program], monkeypatch), clock, [program], 2)
    assert program.plan.head.flags == layout.FILTER_UID | layout.COUNT_ONLY
    assert (program.plan.head.uid, program.plan.record) == (7, 40)


@pytest.mark.parametrize(("share", "seconds"), [(0.15, 1.05), (0.5, 0.55)])
def test_one_burst_is_not_enough_but_a_storm_is_stopped_at_the_first_look_after_a_glance(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, share: float, seconds: float
) -> None:
    program = Program(clock, share, 0.0)
    run(watch := watched(clock, 0.1, [program], monkeypatch), clock, [program], 5)
    assert watch.result(0, 5, 5)[0]["thinned_after_s"] == seconds


def test_a_probe_whose_result_was_made_is_left_alone(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(clock, 0.9, 0.9)
    watch = watched(clock, 0.1, [program], monkeypatch)
    assert watch.result(0, 1, 10) == (
        {"cost": {"cpu_share": 0.0, "ns_per_run": 0, "runs_measured": 0, "measured_s": 0.0}},
        [],
    )
    run(watch, clock, [program], 5)
    assert not program.thinned


def test_what_the_kernel_measures_while_we_do_not_ask_is_not_ours(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(clock, 0.05, 0.05)  # goes on being measured, for somebody else
    watch = watched(clock, 0.1, [program], monkeypatch)
    run(watch, clock, [program], 30)
    measured = watch.result(0, 30, 30)[0]["cost"]
    assert 1.5 < measured["measured_s"] < 6
    assert measured["runs_measured"] == pytest.approx(measured["measured_s"] * 50_000, rel=0.01)
    assert measured["cpu_share"] == pytest.approx(0.05, rel=0.01)


def test_the_kernel_measures_no_longer_than_it_takes_to_see_that_nothing_is_amiss(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(clock, 0.05, 0.05)
    watch = watched(clock, 0.1, [program], monkeypatch)
    asked: list[float] = []
    monkeypatch.setattr(
        cost, "enable_statistics", lambda: (asked.append(clock.now), os.open(os.devnull, os.O_RDONLY))[1]
    )
    before = len(os.listdir("/proc/self/fd"))
    run(watch, clock, [program], 30)
    assert 45 < len(asked) < 90
    assert all(0.3 < later - earlier < 0.7 for earlier, later in zip(asked, asked[1:], strict=False))
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_where_the_kernel_no_longer_measures_what_programs_count_is_gone_by(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(clock, 0.05, 0.05)
    watch = watched(clock, 0.1, [program], monkeypatch)
    # A fifth of a CPU, by our account.
    monkeypatch.setattr(cost, "_events", lambda maps: int((clock.now - 1000) * 200_000))

    def refused() -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(cost, "enable_statistics", refused)
    run(watch, clock, [program], 5)
    keys, notes = watch.result(0, 5, 5)
    assert program.thinned
    assert keys["cost"] is None
    assert any("(Operation not permitted)" in note for note in notes)


def test_the_share_is_of_the_time_that_was_covered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(clock, 0.25, 0.25)
    watch = watched(clock, 1, [program], monkeypatch)
    run(watch, clock, [program], 8)
    keys, _notes = watch.result(0, 8, 8)
    assert keys["cost"]["cpu_share"] == pytest.approx(0.25)
    assert keys["cost"]["ns_per_run"] == pytest.approx(1000)


def test_the_default_limits_suit_the_host() -> None:
    assert cost.default_limit() > 0
    assert 64 << 20 <= memory.default_budget() <= 512 << 20


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(1, (48 + 24 + 16) * 1004 + 16 * 1024), (2, 16_000), (5, (48 + 24 + 8 + 64) * 1000 + 16 * 1024), (6, 72_000)],
)
def test_maps_are_reckoned_with_all_their_entries(kind: int, expected: int) -> None:
    assert memory.map_bytes(MapDefinition("m", kind, 20, 12, 1000, 0), cpus=4) == expected


def test_what_results_carry_is_plain_data(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(clock, 3.0, 2.0)
    watch = watched(clock, 0.5, [program], monkeypatch)
    run(watch, clock, [program], 5)
    keys, notes = watch.result(0, 2.0, 10)
    plain: dict[str, Any] = {"cost": dict, "thinned_after_s": float, "detached_after_s": float}
    assert {name: type(value) for name, value in keys.items()} == plain
    assert notes[0].startswith("Its programs took 300.0% of a CPU, and 50% is allowed: from 0.5 s on,")
    assert notes[2] == "So it was attached for 2.0 s of the 10 s: all that it counted is of that time."
