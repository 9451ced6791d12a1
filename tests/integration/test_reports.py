# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of a run, whatever became of its hosts before, and what is left of the evidence in memory after it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import REPOSITORY

from playbooks import LOCAL, Ansible

ISSUE = "files cannot be opened"
REPORT = "nannyapi.diagnostics.diagnosis_report"
DIAGNOSE = {"ansible.builtin.import_playbook": "nannyapi.diagnostics.diagnose"}
LOCALLY = LOCAL.partition(" ")[2].strip()
NOBODY = "ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=9"


def inventory(folder: Path, hosts: dict[str, str]) -> Path:
    path = folder / "hosts.ini"
    path.write_text("".join(f"{name} {variables}\n" for name, variables in hosts.items()))
    return path


def playbook(folder: Path, plays: list[dict[str, Any]]) -> str:
    path = folder / "run.yml"
    path.write_text(json.dumps(plays))
    return str(path)


@pytest.mark.parametrize(
    "options",
    [{}, {"nannyapi_strategy": "free"}, {"nannyapi_strategy": "linear"}, {"nannyapi_serial": 1}],
    ids=["default", "free", "linear", "serial"],
)
def test_hosts_that_took_no_part_are_reported_as_what_they_are(
    ansible: Ansible, tmp_path: Path, options: dict[str, Any]
) -> None:
    hosts = {
        "absent": NOBODY,
        "left": LOCALLY,
        "unprepared": f"{LOCALLY} nannyapi_setup_error='No package for this kernel.'",
        "empty": LOCALLY,
        "unlimited": LOCALLY,
    }
    before = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.fail": {"msg": "before the diagnosis"}, "when": "inventory_hostname == 'left'"},
        ],
    }
    variables = {"issue": " ", "nannyapi_reports_dir": str(tmp_path), "nannyapi_target": "all:!unlimited", **options}
    run = ansible.playbook(playbook(tmp_path, [before, DIAGNOSE]), inventory(tmp_path, hosts), variables)
    summary = json.loads((tmp_path / "summary.json").read_text())
    found = {host: (entry["status"], entry["error"]) for host, entry in summary["hosts"].items()}
    assert found["left"] == ("failed", "No diagnosis took place on this host: it failed or was left out before.")
    assert found["absent"][0] == "unreachable"
    assert "onnection refused" in found["absent"][1]
    assert found["unprepared"] == ("failed", "No package for this kernel.")
    assert found["empty"][0] == "failed"
    assert "The issue is empty" in found["empty"][1]
    assert "unlimited" not in found
    assert run.status != 0
    schema = json.loads((REPOSITORY / "schemas" / "report.schema.json").read_text())
    for host, (status, _error) in found.items():
        report = json.loads((tmp_path / "hosts" / f"{host}.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(report)
        assert report["status"] == status


def test_check_mode_reports_what_would_be_done_and_writes_nothing(ansible: Ansible, tmp_path: Path) -> None:
    variables = {"issue": ISSUE, "nannyapi_reports_dir": str(tmp_path / "reports")}
    command = ansible.command("nannyapi.diagnostics.diagnose", ansible.local, variables)
    run = subprocess.run([*command, "--check"], env=ansible.environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "1 host: 1 skipped" in run.stdout
    assert "Ask offline about this issue" in run.stdout
    assert not (tmp_path / "reports").exists()


def test_evidence_does_not_stay_in_memory_once_it_is_written(ansible: Ansible, tmp_path: Path) -> None:
    after = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.copy": {"content": "{{ nannyapi_diagnosis | to_json }}", "dest": str(tmp_path / "kept")}}
        ],
    }
    variables = {"issue": ISSUE, "nannyapi_reports_dir": str(tmp_path)}
    assert ansible.playbook(playbook(tmp_path, [DIAGNOSE, after]), variables=variables).status == 0
    kept = json.loads((tmp_path / "kept").read_text())
    report = json.loads((tmp_path / "hosts" / "localhost.json").read_text())
    assert kept["status"] == "diagnosed"
    assert kept["diagnosis_id"] == report["diagnosis_id"]
    assert kept["events"] > 0
    assert not {"ebpf_results", "command_results", "ansible_facts"} & set(kept)
    assert len(json.dumps(kept)) < 10000
    assert len(json.dumps(report)) > len(json.dumps(kept))


def test_each_host_is_reported_as_soon_as_it_is_diagnosed(ansible: Ansible, tmp_path: Path) -> None:
    hosts = {f"host{number}": LOCALLY for number in range(3)}
    run = ansible.playbook(
        "nannyapi.diagnostics.diagnose",
        inventory(tmp_path, hosts),
        {"issue": " ", "nannyapi_reports_dir": str(tmp_path)},
        environment={"ANSIBLE_FORKS": "1"},
    )
    places = [run.output.index(what) for name in hosts for what in (f"fatal: [{name}]", f"ok: [{name}]")]
    assert places == sorted(places)


def test_one_bad_result_does_not_cost_the_others_their_report(ansible: Ansible, tmp_path: Path) -> None:
    good = {
        "response_type": "resolution",
        "root_cause": "{{ lookup('ansible.builtin.pipe', 'echo templated') }} \u001b[2J",
        "resolution_plan": "1. Nothing.",
        "confidence": "Low",
        "ebpf_evidence": "None.",
    }
    (tmp_path / "results.json").write_text(
        json.dumps(
            {"good": {"resolution": good}, "bad": {"resolution": [1], "ebpf_results": {"a": 7}}, "odd": "a text"}
        )
    )
    found = f"{{{{ (lookup('ansible.builtin.file', '{tmp_path}/results.json') | from_json)[inventory_hostname] }}}}"
    entries = "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'found'))) }}"
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {REPORT: {"diagnosis": found, "dest": str(tmp_path)}, "register": "found"},
            {REPORT: {"overviews": entries, "dest": str(tmp_path), "issue": ISSUE}, "run_once": True},
        ],
    }
    hosts = inventory(tmp_path, dict.fromkeys(("good", "bad", "odd"), LOCALLY))
    run = ansible.playbook(playbook(tmp_path, [play]), hosts)
    assert run.status == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"] == {"diagnosed": 1, "failed": 2, "unreachable": 0, "skipped": 0}
    assert summary["hosts"]["good"]["root_cause"] == good["root_cause"]
    assert "cannot be read" in summary["hosts"]["bad"]["error"]
    assert "\x1b[2J" not in run.output


def test_reports_that_cannot_be_written_are_said_and_shown_all_the_same(ansible: Ansible, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    dest = str(tmp_path / "file" / "reports")
    for arguments in ({"diagnosis": {"unreachable": True, "msg": "no route"}}, {"overviews": {"db1": {}}}):
        result = ansible.module("diagnosis_report", {**arguments, "dest": dest})
        assert result["failed"] is True
        assert "could not be written" in result["msg"]
        assert "Traceback" not in json.dumps(result)
    run = ansible.playbook("nannyapi.diagnostics.diagnose", variables={"issue": " ", "nannyapi_reports_dir": dest})
    assert run.status != 0
    assert "1 host: 1 failed" in run.output


@pytest.mark.parametrize("arguments", [{}, {"diagnosis": {}, "overviews": {}}], ids=["neither", "both"])
def test_exactly_one_of_a_diagnosis_and_overviews_is_asked_for(ansible: Ansible, arguments: dict[str, Any]) -> None:
    result = ansible.module("diagnosis_report", arguments)
    assert result["failed"] is True
    assert "diagnosis" in result["msg"]
    assert "overviews" in result["msg"]
