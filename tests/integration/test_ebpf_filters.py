# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters on who causes an event: a process with its children, and cgroups of either version, all in the kernel."""

from __future__ import annotations

import json
import os
import platform
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Trace, Workload, program

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.cgroups import Cgroups

Start = Callable[..., Workload]
Make = Callable[[str], Path]
OPENS = "for _ in range({}): os.close(os.open('/etc/hosts', 0))\n"
OPENAT = "syscalls/sys_enter_openat"
_EXIT = {"x86_64": 60, "aarch64": 93}[platform.machine()]  # of one thread

# Says that it is ready, and waits for the word to go on.
READY = "sys.stdout.write('x\\n'); sys.stdout.flush(); sys.stdin.readline()\n"
FAMILY = f"""
def opens(number):
    {OPENS.format("number")}
gate, word = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.read(gate, 1)
        opens(3000)
        os._exit(0)
    os.read(gate, 1)
    opens(2000)
    if os.fork() == 0:
        opens(500)
        os._exit(0)
    os.wait(), os.wait()
    os._exit(0)
{READY}
os.write(word, b'xx')
opens(1000)
if os.fork() == 0:
    if os.fork() == 0:
        opens(70)
        os._exit(0)
    os.wait()
    opens(5)
    os._exit(0)
os.wait(), os.wait()
"""


def about_hosts(result: dict[str, Any]) -> int:
    """How many of the calls were about /etc/hosts: what a new process does of its own accord is not counted."""
    return sum(entry["count"] for entry in result["by_key"] if entry["key"] == "/etc/hosts")


def test_a_process_is_counted_with_children_that_it_has_and_that_it_gets(trace: Trace, workload: Start) -> None:
    family = workload(FAMILY, "family")
    stranger = workload(OPENS.format(10000), "stranger")
    family.work()  # up to where it has a child and a grandchild
    alone, all_of_it, by_name = trace(
        [
            program(OPENAT, 3, pid=family.pid),
            program(OPENAT, 3, pid=family.pid, children=True),
            program(OPENAT, 3, pid=family.pid, children=True, comm="stranger"),
        ],
        lambda: (family.work(), stranger.work()),
    )
    assert alone["event_count"] == 1000
    assert all_of_it["event_count"] == 1000 + 2000 + 3000 + 500 + 70 + 5
    assert sorted(entry["count"] for entry in all_of_it["by_process"]) == [5, 70, 500, 1000, 2000, 3000]
    assert by_name["event_count"] == 0
    assert all_of_it["filters"] == {"pid": family.pid, "children": True}
    assert all_of_it["exact"] is True


IN_A_NAMESPACE = f"""
import json, pathlib, subprocess, sys
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer

family = subprocess.Popen(
    [sys.executable, "-c", "import os, sys\\n" + {FAMILY!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
family.stdout.readline()

def work(event):
    if event["stage"] == "trace_running":
        family.communicate("go")

tracer = Tracer(Bundle.from_directory(pathlib.Path({str(REPOSITORY / "bpf")!r})))
program = {{"type": "tracepoint", "target": {OPENAT!r}, "duration": 2}}
(result,) = tracer.run([{{**program, "filters": {{"pid": family.pid, "children": True}}}}], work).values()
print(json.dumps(result))
"""


def test_a_process_of_a_container_is_counted_with_its_children() -> None:
    inside = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", IN_A_NAMESPACE],
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY / ".cache" / "src")),
        check=True,
        text=True,
    )
    result = json.loads(inside.stdout)
    assert result["event_count"] == 6575
    assert max(entry["process_id"] for entry in result["by_process"]) < 50


@pytest.mark.parametrize("target", ["sched/sched_process_exec", "raw_syscalls/sys_enter"])
def test_children_of_others_are_not_counted(trace: Trace, workload: Start, target: str) -> None:
    idle = workload("pass", "idle")
    (result,) = trace([program(target, pid=idle.pid, children=True)], lambda: subprocess.run(["true"], check=True))
    assert result["event_count"] == 0


