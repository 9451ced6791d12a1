# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that take long, on this machine and on those of tests/kernels."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# How ansible is run is the same there, and machines are those of tests/kernels.
sys.path += [str(REPOSITORY / "tests" / name) for name in ["kernels", "integration", "faults"]]

import fixtures  # noqa: E402
import pytest  # noqa: E402
from fixtures import able, ansible, built, machine, pytest_generate_tests, set_up  # noqa: E402

__all__ = ["REPOSITORY", "able", "ansible", "built", "machine", "pytest_generate_tests", "set_up"]


def pytest_addoption(parser: pytest.Parser) -> None:
    fixtures.pytest_addoption(parser)
    parser.addoption("--rounds", type=int, default=1000, help="how many traces are killed")
    parser.addoption("--replies", type=int, default=1_000_000, help="how many arbitrary replies a model gives")
    parser.addoption("--processes", type=int, default=1, help="how many processes deal with arbitrary replies")
    parser.addoption("--seed", type=int, default=0, help="what arbitrary replies are drawn with; 0: the time")
