# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What events of tracepoints are about, counted by the kernel while a known number of them happens."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import Trace, Workload, program

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import layout

Start = Callable[..., Workload]


def by_key(result: dict[str, Any]) -> dict[str, int]:
    """The counts, which with the rest must be all that there is."""
    counts = {entry["key"]: entry["count"] for entry in result["by_key"]}
    assert sum(counts.values()) + result["by_key_other"] == result["event_count"]
    return counts


def test_programs_that_are_executed_are_counted_by_their_names(trace: Trace, workload: Start, tmp_path: Path) -> None:
    first, second = tmp_path / "first-of-two", tmp_path / ("second" + "-" * 100)
    for path in (first, second):
        shutil.copy("/bin/true", path)
    body = f"""
for path, times in (({str(first)!r}, 30), ({str(second)!r}, 7)):
    for _ in range(times): os.spawnv(os.P_WAIT, path, ['x'])
"""
    spawner = workload(body, "spawner")
    (result,) = trace([program("sched/sched_process_exec", pid=spawner.pid, children=True)], spawner.work)
    long_name = str(second)[: layout.TRACEPOINT_KEY_BYTES - 1]
    assert by_key(result) == {
        str(first): 30,
        long_name + ("…" if len(long_name) == layout.TRACEPOINT_KEY_BYTES - 1 else ""): 7,
    }
    assert result["exact"] is True


def test_connections_are_counted_by_state_and_destination(trace: Trace, workload: Start) -> None:
    body = "for _ in range(20): socket.socket().connect_ex(('127.0.0.1', 1)); socket.socket(10).connect_ex(('::1', 1))"
    client = workload(body, "client")
    (result,) = trace([program("sock/inet_sock_set_state", pid=client.pid)], client.work)
    assert by_key(result) == {
        f"{state} {destination}": 20
        for state in ("TCP_SYN_SENT", "TCP_CLOSE")
        for destination in ("127.0.0.1:1", "[::1]:1")
    }


def test_signals_are_counted_by_name_and_receiver(trace: Trace, workload: Start) -> None:
    body = """
import signal
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.signal(signal.SIGUSR2, lambda *_: None)
for _ in range(50): os.kill(os.getpid(), signal.SIGUSR1); os.kill(os.getpid(), signal.SIGUSR2)
"""
    sender = workload(body, "sender")
    (result,) = trace([program("signal/signal_generate", pid=sender.pid)], sender.work)
    assert by_key(result) == {"SIGUSR1 sender": 50, "SIGUSR2 sender": 50}


def test_packets_are_counted_by_device(trace: Trace, workload: Start) -> None:
    body = """
sender = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(200): sender.sendto(b'x', ('127.0.0.1', 9))
"""
    sender = workload(body, "sender")
    sent, dropped = trace(
        [program("net/net_dev_queue", pid=sender.pid), program("skb/kfree_skb", pid=sender.pid)], sender.work
    )
    # Each of them is answered that nobody listens there.
    counts = by_key(sent)
    assert set(counts) == {"lo"}
    assert counts["lo"] >= 200
    assert any(key.startswith("NO_SOCKET ") for key in by_key(dropped))


def test_requests_to_disks_have_the_device_and_what_is_done(trace: Trace, workload: Start, tmp_path: Path) -> None:
    number = os.stat(tmp_path).st_dev
    place = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    body = f"""
fd = os.open({str(tmp_path / "file")!r}, os.O_RDWR | os.O_CREAT)
for n in range(20): os.pwrite(fd, bytes([n]) * 4096, n * 4096); os.fsync(fd)
"""
    writer = workload(body, "writer")
    (result,) = trace([program("block/block_rq_issue")], writer.work)
    counts = by_key(result)
    if not place.exists():  # a file system without a device of its own, as in a container: nothing to hold it against
        return
    device = os.path.basename(os.readlink(place))
    disk = os.path.basename(os.path.dirname(os.readlink(place))) if (place / "partition").exists() else device
    assert sum(count for key, count in counts.items() if key in (f"write {device}", f"write {disk}")) >= 20
    for event in result["events"]:
        assert event["data"]["operation"] in ("read", "write", "flush", "discard")
        assert Path("/sys/block", event["data"]["device"]).exists()


def test_allocations_are_counted_by_the_code_that_makes_them(trace: Trace, workload: Start) -> None:
    maker = workload("for _ in range(300): [os.close(fd) for fd in os.pipe()]", "maker")
    (result,) = trace([program("kmem/kmalloc", pid=maker.pid)], maker.work)
    counts = by_key(result)
    assert result["event_count"] >= 300
    if Path("/proc/sys/kernel/kptr_restrict").read_text().strip() != "2":
        assert counts.get(next((key for key in counts if key.startswith("alloc_pipe_info+0x")), ""), 0) >= 300
    for event in result["events"]:
        assert "GFP_KERNEL" in event["data"]["gfp_flags"]


def test_switches_are_counted_by_why_and_to_whom(trace: Trace, workload: Start) -> None:
    sleeper = workload("for _ in range(100): time.sleep(0.001)", "sleeper")
    (result,) = trace([program("sched/sched_switch", pid=sleeper.pid)], sleeper.work)
    counts = by_key(result)
    assert sum(count for key, count in counts.items() if key.startswith("S ")) >= 100
    assert {event["data"]["prev_comm"] for event in result["events"]} == {"sleeper"}


def test_more_keys_than_there_is_room_for_are_counted_as_others(trace: Trace, workload: Start) -> None:
    body = """
for n in range(2500):
    open('/proc/self/comm', 'w').write('c%d' % n)
    libc.prctl(15, b'n%d' % n, 0, 0, 0)
"""
    renamer = workload(body, "renamer")
    (result,) = trace([program("task/task_rename", 5, pid=renamer.pid)], renamer.work)
    assert result["event_count"] == 5000
    assert len(by_key(result)) == 100
    assert result["by_key_other"] == 4900


def test_a_trace_that_is_thinned_goes_on_to_count_and_no_keys(trace: Trace, workload: Start) -> None:
    waker = workload("until = time.monotonic() + 4\nwhile time.monotonic() < until: time.sleep(0)", "waker")
    (result,) = trace([program("sched/sched_switch", 5)], waker.start, cpu_share=1e-6)
    assert "thinned_after_s" in result
    counts = by_key(result)
    assert result["by_key_other"] > 0
    assert not any("are in by_key_other" in note for note in result["notes"])
    assert sum(counts.values()) < result["event_count"]


def test_what_is_no_string_is_shown_too(trace: Trace, workload: Start) -> None:
    # Every CPU is asked to drop what it has cached of the memory that a thread gives back while another one runs.
    body = """
import mmap, threading
done = False
def run():
    while not done: pass
threading.Thread(target=run).start()
for _ in range(200):
    field = mmap.mmap(-1, 65536); field[0] = 1; field.madvise(mmap.MADV_DONTNEED); field.close()
done = True
"""
    sender = workload(body, "sender")
    (result,) = trace([program("ipi/ipi_send_cpumask", pid=sender.pid)], sender.work)
    by_key(result)
    for event in result["events"]:
        assert all(part.isdigit() for part in event["data"]["cpumask"].replace("-", ",").split(","))
        assert "+0x" in event["data"]["callsite"]