def test_a_process_stays_in_its_tree_when_its_first_thread_ends_or_another_one_execs(
    trace: Trace, workload: Start
) -> None:
    again = f"import os, time; time.sleep(0.5)\n{OPENS.format(300)}"
    body = f"""
import threading
def others():
    time.sleep(0.3)
    {OPENS.format(200)}
    if os.fork() == 0:
        {OPENS.format(20)}
        os._exit(0)
    os.wait()
    if os.fork() == 0:
        threading.Thread(target=lambda: os.execv(sys.executable, [sys.executable, '-c', {again!r}])).start()
        time.sleep(60)
    os.wait()
    os.write(done, b'x')
    os._exit(0)
gate, done = os.pipe()
if os.fork() == 0:
    threading.Thread(target=others).start()
    libc.syscall({_EXIT}, 0)
os.read(gate, 1)
"""
    family = workload(body, "family")
    (result,) = trace([program(OPENAT, 6, pid=family.pid, children=True)], family.work)
    assert about_hosts(result) == 520


def test_the_tree_of_the_diagnosis_itself_is_never_of_another(trace: Trace, workload: Start) -> None:
    opener = workload(OPENS.format(1000), "opener")
    (result,) = trace([program(OPENAT, pid=os.getpid(), children=True)], opener.work, own=(opener.pid,))
    assert result["own_events"] == 1000
    assert all(entry["process_id"] != opener.pid for entry in result["by_process"])


@pytest.fixture
def second() -> Iterator[Make]:
    """Makes cgroups of version 2, by their path below a folder of their own."""
    mounted = [hierarchy.path for hierarchy in Cgroups().hierarchies if hierarchy.version == 2]
    assert mounted, "no cgroup2 file system is mounted on this machine"
    top = mounted[0] / f"nannyapi-{secrets.token_hex(4)}"
    yield lambda name: make_cgroup(top / name)
    remove_cgroups(top, mounted[0])


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Make]:
    """Makes cgroups of version 1, in a hierarchy of their own that has no controllers."""
    top = tmp_path / "hierarchy"
    top.mkdir()
    named = f"none,name=nannyapi-{secrets.token_hex(4)}"
    subprocess.run(["mount", "-t", "cgroup", "-o", named, "cgroup", str(top)], check=True)
    yield lambda name: make_cgroup(top / name)
    for folder in top.iterdir():
        if folder.is_dir():
            remove_cgroups(folder, top)
    subprocess.run(["umount", str(top)], check=True)


