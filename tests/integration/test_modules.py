# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as a playbook author meets them: results, check mode, and a sentence for everything that is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import REPOSITORY
from kernel_state import await_true, loaded_programs

from playbooks import Ansible

LOCK = Path("/run/nannyapi-diagnostics.lock")
BCC = "/usr/lib/python3/dist-packages/bcc"
ISSUE = "files cannot be opened"
# A cache of its own, which is gone with the mount.
NO_STORE = "mkdir -p /var/cache/nannyapi && mount -t tmpfs -o mode=755 tmpfs /var/cache/nannyapi"
OPENS: dict[str, Any] = {"name": "opens", "target": "syscalls/sys_enter_openat", "duration": 2}
# Fires on the quietest of hosts.
SWITCHES: dict[str, Any] = {"name": "switches", "target": "sched/sched_switch", "duration": 2}


def hiding(what: str) -> tuple[str, ...]:
    """A command under which a mount hides something of this host."""
    return ("unshare", "--mount", "sh", "-c", f'{what} && exec "$@"', "sh")


def test_a_trace_comes_back_as_data(ansible: Ansible) -> None:
    result = ansible.module("ebpf_trace", {"programs": [OPENS], "max_events": 3})
    ((key, traced),) = result["ebpf_results"].items()
    assert key.startswith("opens_")
    assert traced["program_name"] == "opens"
    assert traced["event_count"] >= len(traced["events"])
    assert len(traced["events"]) <= 3
    assert result["changed"] is False


def test_what_a_host_can_do_is_said_with_reasons(ansible: Ansible) -> None:
    able = ansible.module("ebpf_info", {})
    assert able["probe_types"]["tracepoint"] == {"available": True, "reason": None, "remedy": None}
    assert able["kernel"] == os.uname().release
    for kind in ("kprobe", "kretprobe"):
        probe = able["probe_types"][kind]
        assert probe["available"] or (probe["reason"] and probe["remedy"])
        assert not probe["available"] or probe["kernel_support"]
    assert able["sandbox"]["name"] == "bubblewrap"
    assert able["sandbox"]["reason"] is None
    unfenced = ansible.module("ebpf_info", {}, wrapper=hiding("mount --bind /dev/null /usr/bin/bwrap"))
    assert unfenced["sandbox"]["name"] == "none"
    assert "bwrap (bubblewrap) is not installed" in unfenced["sandbox"]["reason"]
    unable = ansible.module("ebpf_info", {}, wrapper=hiding("umount /sys/kernel/tracing"))
    assert unable["probe_types"]["tracepoint"]["available"] is False
    assert "tracefs" in unable["probe_types"]["tracepoint"]["reason"]
    assert "mount -t tracefs" in unable["probe_types"]["tracepoint"]["remedy"]


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ({"target": "tcp/tcp_conect"}, "This kernel has no tracepoint tcp/tcp_conect. The closest names are tcp/"),
        ({"target": "openat"}, "category/event"),
        ({"duration": 0}, "0.0 s is outside of what is traced, 1 to 300 s"),
        ({"duration": -3}, "-3.0 s is outside"),
        ({"duration": 1000000}, "1000000.0 s is outside"),
        ({"filters": {"pid": 4194305}}, "No process has the pid 4194305 now"),
        ({"type": "kprobe", "target": "tcp_conect"}, "tcp_connect"),
    ],
)
def test_a_program_that_cannot_be_traced_fails_with_a_sentence(
    ansible: Ansible, program: dict[str, Any], sentence: str
) -> None:
    before = loaded_programs()
    result = ansible.module("ebpf_trace", {"programs": [{**OPENS, **program}, OPENS]})
    assert result["failed"] is True
    assert sentence in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert loaded_programs() <= before


def test_no_program_and_too_many_are_said(ansible: Ansible) -> None:
    assert "list is empty" in ansible.module("ebpf_trace", {"programs": []})["msg"]
    assert "At most 16" in ansible.module("ebpf_trace", {"programs": [OPENS] * 17})["msg"]


def test_a_task_cannot_set_what_the_action_plugin_sets(ansible: Ansible) -> None:
    assert "_bpf cannot be set" in ansible.module("ebpf_trace", {"programs": [OPENS], "_bpf": "x"})["msg"]


@pytest.mark.parametrize(("name", "arguments"), [("ebpf_trace", {"programs": [OPENS]}), ("diagnose", {"issue": ISSUE})])
def test_without_root_the_task_says_that_it_needs_root(ansible: Ansible, name: str, arguments: dict[str, Any]) -> None:
    nobody = ("--become", "--become-method=su", "--become-user=nobody")
    result = ansible.module(name, arguments, nobody, {"ANSIBLE_BECOME_FLAGS": "-s /bin/sh"})
    assert result["failed"] is True
    assert "root" in result["msg"]
    assert "become: true" in result["msg"]


