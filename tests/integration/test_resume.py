# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is killed in whatever phase, `resume` ends the diagnosis, and no complete round is traced twice.

The kernel says when each program was loaded. `tests/long/test_kills.py` has all phases.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Host
from kills import Diagnoses, host_and_model, show_that_no_round_is_traced_twice
from stepping_model import SteppingModel

from playbooks import Ansible


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, SteppingModel]]:
    with host_and_model(tmp_path_factory.mktemp("hosts")) as made:
        yield made


@pytest.mark.parametrize(
    ("kill", "phase"), [("module", "resolution pending"), ("controller", "model asked"), ("connection", "tracing")]
)
def test_a_killed_diagnosis_is_gone_on_with_and_no_complete_round_is_traced_again(
    ansible: Ansible, reached: tuple[Host, SteppingModel], tmp_path: Path, kill: str, phase: str
) -> None:
    show_that_no_round_is_traced_twice(Diagnoses(ansible, reached, tmp_path, "host"), kill, phase)