def make_cgroup(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def remove_cgroups(top: Path, refuge: Path) -> None:
    """Removes a cgroup and all below it; processes that are still there move to another one."""
    for folder in sorted([top, *(path for path in top.rglob("*") if path.is_dir())], reverse=True):
        for pid in (folder / "cgroup.procs").read_text().split():
            (refuge / "cgroup.procs").write_text(pid)
        folder.rmdir()


def enter(path: Path, *members: Workload) -> None:
    for member in members:
        (path / "cgroup.procs").write_text(str(member.pid))


def test_a_cgroup_is_counted_by_path_id_and_unit_with_those_below_it(
    trace: Trace, workload: Start, second: Make
) -> None:
    unit = f"nannyapi-{secrets.token_hex(4)}.service"
    outer = second(f"system.slice/{unit}")
    inner = second(f"system.slice/{unit}/workers")
    sibling = second(f"system.slice/x{unit}")
    one, two, three, four = (workload(OPENS.format(1000), name) for name in ("one", "two", "three", "four"))
    enter(outer, one)
    enter(inner, two)
    enter(sibling, three)
    below = str(outer).partition("/nannyapi-")
    results = trace(
        [
            program(OPENAT, 3, cgroup=str(outer)),
            program(OPENAT, 3, cgroup=below[1] + below[2]),
            program(OPENAT, 3, cgroup=outer.stat().st_ino),
            program(OPENAT, 3, unit=unit),
            program(OPENAT, 3, unit=unit.partition(".")[0], comm="two"),
            program(OPENAT, 3, cgroup=str(inner), unit=unit, pid=two.pid),
            program(OPENAT, 3, cgroup=str(inner), pid=one.pid),
            program(OPENAT, 3, cgroup=str(sibling), unit=unit),
        ],
        lambda: [each.work() for each in (one, two, three, four)],
    )
    assert [result["event_count"] for result in results] == [2000, 2000, 2000, 2000, 1000, 1000, 0, 0]
    assert {entry["process_name"]: entry["count"] for entry in results[3]["by_process"]} == {"one": 1000, "two": 1000}
    assert results[3]["filters"] == {"unit": unit}
    assert any(f"{unit} are counted" in note for note in results[3]["notes"])


@pytest.mark.parametrize(
    "shape",
    [
        "system.slice/docker-{}.scope",
        "machine.slice/libpod-{}.scope/container",
        "docker/{}",
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{}.scope",
        "kubepods/burstable/pod0d5f7a9c-1e2b-4d6f-8091-a2b3c4d5e6f7/{}",
        "kubepods.slice/kubepods-pod2.slice/crio-{}.scope",
    ],
)
def test_a_container_is_counted_by_the_beginning_of_its_id(
    trace: Trace, workload: Start, second: Make, shape: str
) -> None:
    identifier = secrets.token_hex(32)
    inside, outside = workload(OPENS.format(1000), "inside"), workload(OPENS.format(1000), "outside")
    enter(second(shape.format(identifier)), inside)
    enter(second(shape.format(secrets.token_hex(32))), outside)
    short, tracepoint = trace(
        [
            program(OPENAT, container=identifier[:12]),
            program("raw_syscalls/sys_enter", container=f"docker://{identifier}", comm="outside"),
        ],
        lambda: (inside.work(), outside.work()),
    )
    assert short["by_process"] == [{"process_id": inside.pid, "process_name": "inside", "count": 1000, "errors": 0}]
    assert tracepoint["event_count"] == 0


def test_a_process_that_enters_the_cgroup_later_is_counted_from_then_on(
    trace: Trace, workload: Start, second: Make
) -> None:
    group = second("group")
    caller = workload(OPENS.format(1000) + READY + OPENS.format(300), "caller")
    states, opens = trace(
        [program("sched/sched_process_fork", 3, cgroup=str(group)), program(OPENAT, 3, cgroup=str(group))],
        lambda: (caller.work(), enter(group, caller), caller.work()),
    )
    assert (opens["event_count"], states["event_count"]) == (300, 0)


def test_a_cgroup_that_is_not_there_is_an_error_and_attaches_nothing(trace: Trace) -> None:
    filters: list[dict[str, Any]] = [
        {"cgroup": "/nannyapi/nowhere"},
        {"cgroup": 2**60},
        {"unit": "nannyapi-nowhere.service"},
        {"container": "0123456789ab"},
        {"container": "web"},
    ]
    begun = time.monotonic()
    results = trace([program(OPENAT, 60, **one) for one in filters], lambda: None)
    assert time.monotonic() - begun < 30
    said = [
        "has no cgroup",
        "with the id",
        "unit nannyapi-nowhere.service",
        "container with the id 0123456789ab",
        "name",
    ]
    for result, part in zip(results, said):
        assert result["event_count"] == 0
        assert part in result["error"]


def test_a_container_of_cgroup_version_1_is_followed_with_what_it_starts(
    trace: Trace, workload: Start, first: Make
) -> None:
    identifier = secrets.token_hex(32)
    group = first(f"docker/{identifier}")
    inside, outside = workload(FAMILY, "inside"), workload(OPENS.format(1000), "outside")
    enter(group, inside)
    inside.work()  # its children begin in the cgroup
    (result,) = trace([program(OPENAT, 3, container=identifier[:12])], lambda: (inside.work(), outside.work()))
    assert result["event_count"] == 6575
    assert any("cgroup of version 1" in note for note in result["notes"])
