# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is traced is what happened: workloads that make a known number of calls, counted by the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Trace, Workload, program

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import kernel, layout, tracefs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import Object

Start = Callable[..., Workload]
OPENS = "for _ in range(10000): os.close(os.open('/etc/hosts', 0))"


def test_ten_thousand_opens_are_ten_thousand(trace: Trace, workload: Start) -> None:
    opener = workload(OPENS, "opener")
    begun = time.time_ns()
    (result,) = trace([program("syscalls/sys_enter_openat", pid=opener.pid)], opener.work)
    assert result["event_count"] == 10000
    assert result["exact"] is True
    assert result["by_process"] == [{"process_id": opener.pid, "process_name": "opener", "count": 10000, "errors": 0}]
    assert result["by_result"] == {"ok": 10000}
    assert len(result["events"]) == 50
    assert result["events_not_carried"] == 9950
    for event in result["events"]:
        assert (event["process_id"], event["process_name"], event["event_type"]) == (
            opener.pid,
            "opener",
            "sys_enter_openat",
        )
        assert begun < event["timestamp"] < time.time_ns()
        assert event["data"]["filename"] == "/etc/hosts"
        assert event["data"]["result"] >= 3


def test_a_filter_on_another_process_counts_nothing(trace: Trace, workload: Start) -> None:
    opener = workload(OPENS, "opener")
    (result,) = trace([program("syscalls/sys_enter_openat", comm="nobody")], opener.work)
    assert (result["event_count"], result["events"], result["by_process"]) == (0, [], [])


def test_filters_by_name_prefix_and_user_count_the_same(trace: Trace, workload: Start) -> None:
    opener = workload(f"os.setuid(65534)\n{OPENS}", "filtered-one")
    target = "syscalls/sys_enter_openat"
    results = trace(
        [
            program(target, comm="filtered-one"),
            program(target, comm="filtered-*"),
            program(target, uid=65534, comm="filtered*"),
            program(target, comm="filtered-on"),
        ],
        opener.work,
    )
    assert [result["event_count"] for result in results] == [10000, 10000, 10000, 0]


def test_three_million_calls_are_counted_while_three_other_programs_run(trace: Trace, workload: Start) -> None:
    caller = workload("for _ in range(3000000): os.getppid()", "caller")
    results = trace(
        [
            program("syscalls/sys_enter_getppid", 20, pid=caller.pid),
            program("syscalls/sys_enter_*", 20, pid=caller.pid),
            program("sched/sched_switch", 20),
            program("raw_syscalls/sys_exit", 20, comm="caller"),
        ],
        caller.work,
    )
    assert results[0]["event_count"] == 3_000_000
    assert results[0]["exact"] is True
    assert len(results[0]["events"]) == 50
    assert results[0]["events_not_carried"] == 2_999_950
    assert results[1]["by_syscall"]["getppid"] == 3_000_000
    assert results[3]["by_syscall"]["getppid"] == 3_000_000


def test_a_refused_connection_has_its_destination_and_error(trace: Trace, workload: Start) -> None:
    body = "for _ in range(20): socket.socket().connect_ex(('127.0.0.1', 1)); socket.socket(10).connect_ex(('::1', 1))"
    client = workload(body, "client")
    connects, states = trace(
        [program("syscalls/sys_enter_connect", pid=client.pid), program("sock/inet_sock_set_state", pid=client.pid)],
        client.work,
    )
    assert connects["event_count"] == 40
    assert connects["by_result"] == {"ECONNREFUSED": 40}
    failures = {(entry["key"], entry["process_name"], entry["count"]) for entry in connects["failures"]}
    assert failures == {("127.0.0.1:1", "client", 20), ("[::1]:1", "client", 20)}
    assert {event["data"]["destination"] for event in connects["events"]} == {"127.0.0.1:1", "[::1]:1"}
    assert all(event["data"]["duration_us"] > 0 for event in connects["events"])
    assert states["event_count"] == 80
    opened = [event["data"] for event in states["events"] if event["data"]["newstate"] == "TCP_SYN_SENT"]
    assert {data["destination"] for data in opened} == {"127.0.0.1:1", "[::1]:1"}


