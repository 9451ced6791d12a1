# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command line may take of memory with all its processes, with real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import memory_use
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.execute import (
    Limits,
    LineExecutor,
    Outcome,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.launch import Unsandboxed
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.verdict import JudgedCommand, JudgedPipeline

MIB = 1 << 20
SECONDS = 15.0
_APART = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        kept = bytearray(b"x") * (60 << 20)
        time.sleep(4)
        os._exit(0)
for _ in range(3):
    os.wait()
"""
_SHARED = """
import mmap, os, time
kept = mmap.mmap(-1, 60 << 20)
for at in range(0, 60 << 20, 4096):
    kept[at] = 1
for _ in range(3):
    if os.fork() == 0:
        sum(kept[at] for at in range(0, 60 << 20, 4096))
        time.sleep(3)
        os._exit(0)
for _ in range(3):
    os.wait()
"""


def ran(code: str, mib: int) -> Outcome:
    python = JudgedCommand(["python3", "-I", "-S", "-c", code], [])
    executor = LineExecutor(Limits(SECONDS, memory_bytes=mib * MIB), lambda: False, Unsandboxed(), lambda path: None)
    return executor.run([JudgedPipeline(";", [python])])


@pytest.mark.parametrize("listed", [True, False], ids=["children", "by_parents"])
def test_processes_are_ended_that_take_too_much_together(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not listed:
        exists = os.path.exists
        monkeypatch.setattr(
            memory_use.os.path, "exists", lambda path: not str(path).endswith("/children") and exists(path)
        )
    outcome = ran(_APART, 120)
    assert outcome.error is not None
    assert "more than 120 MiB of memory in all" in outcome.error
    assert outcome.exit_code != 0
    assert not outcome.timed_out


def test_what_processes_share_counts_once() -> None:
    outcome = ran(_SHARED, 120)
    assert (outcome.error, outcome.exit_code) == (None, 0)


def test_a_process_that_keeps_within_the_limit_is_left_alone() -> None:
    outcome = ran(_APART, 600)
    assert (outcome.error, outcome.exit_code) == (None, 0)


def test_grandchildren_are_found_and_counted() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as started:
        try:
            while len(found := memory_use.descendants([started.pid])) < 2:
                assert started.poll() is None
            assert {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in found} >= {
                started.pid
            }
        finally:
            started.communicate(b"\n")


def test_the_limit_of_a_host_is_a_part_of_its_memory() -> None:
    assert memory_use.LEAST_BYTES <= memory_use.most_for_host() <= memory_use.MOST_BYTES
