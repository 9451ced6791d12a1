# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracing with the capabilities that it takes and no others, for real: what the kernel says of the tracing process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernel_state import await_true, loaded_programs

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.needs import TRACING
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.giving_up import capability_sets
from playbooks import Ansible

ISSUE = "files cannot be opened"
OPENS: dict[str, Any] = {"name": "opens", "target": "syscalls/sys_enter_openat", "duration": 4}
SWITCHES: dict[str, Any] = {"name": "switches", "target": "sched/sched_switch", "duration": 4}
SETTING = Path("/etc/nannyapi/privileges.json")
WITHOUT_PERFMON = ("setpriv", "--bounding-set=-perfmon", "--inh-caps=-perfmon")


def tracing_processes() -> list[int]:
    """Pids of the processes that trace, by the name that they give themselves."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == "nannyapi-trace":
                found.append(int(entry.name))
    return found


def status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}


@contextlib.contextmanager
def running(ansible: Ansible, task: dict[str, Any]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A run of a task in the background, and the pid of the process that traces for it, which has attached by then."""
    before = loaded_programs()
    path = ansible.local.parent / "privileges.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    run = subprocess.Popen(
        ansible.command(str(path), ansible.local, {}),
        env=ansible.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        await_true(lambda: len(loaded_programs() - before) >= 3)
        (pid,) = tracing_processes()
        yield run, pid
    finally:
        output, _errors = run.communicate(timeout=120)
        print(output)
        await_true(lambda: loaded_programs() <= before, 15)


@pytest.mark.parametrize(
    "task",
    [
        {"nannyapi.diagnostics.ebpf_trace": {"programs": [OPENS, SWITCHES]}},
        {"nannyapi.diagnostics.diagnose": {"issue": ISSUE, "model": "offline", "rounds": 1, "trace_seconds": 4}},
    ],
    ids=["ebpf_trace", "diagnose"],
)
def test_the_tracing_process_has_exactly_the_capabilities_that_are_promised(
    ansible: Ansible, task: dict[str, Any]
) -> None:
    with running(ansible, task) as (run, pid):
        sets, of_it = capability_sets(str(pid)), status(pid)
        descriptors = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    assert run.returncode == 0
    for name in ("effective", "permitted", "bounding"):
        assert set(sets[name]) == set(TRACING), name
    assert sets["inheritable"] == sets["ambient"] == []
    assert "SYS_ADMIN" not in TRACING
    assert set(of_it["Uid"]) == set(of_it["Gid"])
    assert "0" not in of_it["Uid"] + of_it["Gid"] + of_it["Groups"]
    assert of_it["NoNewPrivs"] == ["1"]
    assert not any("nannyapi-diagnostics.lock" in path for path in descriptors)


def test_what_is_traced_so_is_whole_and_says_as_whom(ansible: Ansible) -> None:
    result = ansible.module("ebpf_trace", {"programs": [{**OPENS, "duration": 1}, {**SWITCHES, "duration": 1}]})
    assert result["privileges"]["mode"] == "least"
    assert result["privileges"]["reason"] is None
    assert result["privileges"]["capabilities"] == [f"CAP_{name}" for name in TRACING]
    for traced in result["ebpf_results"].values():
        assert traced["event_count"] + traced["own_events"] > 0
        assert traced["cost"]["runs_measured"] > 0  # measuring takes CAP_SYS_ADMIN: it was lent


def test_a_diagnosis_has_its_commands_and_its_traces(ansible: Ansible) -> None:
    result = ansible.module("diagnose", {"issue": ISSUE, "model": "offline", "rounds": 1, "trace_seconds": 2})
    assert result["privileges"]["mode"] == "least"
    assert result["resolution"]
    assert result["sandbox"]["name"] == "bubblewrap"
    assert [entry for entry in result["command_results"] if entry["exit_code"] is None] == []
    assert any(traced["event_count"] > 0 for traced in result["ebpf_results"].values())
    assert json.loads(Path(result["record"]).read_text())["privileges"] == result["privileges"]


def test_root_traces_where_it_is_asked_for(ansible: Ansible) -> None:
    result = ansible.module("ebpf_trace", {"programs": [{**SWITCHES, "duration": 1}], "privileges": "root"})
    assert result["privileges"] == {
        "mode": "root",
        "account": "root",
        "capabilities": None,
        "missing": [],
        "reason": "It was asked for.",
    }


def test_without_a_capability_that_it_takes_root_traces_and_says_why_or_not_at_all(ansible: Ansible) -> None:
    result = ansible.module("ebpf_trace", {"programs": [{**SWITCHES, "duration": 1}]}, wrapper=WITHOUT_PERFMON)
    assert result["privileges"]["mode"] == "root"
    assert result["privileges"]["missing"] == ["CAP_PERFMON"]
    assert "CAP_PERFMON" in result["privileges"]["reason"]
    arguments = {"programs": [{**SWITCHES, "duration": 1}], "privileges": "least"}
    refused = ansible.module("ebpf_trace", arguments, wrapper=WITHOUT_PERFMON)
    assert refused["failed"] is True
    assert "cannot be had" in refused["msg"]
    assert "CAP_PERFMON" in refused["msg"]


def test_a_tracing_process_that_is_killed_is_said_and_ends_nothing_else(ansible: Ansible) -> None:
    with running(ansible, {"nannyapi.diagnostics.ebpf_trace": {"programs": [OPENS]}}) as (run, pid):
        os.kill(pid, signal.SIGKILL)
        output = run.communicate(timeout=60)[0]
        assert run.returncode != 0
        assert "It was not traced: the process for it has ended before its time" in output
        assert "Traceback" not in output


def test_nothing_traces_any_more_when_the_process_that_asked_is_killed(ansible: Ansible) -> None:
    task = {"nannyapi.diagnostics.ebpf_trace": {"programs": [{**OPENS, "duration": 60}]}}
    with running(ansible, task) as (_run, pid):
        os.kill(int(status(pid)["PPid"][0]), signal.SIGKILL)
        await_true(lambda: not tracing_processes(), 15)


def test_a_host_can_be_set_to_it(ansible: Ansible, tmp_path: Path) -> None:
    (tmp_path / SETTING.name).write_text('{"tracing": "root"}')
    hidden = (
        f"mkdir -p {SETTING.parent} && mount -t tmpfs tmpfs {SETTING.parent} && cp {tmp_path / SETTING.name} {SETTING}"
    )
    arguments = {"programs": [{**SWITCHES, "duration": 1}]}

    def under(command: str) -> dict[str, Any]:
        return ansible.module(
            "ebpf_trace", arguments, wrapper=("unshare", "--mount", "sh", "-c", f'{command} && exec "$@"', "sh")
        )

    assert under(hidden)["privileges"]["mode"] == "root"
    refused = under(f"{hidden} && chmod 0666 {SETTING}")
    assert refused["failed"] is True
    assert "others may write it" in refused["msg"]