@pytest.mark.parametrize("compiler", ["needed", "never"])
def test_without_bcc_a_host_is_traced_all_the_same(ansible: Ansible, compiler: str) -> None:
    arguments = {"programs": [SWITCHES], "compiler": compiler}
    result = ansible.module("ebpf_trace", arguments, wrapper=hiding(f"mount -t tmpfs tmpfs {BCC}"))
    (traced,) = result["ebpf_results"].values()
    assert traced["event_count"] > 0
    able = ansible.module("ebpf_info", {}, wrapper=hiding(f"mount -t tmpfs tmpfs {BCC}"))
    assert able["bcc"]["available"] is False
    assert able["probe_types"]["tracepoint"]["available"] is True


def test_a_host_that_is_to_compile_and_cannot_says_what_to_install(ansible: Ansible) -> None:
    arguments = {"programs": [SWITCHES], "compiler": "always"}
    result = ansible.module("ebpf_trace", arguments, wrapper=hiding(f"mount -t tmpfs tmpfs {BCC} && {NO_STORE}"))
    assert result["failed"] is True
    assert "python3-bpfcc" in result["msg"]
    assert "nannyapi.diagnostics.setup" in result["msg"]


def test_what_a_host_compiled_it_does_not_compile_again(ansible: Ansible) -> None:
    arguments = {"programs": [SWITCHES], "compiler": "always"}
    library = 'for library in /usr/lib/*/libbcc.so.*; do mount --bind /dev/null "$library"; done'
    refused = ansible.module("ebpf_trace", arguments, wrapper=hiding(f"{library}; {NO_STORE}"))
    assert "BCC" in refused["msg"]
    ansible.module("ebpf_trace", arguments)
    (traced,) = ansible.module("ebpf_trace", arguments, wrapper=hiding(library))["ebpf_results"].values()
    assert traced["event_count"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"issue": "   "}, "The issue is empty"),
        ({"issue": "x" * 5000}, "has 5000 characters"),
        ({"issue": ISSUE, "rounds": 0}, "rounds is 0; it can be 1 to 20"),
        ({"issue": ISSUE, "seconds": 1}, "seconds is 1; it can be 10 to 7200"),
        ({"issue": ISSUE, "model": "gpt"}, "no endpoint to ask it at"),
        ({"issue": ISSUE, "endpoint": "gateway:3000"}, "must begin with http"),
        ({"issue": ISSUE, "endpoint": "http://127.0.0.1:9/v1", "seconds": 20}, "could not be reached"),
    ],
)
def test_a_diagnosis_that_cannot_be_made_fails_with_a_sentence(
    ansible: Ansible, arguments: dict[str, Any], sentence: str
) -> None:
    result = ansible.module("diagnose", arguments)
    assert result["failed"] is True
    assert sentence in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_a_read_only_run_folder_does_not_stop_a_diagnosis(ansible: Ansible) -> None:
    arguments = {"issue": ISSUE, "model": "offline", "rounds": 1, "trace_seconds": 1}
    result = ansible.module("diagnose", arguments, wrapper=hiding("mount -t tmpfs -o ro tmpfs /run"))
    assert result["resolution"]


def test_check_mode_says_what_would_be_done_and_does_nothing(ansible: Ansible) -> None:
    before = loaded_programs()
    traced = ansible.module("ebpf_trace", {"programs": [OPENS]}, ("--check",))
    assert traced["would_trace"] == ["tracepoint syscalls/sys_enter_openat for 2 s"]
    assert "ebpf_results" not in traced
    planned = ansible.module("diagnose", {"issue": ISSUE, "model": "offline"}, ("--check",))
    assert planned["would"].startswith("Ask offline about this issue")
    assert "resolution" not in planned
    refused = ansible.module("ebpf_trace", {"programs": [{"target": "no/such"}]}, ("--check",))
    assert "no tracepoint no/such" in refused["msg"]
    assert loaded_programs() <= before


def test_a_diagnosis_gives_values_facts_and_a_record(ansible: Ansible) -> None:
    result = ansible.module("diagnose", {"issue": ISSUE, "model": "offline", "rounds": 1, "trace_seconds": 2})
    facts = result["ansible_facts"]
    for name in ("resolution", "rounds", "usage", "episode_id", "model"):
        assert facts[f"nannyapi_{name}"] == result[name]
    assert result["grounding"]["supported"]
    assert result["grounding"]["unsupported"] == facts["nannyapi_grounding"]["unsupported"] == []
    counts = {key: traced["event_count"] for key, traced in result["ebpf_results"].items()}
    assert {key: traced["event_count"] for key, traced in facts["nannyapi_ebpf_results"].items()} == counts
    assert [entry["id"] for entry in facts["nannyapi_command_results"]] == [
        entry["id"] for entry in result["command_results"]
    ]
    assert len(json.dumps(facts)) < 40_000
    assert result["model"] == "offline"
    assert result["sandbox"]["name"] == "bubblewrap"
    assert [entry["id"] for entry in result["command_results"] if "output" not in entry or entry.get("refused")] == []
    assert result["usage"]["calls"] >= 2
    assert any(traced["event_count"] > 0 for traced in result["ebpf_results"].values())
    record = Path(result["record"])
    assert record.stat().st_mode & 0o777 == 0o600
    assert json.loads(record.read_text())["diagnosis_id"] == result["diagnosis_id"]