def test_a_path_of_a_socket_is_one_key_whatever_follows_it_in_memory(trace: Trace, workload: Start) -> None:
    body = """
for n in range(40):
    raw = (b'\\1\\0/nonexistent/socket\\0' + bytes([n + 1]) * 100)[:110]
    libc.connect(socket.socket(socket.AF_UNIX).fileno(), raw, 110)
socket.socket(socket.AF_UNIX).connect_ex('\\0nonexistent-abstract')
"""
    client = workload(body, "client")
    (result,) = trace([program("syscalls/sys_enter_connect", pid=client.pid)], client.work)
    failures = {(entry["key"], entry["process_name"]): entry["count"] for entry in result["failures"]}
    assert failures == {("/nonexistent/socket", "client"): 40, ("@nonexistent-abstract", "client"): 1}


def test_an_address_that_the_kernel_did_not_fill_in_is_not_told(trace: Trace, workload: Start) -> None:
    body = """
receiver, sender = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
receiver.bind(('127.0.0.1', 0))
receiver.setblocking(False)
buffer, address, length = ctypes.create_string_buffer(64), ctypes.create_string_buffer(16), ctypes.c_uint32(16)
def receive():
    return libc.recvfrom(receiver.fileno(), buffer, 64, 0, address, ctypes.byref(length))
sender.sendto(b'x', receiver.getsockname())
while receive() < 0: pass
for _ in range(20): receive()
"""
    client = workload(body, "client")
    (result,) = trace([program("syscalls/sys_enter_recvfrom", pid=client.pid)], client.work)
    assert result["by_result"]["ok"] == 1
    assert {entry["key"] for entry in result["failures"]} == {""}
    for event in result["events"]:
        received = event["data"].get("result") == 1
        assert (event["data"]["source"] is not None) == received


# A 32-bit program that makes the call 257 (remap_file_pages there, openat in 64 bits) 55 times and exits.
CALLS_OF_32_BITS = bytes.fromhex("bd37000000b80101000031db31c931d231f631ffcd804d75ecb80100000031dbcd80")


def test_calls_of_32_bit_programs_are_not_taken_for_others(trace: Trace, tmp_path: Path) -> None:
    header = struct.pack(
        "<4s5B7xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 0, 2, 3, 1, 0x08048054, 52, 0, 0, 52, 32, 1, 0, 0, 0
    )
    size = 84 + len(CALLS_OF_32_BITS)
    segment = struct.pack("<IIIIIIII", 1, 0, 0x08048000, 0x08048000, size, size, 5, 0x1000)
    path = tmp_path / "calls32"
    path.write_bytes(header + segment + CALLS_OF_32_BITS)
    path.chmod(0o755)
    try:
        subprocess.run([path], check=True)
    except OSError:
        pytest.skip("this kernel runs no 32-bit programs, so there are no calls to mistake")
    targets = ("syscalls/sys_enter_openat", "syscalls/sys_exit_openat")
    results = trace([program(target, comm="calls32") for target in targets], lambda: subprocess.run([path], check=True))
    assert [result["event_count"] for result in results] == [0, 0]
    assert any("32-bit programs ran" in note for note in results[0]["notes"])


def test_paths_are_read_however_they_lie_in_memory(trace: Trace, workload: Start, tmp_path: Path) -> None:
    long_name = tmp_path / ("d" * 100) / ("f" * 100)
    page = tmp_path / "page"
    page.write_bytes(b"/never/paged/in\0".ljust(4096, b"\0"))
    body = f"""
f = open({str(page)!r}, 'rb')
os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
a = libc.mmap(None, 4096, 1, 2, f.fileno(), 0)
libc.open(ctypes.c_void_p(a), 0)
libc.open(ctypes.c_void_p(4096), 0)
libc.open({str(long_name)!r}.encode(), 0)
"""
    opener = workload(body, "opener")
    (result,) = trace([program("syscalls/sys_enter_openat", pid=opener.pid)], opener.work)
    shown = {
        event["data"]["filename"]: event["data"]["error"] for event in result["events"] if "error" in event["data"]
    }
    assert shown["/never/paged/in"] == "ENOENT"
    assert shown["(unreadable: EFAULT)"] == "EFAULT"
    assert shown[str(long_name)[:159] + "…"] == "ENOENT"


def test_a_call_that_has_not_returned_is_in_flight(trace: Trace, workload: Start) -> None:
    waiter = workload("time.sleep(60)", "waiter")
    (result,) = trace(
        [program("syscalls/sys_enter_clock_nanosleep", 1, pid=waiter.pid)], lambda: (waiter.start(), time.sleep(0.5))
    )
    assert result["event_count"] == 1
    assert result["in_flight"]["count"] == 1
    (pending,) = result["in_flight"]["events"]
    assert pending["process_id"] == waiter.pid
    assert pending["data"]["elapsed_us"] > 400_000
    assert "result" not in pending["data"]


