# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on machines; see fixtures.py."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# How ansible is run is the same there.
sys.path += [str(REPOSITORY / "tests" / name) for name in ["integration"]]

from fixtures import able, ansible, built, machine, pytest_addoption, pytest_generate_tests, set_up  # noqa: E402

__all__ = ["REPOSITORY", "able", "ansible", "built", "machine", "pytest_addoption", "pytest_generate_tests", "set_up"]
