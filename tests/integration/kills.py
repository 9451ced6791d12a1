# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnoses that are killed in a phase and gone on with: by the playbook, over real ssh, a real server as the model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hosts import Host, inventory, make_keys
from kernel_state import LoadTimes, await_true, loaded_programs
from stepping_model import SteppingModel

from playbooks import Ansible

ISSUE = "connections are slow"
SOLVED = {
    "response_type": "resolution",
    "root_cause": "nothing was found",
    "resolution_plan": "1. wait",
    "confidence": "Low",
    "ebpf_evidence": "",
}


def look(number: int, seconds: int) -> dict[str, Any]:
    """A reply that asks for a command and a trace of so many seconds."""
    program = {"name": f"calls{number}", "type": "tracepoint", "target": "syscalls/sys_enter_connect"}
    command = {"id": f"load{number}", "command": "cat /proc/loadavg", "description": ""}
    return {
        "response_type": "diagnostic",
        "reasoning": "",
        "commands": [command],
        "ebpf_programs": [{**program, "duration": seconds}],
    }


@contextmanager
def host_and_model(folder: Path) -> Iterator[tuple[Host, SteppingModel]]:
    """A host, and a model that it reaches."""
    with closing(Host("db", 3, make_keys(folder))) as host, SteppingModel(host.network_address) as model:
        try:
            yield host, model
        finally:
            model.shutdown()