def test_returns_are_counted_also_of_calls_that_began_before(trace: Trace, workload: Start) -> None:
    sleeper = workload("time.sleep(1.5)", "sleeper")
    sleeper.start()
    time.sleep(0.3)
    (result,) = trace([program("syscalls/sys_exit_clock_nanosleep", 3, pid=sleeper.pid)], lambda: None)
    assert result["event_count"] == 1
    assert result["events"][0]["data"]["result"] == 0
    assert "not known" in result["events"][0]["data"]["note"]


def test_few_failures_and_the_slowest_survive_a_million_calls(trace: Trace, workload: Start) -> None:
    body = """
os.mkfifo('/tmp/nannyapi-test-fifo-%d' % os.getpid())
name = '/tmp/nannyapi-test-fifo-%d' % os.getpid()
for n in range(1000000):
    fd = os.open('/dev/null', 0); os.close(fd)
    if n in (250000, 500000, 750000):
        try: os.open('/nonexistent-%d' % n, 0)
        except OSError: pass
    if n == 600000:
        if os.fork() == 0:
            time.sleep(0.2); os.open(name, 1); os._exit(0)
        os.close(os.open(name, 0))
os.unlink(name)
"""
    opener = workload(body, "opener")
    (result,) = trace([program("syscalls/sys_enter_openat", 8, pid=opener.pid)], opener.work)
    assert result["event_count"] == 1_000_004
    carried = [event["data"] for event in result["events"]]
    assert {data["filename"] for data in carried if "error" in data} == {
        f"/nonexistent-{n}" for n in (250000, 500000, 750000)
    }
    slowest = max(carried, key=lambda data: data["duration_us"])
    assert "fifo" in slowest["filename"]
    assert slowest["duration_us"] > 150_000


# A ring, and a request for nothing by it (io_uring_setup, io_uring_enter; include/uapi/linux/io_uring.h).
RING = """
import mmap, struct
told = ctypes.create_string_buffer(120)
ring = libc.syscall(425, 8, told)
tail, array = struct.unpack_from('=I', told, 44)[0], struct.unpack_from('=I', told, 64)[0]
queue = mmap.mmap(ring, array + 32, offset=0)
entries = mmap.mmap(ring, 8 * 64, offset=0x10000000)
struct.pack_into('=I', queue, array, 0)
struct.pack_into('=I', queue, tail, 1)
assert libc.syscall(426, ring, 1, 1, 1, 0, 0) == 1
"""


@pytest.mark.skipif(
    Path("/proc/sys/kernel/io_uring_disabled").exists()
    and Path("/proc/sys/kernel/io_uring_disabled").read_text().strip() == "2",
    reason="nobody can use io_uring on this host (kernel.io_uring_disabled = 2)",
)
def test_what_io_uring_does_is_said_to_be_beyond_a_system_call(trace: Trace, workload: Start) -> None:
    user = workload(RING, "ringer")
    read, slept = trace(
        [
            program("syscalls/sys_enter_read", 1, pid=user.pid),
            program("syscalls/sys_enter_clock_nanosleep", 1, pid=user.pid),
        ],
        user.work,
    )
    assert any("io_uring" in note for note in read["notes"])
    assert not any("io_uring" in note for note in slept["notes"])


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[str]:
    """A disk that can be read, and on which there is no room for what is written to it."""
    room = tmp_path / "room"
    room.mkdir()
    run = functools.partial(subprocess.run, check=True, capture_output=True, text=True)
    run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(room)])
    try:
        with open(room / "disk", "wb") as disk:
            disk.truncate(1 << 24)
        with contextlib.suppress(OSError), open(room / "rest", "wb", 0) as rest:
            while rest.write(b"x" * 4096):
                pass
        device = run(["losetup", "--find", "--show", str(room / "disk")]).stdout.strip()
        yield device
        run(["losetup", "--detach", device])
    finally:
        subprocess.run(["umount", "--lazy", str(room)], check=False)


