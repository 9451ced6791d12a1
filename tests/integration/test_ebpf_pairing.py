# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry and return of a system call belong together, whatever becomes of the thread in between; storms are counted."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

import pytest
from conftest import Trace, Workload, program

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import kernel, tracefs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.syscall_probe import SyscallProbe

Start = Callable[..., Workload]

_INTERRUPTED = """
import signal, threading
signal.signal(signal.SIGALRM, lambda *_: None)
for _ in range(5):
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    libc.{call}
"""
# How a call that a signal interrupts returns to the kernel's own code for signals; user space sees none of these.
_RESTARTS = {
    "read": ("read(os.pipe()[0], ctypes.create_string_buffer(1), 1)", "ERESTARTSYS"),
    "pause": ("pause()", "ERESTARTNOHAND"),
    "clock_nanosleep": ("sleep(10)", "ERESTART_RESTARTBLOCK"),
}
_FORKS = """
for _ in range(100):
    if os.fork() == 0: os._exit(0)
    os.wait()
"""
# The kernel looks for signals before it makes a child, and begins anew where there is one: here a timer is never still.
_HURRIED_FORKS = """
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
for _ in range(400):
    signal.setitimer(signal.ITIMER_REAL, 20e-6, 20e-6)
    child = os.fork()
    signal.setitimer(signal.ITIMER_REAL, 0)
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
"""
_EXECS = """
import threading
for _ in range(10):
    if os.fork() == 0:
        threading.Thread(target=os.execv, args=('/bin/true', ['true'])).start()
        time.sleep(30)
    os.wait()
"""
_DEATHS = """
import threading, signal
ready, say = os.pipe()
for _ in range(5):
    child = os.fork()
    if child == 0:
        ends = [os.pipe() for _ in range(20)]
        for end in ends: threading.Thread(target=os.read, args=(end[0], 1)).start()
        time.sleep(0.3)
        os.write(say, b'x')
        time.sleep(30)
    os.read(ready, 1)
    os.kill(child, signal.SIGKILL)
    os.wait()
here = os.open('/proc/version', os.O_RDONLY)
for _ in range(200):
    if os.fork() == 0:
        os.pread(here, 1, 0)
        os._exit(0)
    os.wait()
"""
# On one processor: a wakeup of a task on another processor is often made there, by whatever runs on it.
_WAKEUPS = """
import threading
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
ours, theirs = os.pipe(), os.pipe()
def answer():
    for _ in range(200000):
        os.read(ours[0], 1)
        os.write(theirs[1], b'x')
thread = threading.Thread(target=answer)
thread.start()
for _ in range(200000):
    os.write(ours[1], b'x')
    os.read(theirs[0], 1)
thread.join()
"""


@pytest.mark.parametrize("name", _RESTARTS)
def test_a_call_that_a_signal_interrupts_returns_as_the_kernel_has_it(trace: Trace, workload: Start, name: str) -> None:
    call, error = _RESTARTS[name]
    sleeper = workload(_INTERRUPTED.format(call=call), "sleeper")
    (result,) = trace([program(f"syscalls/sys_enter_{name}", pid=sleeper.pid)], sleeper.work)
    assert result["by_result"][error] == 5
    interrupted = [event["data"] for event in result["events"] if event["data"].get("error") == error]
    assert len(interrupted) == 5
    assert all(40_000 < data["duration_us"] < 1_000_000 for data in interrupted)


def test_a_fork_that_a_signal_makes_begin_anew_is_counted_each_time(trace: Trace, workload: Start) -> None:
    forker = workload(_HURRIED_FORKS, "hurried")
    (result,) = trace([program("syscalls/sys_enter_clone", pid=forker.pid)], forker.work)
    assert result["by_result"]["ok"] == 400
    assert result["by_result"]["ERESTARTNOINTR"] > 0
    assert sum(result["by_result"].values()) == result["event_count"]