def test_two_diagnoses_at_once_queue_or_the_second_is_refused(ansible: Ansible) -> None:
    arguments = {"issue": ISSUE, "model": "offline", "rounds": 1, "trace_seconds": 20}
    first = subprocess.Popen(
        ansible.command(str(playbook(ansible, [{"nannyapi.diagnostics.diagnose": arguments}])), ansible.local, {}),
        env=ansible.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    await_true(lambda: is_locked(LOCK))
    refused = ansible.module("diagnose", {**arguments, "lock_timeout": 0})
    assert f"Another diagnosis is under way on this host (of '{ISSUE}'" in refused["msg"]
    queued = ansible.module("diagnose", {**arguments, "trace_seconds": 1})
    assert queued["resolution"]
    output, _errors = first.communicate(timeout=120)
    assert first.returncode == 0, output


def playbook(ansible: Ansible, tasks: list[dict[str, Any]]) -> Path:
    path = ansible.local.parent / "background.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return path


def is_locked(path: Path) -> bool:
    """Whether some process holds the file's lock, as the kernel lists it."""
    if not path.exists():
        return False
    return any(
        line.split()[5].endswith(f":{path.stat().st_ino}") for line in Path("/proc/locks").read_text().splitlines()
    )


def test_tasks_can_run_in_the_background(ansible: Ansible) -> None:
    diagnosis = {"issue": ISSUE, "model": "offline", "rounds": 1, "trace_seconds": 1}
    run = ansible.tasks(
        [
            {"nannyapi.diagnostics.ebpf_trace": {"programs": [OPENS]}, "async": 60, "poll": 1, "register": "trace"},
            {"ansible.builtin.assert": {"that": ["trace.ebpf_results | length == 1"]}},
            {"nannyapi.diagnostics.diagnose": diagnosis, "async": 120, "poll": 1},
            {"ansible.builtin.assert": {"that": ["nannyapi_resolution.confidence in ['Low', 'Medium', 'High']"]}},
        ]
    )
    assert run.status == 0


@pytest.mark.parametrize(
    "task",
    [
        {"nannyapi.diagnostics.ebpf_trace": {"programs": [{**OPENS, "duration": 60}]}},
        {"nannyapi.diagnostics.diagnose": {"issue": ISSUE, "model": "offline"}},
    ],
    ids=["ebpf_trace", "diagnose"],
)
def test_interrupting_a_run_leaves_nothing(ansible: Ansible, task: dict[str, Any]) -> None:
    before = loaded_programs()
    command = ansible.command(str(playbook(ansible, [task])), ansible.local, {})
    run = subprocess.Popen(
        command,
        env=ansible.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    await_true(lambda: len(loaded_programs() - before) >= 3)
    os.killpg(run.pid, signal.SIGINT)
    output, _errors = run.communicate(timeout=30)
    assert run.returncode != 0
    assert "Traceback" not in output
    await_true(lambda: loaded_programs() <= before, 15)
    await_true(lambda: not processes_of_session(run.pid), 15)
    assert not is_locked(LOCK)


def processes_of_session(session: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_the_key_is_nowhere_in_what_is_printed(ansible: Ansible, tmp_path: Path) -> None:
    play = playbook(ansible, [{"nannyapi.diagnostics.diagnose": {"issue": ISSUE, "endpoint": "http://127.0.0.1:9/v1"}}])
    command = [*ansible.command(str(play), ansible.local, {}), "-vvvv"]
    run = subprocess.run(
        command,
        env=ansible.environment({"NANNYAPI_API_KEY": "sk-of-this-test-alone"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "could not be reached" in run.stdout
    assert "sk-of-this-test-alone" not in run.stdout + run.stderr


def test_a_report_is_as_its_schema_says(ansible: Ansible, tmp_path: Path) -> None:
    defaults = {"issue": ISSUE, "nannyapi_reports_dir": str(tmp_path / "reports")}
    run = ansible.playbook("nannyapi.diagnostics.diagnose", variables=defaults)
    assert run.status == 0
    schema = json.loads((REPOSITORY / "schemas" / "report.schema.json").read_text())
    report = json.loads((tmp_path / "reports" / "hosts" / "localhost.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["status"] == "diagnosed"
    assert report["host"] == "localhost"
    newest = max(event["timestamp"] for traced in report["ebpf_results"].values() for event in traced["events"])
    assert abs(time.time() - newest / 1e9) < 120


def test_a_failed_host_has_a_report_of_the_same_schema(ansible: Ansible, tmp_path: Path) -> None:
    run = ansible.playbook(
        "nannyapi.diagnostics.diagnose", variables={"issue": " ", "nannyapi_reports_dir": str(tmp_path)}
    )
    assert run.status != 0
    assert "The issue is empty" in run.output
    schema = json.loads((REPOSITORY / "schemas" / "report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads((tmp_path / "hosts" / "localhost.json").read_text()))