class Diagnoses:
    """Diagnoses of one host with the playbook, as an operator runs them; `side` asks the model and has the records."""

    def __init__(self, ansible: Ansible, reached: tuple[Host, SteppingModel], folder: Path, side: str) -> None:
        host, model = self.host, self.model = reached
        self.loads = LoadTimes()
        self.before = loaded_programs()
        self._ansible = ansible
        self._inventory = inventory(host.keys, {host.name: host.address})
        self._environment = ansible.environment({"NANNYAPI_ENDPOINT": model.endpoint, "NANNYAPI_MODEL": "stepping"})
        self._reports = folder / "reports"
        self._variables = {
            "nannyapi_reports_dir": str(self._reports),
            "nannyapi_record_dir": str(folder / "records"),
            "nannyapi_model_access": side,
        }
        on_host = Path(f"/proc/{host.pid}/root/var/lib/nannyapi/diagnostics")
        self.records = on_host if side == "host" else folder / "records" / host.name
        for old in on_host.glob("*"):
            old.unlink()
        self.loads.start()

    def start(self, **variables: Any) -> subprocess.Popen[str]:
        """The playbook, in the background."""
        return subprocess.Popen(
            self._ansible.command("nannyapi.diagnostics.diagnose", self._inventory, {**self._variables, **variables}),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, **variables: Any) -> tuple[int, str]:
        """The playbook to its end: its status, and what it printed."""
        run = self.start(**variables)
        output = run.communicate(timeout=280)[0]
        print(output)
        return run.returncode, output

    def report(self) -> dict[str, Any]:
        """The report of the host."""
        report: dict[str, Any] = json.loads((self._reports / "hosts" / f"{self.host.name}.json").read_text())
        return report

    def record(self) -> dict[str, Any]:
        """The record; there is one."""
        (path,) = self.records.glob("*.json")
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    def workers(self) -> list[int]:
        """The processes that work on the diagnosis: who has its lock open."""
        locks = {(each.stat().st_dev, each.stat().st_ino) for each in self.records.glob("*.open")}
        found = []
        for entry in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                opened = entry.stat()
            except OSError:
                continue
            if (opened.st_dev, opened.st_ino) in locks:
                found.append(int(entry.parts[2]))
        return found

    def connections(self) -> list[int]:
        """The processes of sshd on the host that serve a connection."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes()
                if line.startswith(b"sshd: ") and b"listener" not in line:
                    same = os.readlink(entry.with_name("ns") / "pid") == os.readlink(f"/proc/{self.host.pid}/ns/pid")
                    found += [int(entry.parts[2])] if same else []
            except OSError:
                continue
        return found


def _begun(diagnoses: Diagnoses) -> None:
    """The record was begun, which is before the host is looked at."""
    await_true(lambda: any(diagnoses.records.glob("*.json")), every=0.01)


def _held(diagnoses: Diagnoses) -> None:
    """The model was asked and has not answered."""
    diagnoses.model.await_held()


def _tracing(diagnoses: Diagnoses) -> None:
    """The second round is being traced."""
    await_true(lambda: 1 in diagnoses.model.asked)
    first_round = _window(diagnoses.record()["rounds"][0])
    await_true(lambda: any(at > first_round[1] for at in diagnoses.loads.noted()))


@dataclass(frozen=True)
class _Phase:
    """`reached` waits for it. `hold`: the turn that the model holds back; `answered`, `complete`: turns and rounds."""

    reached: Callable[[Diagnoses], None]
    hold: int
    answered: int
    complete: int


PHASES = {
    "surveying": _Phase(_begun, 0, 0, 0),
    "model asked": _Phase(_held, 0, 0, 0),
    "evidence sent": _Phase(_held, 1, 1, 1),
    "tracing": _Phase(_tracing, -1, 2, 1),
    "resolution pending": _Phase(_held, 2, 2, 2),
}


def _kill_module(diagnoses: Diagnoses, _run: subprocess.Popen[str]) -> None:
    (worker,) = diagnoses.workers()
    os.kill(worker, signal.SIGKILL)


def _kill_controller(_diagnoses: Diagnoses, run: subprocess.Popen[str]) -> None:
    # Its forks are in the same process group, or, as of ansible-core 2.19, in groups of their own.
    for process in [*_descendants(run.pid), run.pid]:
        os.kill(process, signal.SIGKILL)


def _kill_connection(diagnoses: Diagnoses, _run: subprocess.Popen[str]) -> None:
    connections = diagnoses.connections()
    assert connections
    for process in connections:
        os.kill(process, signal.SIGKILL)


KILLS = {"module": _kill_module, "controller": _kill_controller, "connection": _kill_connection}


def _descendants(process: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def show_that_no_round_is_traced_twice(diagnoses: Diagnoses, kill: str, phase: str) -> None:
    """Kills a diagnosis and goes on with it; fails where that comes to no resolution, or does anything twice."""
    model, expected = diagnoses.model, PHASES[phase]
    # What is killed amid a trace has to be met there also by a machine that is busy.
    model.begin([look(1, 2), look(2, 8 if phase == "tracing" else 2), SOLVED], expected.hold)
    run = diagnoses.start(issue=ISSUE)
    expected.reached(diagnoses)
    KILLS[kill](diagnoses, run)
    # It ends by itself, also while the model does not answer, and leaves nothing in the kernel.
    await_true(lambda: not diagnoses.workers() and loaded_programs() <= diagnoses.before)
    over, asked = time.time(), len(model.asked)
    print(f"The {kill} was killed ({phase}) when the model had been asked {asked} times")
    model.go_on()
    run.communicate(timeout=120)
    broken = diagnoses.record()
    assert len(broken.get("rounds", [])) == expected.complete

    status, output = diagnoses.run(nannyapi_resume="latest")
    assert status == 0, output
    report = diagnoses.report()
    assert report["resolution"]["root_cause"] == SOLVED["root_cause"]
    assert (report["diagnosis_id"], report["issue"]) == (broken["diagnosis_id"], ISSUE)
    assert [each["id"] for each in report["command_results"]] == ["load1", "load2"]
    assert [each["program_name"] for each in report["ebpf_results"].values()] == ["calls1", "calls2"]
    assert not [each["error"] for each in report["ebpf_results"].values() if "error" in each]
    # What had been answered was not asked again.
    assert model.asked[asked:] == list(range(expected.answered, 3))

    await_true(lambda: loaded_programs() <= diagnoses.before)
    loads, windows = diagnoses.loads.end(), [_window(each) for each in report["rounds"]]
    traced = [[at for at in loads if begin <= at <= end] for begin, end in windows]
    assert [bool(loaded) for loaded in traced] == [True, True]
    # Each round that was complete was traced before the kill alone, and each other one after it alone.
    assert all(max(loaded) < over for loaded in traced[: expected.complete])
    assert all(min(loaded) > over for loaded in traced[expected.complete :])
    # Looking at a host may load programs as well; that is done anew where it was not complete.
    surveyed = over if "talk" in broken else windows[0][0]
    assert [at for at in loads if at > surveyed] == [at for loaded in traced[expected.complete :] for at in loaded]


def _window(completed: dict[str, Any]) -> tuple[float, float]:
    """From when to when a round was collected, in seconds since the epoch; recorded to the millisecond."""
    begin = datetime.fromisoformat(completed["started"]).timestamp() - 0.002
    return begin, begin + completed["collect_s"] + 0.004
