# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is asked for ends in a result or a sentence. tests/long does the same for much longer."""

from __future__ import annotations

import time
from typing import Any

from arbitrary_programs import judge, not_sentences, programs, valid_programs
from conftest import Trace
from hypothesis import HealthCheck, given, settings
from kernel_state import await_true, loaded_programs

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer


@given(programs)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_arbitrary_program_is_taken_or_refused_in_a_sentence(bundle: Bundle, program: Any) -> None:
    assert not_sentences(Tracer(bundle), program) == []


def test_programs_drawn_at_random_attach_and_leave_nothing(trace: Trace) -> None:
    seed = time.time_ns()
    print("seed", seed)
    before = loaded_programs()
    drawn = valid_programs(24, seed)
    for first in range(0, len(drawn), 8):
        for result in trace(drawn[first : first + 8], lambda: None):
            judge(result)
    await_true(lambda: loaded_programs() <= before)
    assert loaded_programs() <= before