def test_the_first_return_of_a_new_child_is_no_return_of_an_earlier_call(trace: Trace, workload: Start) -> None:
    forker = workload(_FORKS, "forker")
    entered, returned = trace(
        [program("syscalls/sys_enter_clone", comm="forker"), program("syscalls/sys_exit_clone", comm="forker")],
        forker.work,
    )
    assert (entered["event_count"], entered["by_result"], entered["in_flight"]["count"]) == (100, {"ok": 100}, 0)
    assert returned["event_count"] == 200  # of the parent, and of each child
    of_children = [event for event in returned["events"] if event["process_id"] != forker.pid]
    assert of_children
    assert all(event["data"]["result"] == 0 and "duration_us" not in event["data"] for event in of_children)


def test_an_exec_by_a_thread_that_is_not_the_leader_returns(trace: Trace, workload: Start) -> None:
    starter = workload(_EXECS, "starter")
    (result,) = trace([program("syscalls/sys_enter_execve", comm="starter")], starter.work)
    assert result["event_count"] == 10
    assert result["by_result"] == {"ok": 10}
    assert result["in_flight"]["count"] == 0
    for event in result["events"]:
        assert event["thread_id"] != event["process_id"]
        assert event["data"]["filename"] == "/bin/true"
        assert event["data"]["duration_us"] > 0


def test_a_thread_that_died_in_a_call_leaves_nothing_to_others(trace: Trace, workload: Start) -> None:
    killer = workload(_DEATHS, "killer")
    reads, others = trace(
        [program("syscalls/sys_enter_read", 6, comm="killer"), program("syscalls/sys_exit_pread64", 6, comm="killer")],
        killer.work,
    )
    assert reads["event_count"] >= 100  # of the threads that are killed
    # It waits for the next word itself; those that are dead wait for nothing.
    assert {event["process_id"] for event in reads["in_flight"]["events"]} <= {killer.pid}
    assert others["event_count"] == 200
    assert others["by_result"] == {"ok": 200}
    assert all(event["data"]["duration_us"] < 250_000 for event in others["events"])


_WAITS = """
import threading
ends = [os.pipe() for _ in range(20)]
threads = [threading.Thread(target=os.read, args=(end[0], 1)) for end in ends]
for thread in threads: thread.start()
time.sleep(0.5)
for end in ends: os.write(end[1], b'x')
for thread in threads: thread.join()
"""


def test_calls_that_there_is_no_room_for_are_told_and_a_count_without_them_is_not_exact(
    trace: Trace, workload: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyscallProbe, "sizes", lambda self: {"in_flight": 8})
    waiter = workload(_WAITS, "waiter")
    target = "syscalls/sys_enter_read"
    counted, judged = trace(
        [program(target, 3, pid=waiter.pid), program(target, 3, pid=waiter.pid, min_duration_us=100_000)], waiter.work
    )
    assert counted["event_count"] >= 20
    assert counted["exact"] is True
    assert any("their results are not known" in note for note in counted["notes"])
    assert judged["event_count"] < 20
    assert judged["exact"] is False
    assert any("beyond what there was room for: they are not counted" in note for note in judged["notes"])


def test_a_storm_of_wakeups_is_counted_while_every_system_call_is_traced(trace: Trace, workload: Start) -> None:
    stormy = workload(_WAKEUPS, "stormy")
    counted: list[int] = []

    def work() -> None:
        counter = _counter_of("sched", "sched_wakeup", stormy.pid)
        stormy.work()
        counted.append(struct.unpack("=Q", os.read(counter, 8))[0])
        os.close(counter)

    wakeups, calls = trace(
        [program("sched/sched_wakeup", pid=stormy.pid), program("syscalls/sys_enter_*", pid=stormy.pid)], work
    )
    assert counted[0] >= 100_000
    assert wakeups["event_count"] + wakeups["missed"] == counted[0]
    assert calls["by_syscall"]["read"] >= 400_000
    assert calls["by_syscall"]["write"] >= 400_000


def _counter_of(category: str, event: str, pid: int) -> int:
    """A counter of a tracepoint in a process and in the threads that it will start, as `perf stat -p` opens it."""
    form = tracefs.read_format(category, event)
    assert form is not None
    inherit = 1 << 1
    attributes = struct.pack("<IIQQQQQ", 2, 112, form.identifier, 0, 0, 0, inherit)
    fd = kernel._libc.syscall(kernel._numbers()[1], ctypes.create_string_buffer(attributes, 112), pid, -1, -1, 8)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return int(fd)
