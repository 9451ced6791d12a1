# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tracing is given is what was measured on kernels, no more and no less; and the page shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.needs import KEPT, NEEDS, TRACING, Need

ROOT = Path(__file__).resolve().parents[2]
MEASURED = {path.stem: json.loads(path.read_text()) for path in (ROOT / "tests/privileges/measured").glob("*.json")}
# Seen only where nothing is traced by it, and not done by a trace.
NOT_DONE = {"see the namespaces of another user's process", "create a map beyond the limit for locked memory"}
# Debian's patch; other kernels let PERFMON override every value.
PATCHED = {"5.10", "6.1", "6.12", "7.2"}


def found(kernel: str, paranoid: int) -> dict[str, Any]:
    """What was measured of each thing that works on the kernel, with that value of perf_event_paranoid."""
    by_settings = MEASURED[kernel]["measured"].items()
    measured = next(ways for settings, ways in by_settings if settings.startswith(f"perf_event_paranoid {paranoid},"))
    return {name: way for name, way in measured.items() if way["works"]}


def test_kernels_of_the_matrix_were_measured() -> None:
    assert PATCHED | {"6.18"} == set(MEASURED)


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.what)
def test_a_need_is_what_was_measured_on_every_kernel(need: Need) -> None:
    seen = 0
    for kernel in MEASURED:
        if need.paranoid > 2 and kernel not in PATCHED:
            continue
        ways = found(kernel, need.paranoid)
        taken = [set(ways[name]["needs"]) for name in need.measured if name in ways]
        assert set().union(*taken) <= set(need.capabilities), kernel
        seen += bool(taken) and set().union(*taken) == set(need.capabilities)
    assert seen, "no kernel needs all of it"


@pytest.mark.parametrize("kernel", sorted(MEASURED))
def test_nothing_that_was_measured_is_left_out(kernel: str) -> None:
    named = {name for need in NEEDS for name in need.measured}
    assert set(found(kernel, 2)) <= named | NOT_DONE


def test_the_tracing_process_keeps_nothing_as_good_as_root() -> None:
    assert set(TRACING) == {name for need in NEEDS if need.how == KEPT for name in need.capabilities}
    assert not {"SYS_ADMIN", "SYS_PTRACE", "DAC_OVERRIDE", "SETUID", "SYS_MODULE", "SETPCAP"} & set(TRACING)


def test_the_page_shows_them() -> None:
    page = (ROOT / "docs/privileges.md").read_text()
    for need in NEEDS:
        assert row(need) in page, row(need)


def row(need: Need) -> str:
    """A line of the page's table."""
    capabilities = ", ".join(f"`{name}`" for name in need.capabilities) or "none"
    return f"| {need.what} | {capabilities} | {need.how} | {need.why} |"
