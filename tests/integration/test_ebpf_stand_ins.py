# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions of the protocol's table count what happened on this machine's kernel, whatever it was built with.

Where it has no kprobes, tracepoints stand in for them: they count the same here, and the result says what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from conftest import Trace, Workload, program

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_files import KernelFiles

Start = Callable[..., Workload]

WORK = """
import mmap
listener = socket.create_server(('127.0.0.1', 4329), backlog=64)
for _ in range(20):
    client = socket.create_connection(('127.0.0.1', 4329))
    server, _address = listener.accept()
    client.send(b'x' * 1000)
    client.close(); server.close()
for _ in range(7):
    child = os.fork()
    if not child: os._exit(0)
    os.waitpid(child, 0)
grain = os.memfd_create('grain')
for _ in range(500): os.write(grain, b'x' * 4096)
os.lseek(grain, 0, os.SEEK_SET)
for _ in range(500): os.read(grain, 4096)
for _ in range(100): time.sleep(0.002)
field = mmap.mmap(-1, 2048 * 4096)
field.madvise(mmap.MADV_NOHUGEPAGE)
for start in range(0, len(field), 4096): field[start] = 1
for _ in range(300):
    ends = os.pipe(); os.write(ends[1], b'x'); os.close(ends[0]); os.close(ends[1])
"""


class Case(NamedTuple):
    """`least` and `most` that the work causes, and what is in an event of it, whichever way it is traced."""

    function: str
    least: int
    most: int
    seen: dict[str, Any]


CASES = (
    Case("tcp_connect", 20, 20, {"destination": "127.0.0.1:4329"}),
    Case("tcp_sendmsg", 20, 20, {}),
    Case("do_fork", 7, 7, {}),
    Case("vfs_read", 500, 520, {"count": 4096}),
    Case("vfs_write", 800, 820, {"count": 4096}),
    Case("schedule", 100, 1000, {}),
    Case("__alloc_pages_nodemask", 2048, 6000, {"order": 0}),
    Case("__free_pages", 300, 6000, {"order": 0}),
)


def test_functions_of_the_table_are_counted_by_whatever_stands_in_for_them(trace: Trace, workload: Start) -> None:
    worker = workload(WORK, "worker")
    requests = [{**program(case.function, 4, pid=worker.pid), "type": "kprobe"} for case in CASES]
    results = trace(requests, worker.work)
    for case, result in zip(CASES, results):
        assert "error" not in result, (case.function, result)
        count = result["event_count"]
        assert case.least <= count <= case.most, (case.function, count, result["attached_to"])
        assert any(case.seen.items() <= event["data"].items() for event in result["events"]), (case.function, result)
        if KernelFiles().has_kprobes():
            continue
        assert all("tracepoint:" in attached for attached in result["attached_to"])
        assert any(case.function in note for note in result["notes"])
        assert f"What fired is a tracepoint that stands in for {case.function}" in result["summary"]


def test_what_functions_of_the_table_returned_is_told_by_whatever_stands_in_for_them(
    trace: Trace, workload: Start
) -> None:
    worker = workload(WORK, "worker")
    wanted = {
        "tcp_connect": ({"result": 0}, 20),
        "vfs_read": ({"result": 4096}, 500),
        "vfs_write": ({"result": 4096}, 800),
    }
    requests = [{**program(function, 4, pid=worker.pid), "type": "kretprobe"} for function in wanted]
    for (function, (seen, least)), result in zip(wanted.items(), trace(requests, worker.work)):
        assert "error" not in result, (function, result)
        assert least <= result["event_count"] <= least + 20, (function, result["event_count"])
        assert any(seen.items() <= event["data"].items() for event in result["events"]), (function, result)