def test_few_requests_to_a_disk_that_fail_survive_many_that_do_not(
    trace: Trace, workload: Start, full_disk: str
) -> None:
    body = f"""
import mmap
disk = os.open({full_disk!r}, os.O_RDWR | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
for n in range(20000):
    os.preadv(disk, [page], n % 4096 * 4096)
    if n in (5000, 10000, 15000):
        try: os.pwrite(disk, page, n % 4096 * 4096)
        except OSError: pass
"""
    reader = workload(body, "reader")
    (result,) = trace([program("block/block_rq_complete", 8)], reader.work)
    assert result["event_count"] >= 20_003
    assert result["events_not_carried"] > 10_000
    failed = [event["data"] for event in result["events"] if event["data"]["error"] != 0]
    assert [(data["error"], data["operation"], data["device"]) for data in failed] == [
        ("ENOSPC", "write", Path(full_disk).name)
    ] * 3
    assert result["failed_events"] == 3
    assert "3 of them tell of a failure." in result["summary"]


CALLS = """
for n in range(1000):
    os.close(os.open('/dev/null', 0))
    if n % 100 == 0: os.access('/x', 0); libc.open(b'/nonexistent', 0)
for n in range(5): time.sleep(0.05)
for n in range(50): time.sleep(0)
"""


def test_results_can_be_filtered_for_in_the_kernel(trace: Trace, workload: Start) -> None:
    caller = workload(CALLS, "caller")
    failed, opened, slow, slept = trace(
        [
            program("syscalls/sys_enter_openat", 3, pid=caller.pid, errors_only=True),
            program("syscalls/sys_enter_openat", 3, pid=caller.pid),
            program("syscalls/sys_enter_clock_nanosleep", 3, pid=caller.pid, min_duration_us=40_000),
            program("syscalls/sys_enter_clock_nanosleep", 3, pid=caller.pid),
        ],
        caller.work,
    )
    assert (failed["event_count"], failed["by_result"]) == (10, {"ENOENT": 10})
    assert failed["by_key"] == [{"key": "/nonexistent", "count": 10}]
    assert all(event["data"]["error"] == "ENOENT" for event in failed["events"])
    assert opened["event_count"] == 1010
    assert opened["by_key"] == [{"key": "/dev/null", "count": 1000}, {"key": "/nonexistent", "count": 10}]
    assert opened["by_key_other"] == 0
    assert (slow["event_count"], slept["event_count"]) == (5, 55)
    assert all(event["data"]["duration_us"] >= 40_000 for event in slow["events"])
    assert 50_000 <= slept["latency_us"]["max"] < 1_000_000
    assert slept["latency_us"]["p50"] < 40_000 < slept["latency_us"]["p95"]
    assert sum(slept["latency_us"]["histogram"].values()) == 55


def test_what_never_returns_is_no_event_where_returns_are_counted(trace: Trace, workload: Start) -> None:
    ender = workload("for _ in range(20):\n if os.fork() == 0: os._exit(0)\n os.wait()", "ender")
    entered, left, returned, failed = trace(
        [
            program("syscalls/sys_enter_exit_group", 3, comm="ender"),
            program("syscalls/sys_exit_exit_group", 3, comm="ender"),
            program("raw_syscalls/sys_exit", 3, comm="ender"),
            program("syscalls/sys_enter_*", 3, comm="ender", errors_only=True),
        ],
        ender.work,
    )
    assert (entered["event_count"], len(entered["events"]), entered["events_not_carried"]) == (20, 20, 0)
    for event in entered["events"]:
        assert event["data"] == {"error_code": 0}  # neither a result nor a duration
    assert (left["event_count"], left["events"]) == (0, [])
    assert any("No call of exit_group returns" in note for note in left["notes"])
    assert returned["event_count"] > 20
    for result in (returned, failed):
        assert "exit_group" not in result["by_syscall"]
        assert not [event for event in result["events"] if event["event_type"].endswith("exit_group")]
        assert len(result["events"]) + result["events_not_carried"] == result["event_count"]


def test_paths_and_addresses_are_each_shown_as_what_they_are(trace: Trace, workload: Start) -> None:
    body = """
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen()
for _ in range(3):
    client = socket.socket()
    client.bind(('127.0.0.1', 0))
    client.connect(server.getsockname())
    server.accept()
    libc.access(b'/nonexistent', 0)
libc.access(b'(', 0)
"""
    caller = workload(body, "caller")
    (result,) = trace([program("syscalls/sys_enter_acc*", pid=caller.pid)], caller.work)
    assert result["by_syscall"] == {"access": 4, "accept4": 3}
    keys = {entry["key"]: entry["count"] for entry in result["by_key"]}
    assert (keys.pop("/nonexistent"), keys.pop("(")) == (3, 1)
    assert len(keys) == 3
    assert all(key.startswith("127.0.0.1:") for key in keys)


