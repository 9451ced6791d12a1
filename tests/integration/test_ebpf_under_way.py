# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the threads are whose calls seem to be under way: in them, elsewhere, or nobody knows."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernel_state import await_true

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import layout, under_way
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.borrowing import borrow_from
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel import Map, MapDefinition
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.lending import lend
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import messages
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.apart import Apart

HASH = 1  # BPF_MAP_TYPE_HASH (include/uapi/linux/bpf.h)


@pytest.fixture
def waiting() -> Iterator[int]:
    """A process that waits in read(2), of a pipe."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        await_true(lambda: "pipe_read" in Path(f"/proc/{process.pid}/stack").read_text())
        yield process.pid


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that runs."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        await_true(lambda: Path(f"/proc/{process.pid}/syscall").read_text() == "running\n")
        yield process.pid
        process.kill()


def call(pid: int, number: int = 0, began: int = 1) -> layout.Call:
    return layout.Call(pid_tgid=pid << 32 | pid, thread=pid << 32 | pid, number=number, timestamp=began)


def number_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/syscall").read_text().split()[0])


def test_a_thread_that_waits_is_in_its_function_and_in_no_other(waiting: int) -> None:
    assert under_way.is_in_function(call(waiting), "vfs_read") is True
    assert under_way.is_in_function(call(waiting), "vfs_write") is False
    assert under_way.is_in_function(call(waiting), "vfs_rea") is False


def test_a_thread_that_waits_is_in_its_system_call_and_in_no_other(waiting: int) -> None:
    assert under_way.is_in_syscall(call(waiting, number_of(waiting))) is True
    assert under_way.is_in_syscall(call(waiting, number_of(waiting) + 1)) is False


def test_of_a_thread_that_runs_nothing_is_known(busy: int) -> None:
    assert under_way.is_in_function(call(busy), "vfs_read") is None
    assert under_way.is_in_syscall(call(busy)) is None


def test_of_an_idle_thread_and_one_that_is_gone_nothing_is_known() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    for pid in (0, gone.pid):
        assert under_way.is_in_function(call(pid), "vfs_read") is None
        assert under_way.is_in_syscall(call(pid)) is None


def test_where_stacks_are_not_shown_nothing_is_known(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: str, _process: int, _thread: int) -> int:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(under_way, "open_of_thread", refuse)
    assert under_way.is_in_function(call(waiting), "vfs_write") is None


def test_calls_that_are_over_are_told_by_their_place_and_their_time(waiting: int, busy: int) -> None:
    size = struct.calcsize("=Q")
    pending = Map(MapDefinition("pending", HASH, size, ctypes.sizeof(layout.Call), 8, 0))
    try:
        for place, one in enumerate((call(waiting, began=5), call(busy, began=6))):
            pending.update(struct.pack("=Q", place), bytes(one))
        over = under_way.over(pending, lambda one: under_way.is_in_function(one, "vfs_write"), needs_proof=False)
        assert over == {(struct.pack("=Q", 0), 5)}
        assert (
            under_way.over(pending, lambda one: under_way.is_in_function(one, "vfs_read"), needs_proof=False) == set()
        )
    finally:
        pending.close()


def test_a_function_that_no_stack_shows_proves_nothing_and_one_that_another_shows_does(waiting: int) -> None:
    size = struct.calcsize("=Q")
    with subprocess.Popen(["sleep", "60"]) as elsewhere:
        await_true(lambda: Path(f"/proc/{elsewhere.pid}/wchan").read_text() == "hrtimer_nanosleep")
        pending = Map(MapDefinition("pending", HASH, size, ctypes.sizeof(layout.Call), 8, 0))
        try:
            for place, one in enumerate((call(waiting, began=5), call(elsewhere.pid, began=6))):
                pending.update(struct.pack("=Q", place), bytes(one))
            # Both wait in it, and the kernel leaves it out of what it shows.
            scheduler = under_way.over(pending, lambda one: under_way.is_in_function(one, "schedule"), needs_proof=True)
            assert scheduler == set()
            read = under_way.over(pending, lambda one: under_way.is_in_function(one, "vfs_read"), needs_proof=True)
            assert read == {(struct.pack("=Q", 1), 6)}
        finally:
            pending.close()
            elsewhere.kill()


def test_where_a_thread_waits_is_told_to_a_process_that_may_not_see_it(waiting: int) -> None:
    borrowed: list[messages.Borrowing] = []

    def looks(asked: dict[str, Any], _progress: Any) -> list[Any]:
        borrow_from(None)
        own = under_way.is_in_function(call(asked["pid"]), "vfs_read")
        borrow_from(borrowed[0])
        theirs = call(asked["pid"], asked["number"])
        return [own, under_way.is_in_function(theirs, "vfs_read"), under_way.is_in_syscall(theirs)]

    apart = Apart("of-this-test", {"look": looks}, user=65534, keep=(), lend=lend, borrow=borrowed.append)
    try:
        assert apart.call("look", {"pid": waiting, "number": number_of(waiting)}) == [None, True, True]
        assert apart.call("look", {"pid": waiting, "number": number_of(waiting) + 1}) == [None, True, False]
    finally:
        apart.close()
