# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that can be killed, in every phase, with the model on either side; `integration/test_resume.py` has a few."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Host
from kills import KILLS, PHASES, Diagnoses, host_and_model, show_that_no_round_is_traced_twice
from stepping_model import SteppingModel

from playbooks import Ansible


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, SteppingModel]]:
    with host_and_model(tmp_path_factory.mktemp("hosts")) as made:
        yield made


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kill", KILLS)
def test_no_complete_round_is_traced_again_where_the_host_asks_the_model(
    built: Ansible, reached: tuple[Host, SteppingModel], tmp_path: Path, kill: str, phase: str
) -> None:
    show_that_no_round_is_traced_twice(Diagnoses(built, reached, tmp_path, "host"), kill, phase)


@pytest.mark.parametrize("phase", PHASES)
def test_no_complete_round_is_traced_again_where_the_controller_asks_the_model(
    built: Ansible, reached: tuple[Host, SteppingModel], tmp_path: Path, phase: str
) -> None:
    show_that_no_round_is_traced_twice(Diagnoses(built, reached, tmp_path, "controller"), "controller", phase)
