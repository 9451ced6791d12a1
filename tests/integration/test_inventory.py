# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run over an inventory by real ssh: right results for each host, whatever becomes of the others."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Host, inventory, make_keys
from kernel_state import await_true, loaded_programs

from playbooks import Ansible

ISSUE = "application randomly fails to connect to database"
# The name of a process is what an operator knows it by.
FAILING = """
import socket, time
open("/proc/self/comm", "w").write("orders")
while True:
    with socket.socket() as client:
        client.connect_ex(("127.0.0.1", 5432))
    time.sleep(0.1)
"""
SERVING = """
import socket, threading, time
open("/proc/self/comm", "w").write("warehouse")
server = socket.create_server(("127.0.0.1", 5432))
def accept():
    while True:
        server.accept()[0].close()
threading.Thread(target=accept, daemon=True).start()
while True:
    socket.create_connection(("127.0.0.1", 5432)).close()
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    keys = make_keys(tmp_path_factory.mktemp("hosts"))
    made = {name: Host(name, number, keys) for number, name in enumerate(("ill", "healthy"), 1)}
    made["ill"].start(FAILING)
    made["healthy"].start(SERVING)
    yield made
    for host in made.values():
        host.close()


def test_each_host_gets_its_own_diagnosis_and_an_absent_one_stops_nobody(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path
) -> None:
    addresses = {name: host.address for name, host in hosts.items()}
    addresses["absent"] = hosts["healthy"].absent_neighbour
    run = ansible.playbook(
        "nannyapi.diagnostics.diagnose",
        inventory(hosts["ill"].keys, addresses),
        {"issue": ISSUE, "nannyapi_reports_dir": str(tmp_path)},
    )
    ill = json.loads((tmp_path / "hosts" / "ill.json").read_text())
    healthy = json.loads((tmp_path / "hosts" / "healthy.json").read_text())
    summary = json.loads((tmp_path / "summary.json").read_text())

    assert "orders" in ill["resolution"]["root_cause"]
    assert "127.0.0.1:5432" in ill["resolution"]["root_cause"]
    assert "ECONNREFUSED" in ill["resolution"]["root_cause"] + ill["resolution"]["ebpf_evidence"]
    failures = [entry for result in ill["ebpf_results"].values() for entry in result.get("failures", [])]
    assert any(entry["process_name"] == "orders" and entry["key"] == "127.0.0.1:5432" for entry in failures)

    assert "orders" not in json.dumps(healthy)
    assert healthy["resolution"]["root_cause"] != ill["resolution"]["root_cause"]
    assert healthy["resolution"]["confidence"] == "Low"
    connects = [entry for result in healthy["ebpf_results"].values() for entry in result.get("by_process", [])]
    assert any(entry["process_name"] == "warehouse" for entry in connects)

    assert summary["counts"] == {"diagnosed": 2, "failed": 0, "unreachable": 1, "skipped": 0}
    assert summary["hosts"]["absent"]["status"] == "unreachable"
    assert "absent" in (tmp_path / "summary.md").read_text()
    # The run as a whole has failed for one host, and says so in the end.
    assert run.status != 0
    assert "ill: Round 1" in run.output
    assert "Root cause" in run.output
    shown = [line for line in report_of(run.output).splitlines() if "summary.md" not in line]
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize("pipelining", ["True", "False"])
def test_interrupting_a_run_over_ssh_leaves_nothing_on_the_host(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path, pipelining: str
) -> None:
    before = loaded_programs()
    play = tmp_path / "play.yml"
    traced = {"programs": [{"target": "sched/sched_switch", "duration": 120}]}
    tasks = [{"nannyapi.diagnostics.ebpf_trace": traced}]
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    run = subprocess.Popen(
        ansible.command(str(play), inventory(hosts["ill"].keys, {"healthy": hosts["healthy"].address}), {}),
        env=ansible.environment({"ANSIBLE_PIPELINING": pipelining}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    await_true(lambda: len(loaded_programs() - before) >= 3)
    os.killpg(run.pid, signal.SIGINT)
    run.wait(30)
    await_true(lambda: loaded_programs() <= before, 20)
    assert loaded_programs() <= before


def report_of(output: str) -> str:
    """What the report tasks showed: from a rule to what Ansible says next."""
    shown, lines = False, []
    for line in output.splitlines():
        shown = (shown or line.startswith("────")) and not re.match(r"(TASK|PLAY|[a-z]+:) ", line)
        lines += [line] if shown else []
    return "\n".join(lines)


def test_hosts_can_be_done_in_batches_and_results_are_passed_on(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path
) -> None:
    addresses = {"absent": hosts["healthy"].absent_neighbour, "healthy": hosts["healthy"].address}
    run = ansible.playbook(
        "nannyapi.diagnostics.diagnose",
        inventory(hosts["ill"].keys, addresses),
        {"issue": ISSUE, "nannyapi_reports_dir": str(tmp_path), "nannyapi_serial": 1},
        environment={"ANSIBLE_SHOW_CUSTOM_STATS": "true"},
    )
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"]["diagnosed"] == 1
    assert summary["counts"]["unreachable"] == 1
    stats = run.output.partition("CUSTOM STATS:")[2]
    assert "nannyapi_diagnoses" in stats
    assert "healthy" in stats


def test_progress_costs_no_logins(ansible: Ansible, hosts: dict[str, Host], tmp_path: Path) -> None:
    alone = {"ansible_ssh_args": "-o ControlMaster=no"}

    def logins(**options: object) -> tuple[int, str]:
        log = hosts["healthy"].keys / "healthy.log"
        before = log.read_text().count("Accepted publickey")
        run = ansible.playbook(
            "nannyapi.diagnostics.diagnose",
            inventory(hosts["healthy"].keys, {"healthy": hosts["healthy"].address}),
            {"issue": ISSUE, "nannyapi_reports_dir": str(tmp_path), **options},
        )
        assert run.status == 0
        return log.read_text().count("Accepted publickey") - before, run.output

    each_command_logs_in, output = logins(**alone)
    assert "healthy: Round 1" not in output
    assert each_command_logs_in == logins(**alone, nannyapi_progress=False)[0]
    multiplexed, output = logins()
    assert "healthy: Round 1" in output
    assert multiplexed <= 1
    assert "healthy: Round 1" not in logins(nannyapi_progress="false")[1]