def test_filters_on_results_are_refused_where_there_are_none(trace: Trace) -> None:
    (result,) = results_of(trace, program("sched/sched_switch", 1, errors_only=True))
    assert "are for what returns" in result["error"]


def test_what_the_diagnosis_causes_is_counted_apart(trace: Trace, workload: Start) -> None:
    opener = workload(f"if os.fork() == 0:\n {OPENS}\n os._exit(0)\nos.wait()\n{OPENS}", "opener")
    (result,) = trace([program("syscalls/sys_enter_openat", 3, comm="opener")], opener.work, own=(opener.pid,))
    assert result["event_count"] == 0
    assert result["own_events"] == 20000
    assert result["events"] == []


def test_counts_by_process_add_up_to_the_count(trace: Trace, workload: Start) -> None:
    opener = workload("for _ in range(50): os.spawnlp(os.P_WAIT, 'true', 'true')", "spawner")
    *results, exits = trace(
        [
            program("syscalls/sys_enter_*", 3),
            program("sched/sched_process_exit", 3),
            program("syscalls/sys_enter_execve", 3),
            program("sched/sched_process_exit", 3, comm="true"),
        ],
        opener.work,
    )
    for result in results:
        counted = sum(entry["count"] for entry in result["by_process"]) + result["by_process_other"]
        assert counted == result["event_count"] > 0
    assert sum(results[0]["by_syscall"].values()) == results[0]["event_count"]
    assert exits["event_count"] == len(exits["by_process"]) == 50
    executed = [event["data"] for event in results[2]["events"] if event["data"].get("filename", "").endswith("/true")]
    assert executed


def test_tracepoints_drawn_at_random_are_attached_counted_and_decoded(trace: Trace) -> None:
    seed = time.time_ns()
    print("seed", seed)
    drawn = random.Random(seed)
    listed = [name for name in tracefs.events() if not name.startswith(("ftrace/", "syscalls/"))]
    fired = 0
    for _attempt in range(12):
        targets = drawn.sample(listed, 8)
        results = trace([program(target, 1) for target in targets], lambda: subprocess.run(["sync"], check=True))
        for target, result in zip(targets, results):
            assert "error" not in result, result
            known = {field.name for field in tracefs.read_format(*target.split("/")).fields}
            if result["events"]:
                fired += 1
                derived = {"source", "destination", "device", "operation"}
                assert set(result["events"][0]["data"]) - derived <= known
                assert result["event_count"] >= len(result["events"])
        if fired:
            return
    raise AssertionError(f"none of 96 tracepoints fired (seed {seed})")


def test_tracing_does_not_change_what_others_measure(trace: Trace, workload: Start) -> None:
    form = tracefs.read_format("sched", "sched_process_exit")
    counter = _count_with_perf(form.identifier)
    spawner = workload("for _ in range(20): os.spawnlp(os.P_WAIT, 'true', 'true')", "spawner")
    trace([program("sched/sched_process_exit", 2)], spawner.work, own=(spawner.pid,))
    seen = sum(struct.unpack("=Q", os.read(fd, 8))[0] for fd in counter)
    for fd in counter:
        os.close(fd)
    assert seen >= 20


def _count_with_perf(identifier: int) -> list[int]:
    """Descriptors of a tracepoint's counters, one for each CPU, as `perf stat` opens them."""
    opened = []
    for cpu in sorted(os.sched_getaffinity(0)):
        attributes = ctypes.create_string_buffer(struct.pack("<IIQ", 2, 112, identifier), 112)
        fd = kernel._libc.syscall(kernel._numbers()[1], attributes, -1, cpu, -1, 0)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        opened.append(fd)
    return opened


