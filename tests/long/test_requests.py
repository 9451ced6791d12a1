# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred thousand programs that are only looked at, and a thousand that are attached, on this machine's kernel."""

from __future__ import annotations

import time
from typing import Any

from arbitrary_programs import judge, not_sentences, programs, valid_programs
from conftest import REPOSITORY
from hypothesis import HealthCheck, given, settings
from kernel_state import await_true, loaded_programs

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer

TRACER = Tracer(Bundle.from_directory(REPOSITORY / "bpf"), limits=TraceLimits(cpu_share=0))
ATTACHED, AT_ONCE = 1000, 8


@given(programs)
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_a_hundred_thousand_arbitrary_programs_are_taken_or_refused_in_a_sentence(program: Any) -> None:
    assert not_sentences(TRACER, program) == []


def test_a_thousand_programs_drawn_at_random_attach_and_end() -> None:
    seed = time.time_ns()
    print("seed", seed)
    before = loaded_programs()
    drawn = valid_programs(ATTACHED, seed)
    traced, slowest = 0, 0.0
    for first in range(0, ATTACHED, AT_ONCE):
        began = time.monotonic()
        results = TRACER.run(drawn[first : first + AT_ONCE])
        slowest = max(slowest, time.monotonic() - began)
        for result in results.values():
            judge(result)
            traced += "error" not in result
    TRACER.close()
    await_true(lambda: loaded_programs() <= before)
    print(f"{traced} of {ATTACHED} were traced; the slowest round took {slowest:.1f} s")
    assert traced > ATTACHED * 0.9