def test_the_structures_are_as_large_as_the_compiled_maps_say(objects: dict[str, Object]) -> None:
    sizes = {
        ("syscall.c", "sample"): layout.SyscallEvent,
        ("syscall.c", "in_flight"): layout.SyscallEvent,
        ("syscall.c", "wanted"): layout.WantedSyscall,
        ("syscall.c", "plan"): layout.SyscallPlan,
        ("syscall.c", "failures"): layout.FailureCount,
        ("syscall.c", "cursors"): layout.Cursor,
        ("syscall.c", "by_process"): layout.ProcessCount,
        ("tracepoint.c", "sample"): layout.TracepointEvent,
        ("tracepoint.c", "plan"): layout.TracepointPlan,
        ("raw_counter.c", "plan"): layout.PlanHead,
        ("function.c", "plan"): layout.FunctionPlan,
        ("function.c", "sample"): layout.FunctionEvent,
        ("function.c", "in_flight"): layout.FunctionEvent,
        ("function.c", "labels"): layout.Text,
    }
    for (source, name), structure in sizes.items():
        definition = next(one for one in objects[source].maps if one.name == name)
        assert definition.value_size == ctypes.sizeof(structure), (source, name)
    keys = {one.name: one.key_size for one in objects["syscall.c"].maps}
    assert keys["failures"] == ctypes.sizeof(layout.Failure) + layout.KEY_BYTES
    assert keys["by_key"] == layout.KEY_BYTES
    of_tracepoints = {one.name: one.key_size for one in objects["tracepoint.c"].maps}
    assert of_tracepoints["by_key"] == layout.TRACEPOINT_KEY_BYTES
    of_functions = {one.name: one.key_size for one in objects["function.c"].maps}
    assert of_functions["by_key"] == layout.FUNCTION_KEY_BYTES
    assert keys["by_process"] == ctypes.sizeof(layout.ProcessKey)


def test_where_no_event_is_to_be_carried_results_are_filtered_for_all_the_same(trace: Trace, workload: Start) -> None:
    caller = workload(CALLS, "caller")
    failed, slow = trace(
        [
            program("syscalls/sys_enter_openat", 3, pid=caller.pid, errors_only=True),
            program("syscalls/sys_enter_clock_nanosleep", 3, pid=caller.pid, min_duration_us=40_000),
        ],
        caller.work,
        events=0,
    )
    assert (failed["event_count"], failed["in_flight"]["count"]) == (10, 0)
    assert (slow["event_count"], slow["in_flight"]["count"]) == (5, 0)


def test_where_no_event_is_to_be_carried_there_are_only_counts(trace: Trace, workload: Start) -> None:
    opener = workload(OPENS, "opener")
    requests = [program("syscalls/sys_enter_openat", pid=opener.pid), program("sched/sched_switch")]
    (opens, switches) = trace(requests, opener.work, events=0)
    assert opens["event_count"] == 10_000
    assert opens["by_syscall"] == {"openat": 10_000}
    assert opens["attached_to"] == ["raw_tracepoint:sys_enter"]
    assert (opens["by_result"], opens["latency_us"]) == ({}, None)
    assert switches["event_count"] > 0
    assert "None of the calls that returned failed." not in opens["summary"]
    for result in (opens, switches):
        assert (result["events"], result["by_key"]) == ([], [])
        assert result["events_not_carried"] == result["event_count"]
        assert any("only counts" in note for note in result["notes"])


def test_every_system_call_that_the_kernel_describes_has_a_number(trace: Trace) -> None:
    (result,) = trace(
        [program("syscalls/sys_enter_*", 1)], lambda: subprocess.run([sys.executable, "-c", ""], check=True)
    )
    assert result["event_count"] > 100
    assert not [name for name in result["by_syscall"] if name.startswith("syscall_")]


def results_of(trace: Trace, *programs: dict[str, Any]) -> list[dict[str, Any]]:
    return trace(list(programs), lambda: None)


def test_what_cannot_be_traced_is_an_error_with_what_would_work(trace: Trace) -> None:
    unknown, misspelt, kprobe, ftrace, wildcard, duration = results_of(
        trace,
        program("tcp/tcp_conect"),
        program("sched/sched_process_execc"),
        {"name": "k", "type": "kprobe", "target": "tcp_conect", "duration": 1},
        program("ftrace/function"),
        program("sched/sched_*"),
        program("sched/sched_switch", 0),
    )
    assert "This kernel has no tracepoint tcp/tcp_conect" in unknown["error"]
    assert "sched/sched_process_exec" in misspelt["error"]
    assert "tcp_connect" in kprobe["error"]
    assert "ftrace" in ftrace["error"]
    assert "name each tracepoint" in wildcard["error"]
    assert "0 s is outside" in duration["error"]
    for result in (unknown, misspelt, kprobe, ftrace, wildcard, duration):
        assert (result["event_count"], result["events"]) == (0, [])
        assert result["summary"].startswith("Nothing is known: ")
