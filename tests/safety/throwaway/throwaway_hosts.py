# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away hosts that jobs are run on: a virtual machine at a time, another one where a line was the end of one."""

from __future__ import annotations

import json
import secrets
import select
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jobs import Job

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
sys.path.append(str(REPOSITORY / "tests" / "kernels"))

import libraries  # noqa: E402
from images import Also  # noqa: E402
from machines import Boot, Machine, boot  # noqa: E402

PLACE = "/opt/throwaway"
_RECIPE: dict[str, Any] = yaml.safe_load((HERE / "machine.yml").read_text())
_ALSO = Also("throwaway", HERE / "programs.sh", tuple(_RECIPE["programs"]))
# Where nothing is said for so long the host hangs: a run takes at most its time, a comparison of all files minutes.
_SILENCE_SECONDS = 900.0
# What a line may take of the host without any fence, so that there is one to look at afterwards.
_UNFENCED_LIMITS = ("-p", "TasksMax=300", "-p", "MemoryMax=1200M")


@dataclass
class Trial:
    """What came of jobs: `results` by number; `ended` are those that the host did not outlive."""

    results: dict[int, dict[str, Any]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    deep: list[dict[str, Any]] = field(default_factory=list)
    hosts: int = 0
    seconds: float = 0.0

    def changed(self) -> dict[int, list[str]]:
        """The jobs after which the host was not as before, with what was found."""
        found = {number: said for number, one in self.results.items() if (said := one["seen"] + one["more"])}
        return {**found, **{number: ["the host went down, or hung"] for number in self.ended}}


def try_out(jobs: list[Job], folder: Path, limited: bool = False) -> Trial:
    """Runs all of the jobs. `folder` takes what hosts write. Raises MachineError, or RuntimeError."""
    trial, begun = Trial(), time.monotonic()
    waiting = list(jobs)
    while waiting:
        trial.hosts += 1
        with boot(_RECIPE["kernel"], folder / f"host-{trial.hosts}", also=_ALSO, more=_boot()) as host:
            _equip(host)
            while waiting and host.runs():
                broken_off = _run(host, waiting, trial, folder / f"host-{trial.hosts}", limited)
                if broken_off is None:
                    return _timed(trial, begun)
                trial.ended.append(broken_off)
                waiting = [job for job in waiting if job.number not in trial.results and job.number not in trial.ended]
                # What it left behind is not to be put on another line's account.
                host.close()
    return _timed(trial, begun)


def _timed(trial: Trial, begun: float) -> Trial:
    trial.seconds = time.monotonic() - begun
    return trial


def _boot() -> Boot:
    """The first process has a word in its environment; what no line is about is not started."""
    word = "".join(secrets.choice(string.ascii_letters) for _number in range(8))
    masked = " ".join(f"systemd.mask={unit}" for unit in _RECIPE["not_started"])
    # On a busy machine an emulated processor may get little time: nobody is to give up for it, or to complain of it.
    patient = "quiet log_buf_len=2M nowatchdog rcupdate.rcu_cpu_stall_suppress=1 systemd.default_timeout_start_sec=1800"
    return Boot(f"{patient} NANNYAPI_WORD={word * 6} {masked}", _RECIPE["boot_seconds"])


def _equip(host: Machine) -> None:
    """Puts what is tried, what tries it, and the libraries that the policy wants on the host."""
    host.put(libraries.provide(), libraries.PLACE)
    host.put(HERE / "guest", f"{PLACE}/guest")
    collection = "ansible_collections/nannyapi/diagnostics"
    with tempfile.TemporaryDirectory() as made:
        source = Path(made, collection)
        source.mkdir(parents=True)
        (source / "plugins").symlink_to(REPOSITORY / "plugins")
        packed = subprocess.run(
            ["tar", "-C", made, "--dereference", "--exclude=__pycache__", "-c", "."], check=True, stdout=subprocess.PIPE
        ).stdout
    subprocess.run(
        host.ssh_command(f"mkdir -p {PLACE}/src && tar -x -C {PLACE}/src"), input=packed, check=True, timeout=300
    )


def _run(host: Machine, jobs: list[Job], trial: Trial, folder: Path, limited: bool) -> int | None:
    """Runs jobs on a host until it has done all (None), or until one breaks it off (its number)."""
    text = json.dumps([job.data() for job in jobs])
    path = f"{PLACE}/jobs.json"
    subprocess.run(host.ssh_command(f"cat > {path}"), input=text.encode(), check=True, timeout=120)
    limits = " ".join(_UNFENCED_LIMITS) if limited else ""
    # A control group of its own: whatever is in there when a line is over is a line's.
    command = f"systemd-run -q --scope --unit=trial-{len(trial.ended)} {limits} python3 {PLACE}/guest/main.py {path}"
    begun: int | None = None
    ready = False
    with (folder / "said.log").open("ab") as log:
        running = subprocess.Popen(
            host.ssh_command(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
        try:
            for said in _lines(running):
                log.write(json.dumps(said).encode() + b"\n")
                log.flush()
                ready = ready or "ready" in said
                if "done" in said:
                    return None
                if "begun" in said:
                    begun = said["begun"]
                elif "deep" in said:
                    trial.deep.append(said)
                elif "number" in said:
                    _note(trial, said)
        finally:
            running.kill()
            running.wait()
    if not ready or begun is None:
        raise RuntimeError(f"The trial did not begin on the throw-away host; see {folder}/said.log")
    return begun


def _note(trial: Trial, said: dict[str, Any]) -> None:
    before = trial.results.get(said["number"])
    if before is not None:
        said = {**before, "more": before["more"] + said["more"]}
    trial.results[said["number"]] = said


def _lines(running: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert running.stdout is not None
    kept = b""
    while select.select([running.stdout], [], [], _SILENCE_SECONDS)[0]:
        chunk = running.stdout.read1(1 << 16)  # type: ignore[attr-defined]
        if not chunk:
            return
        *whole, kept = (kept + chunk).split(b"\n")
        for line in whole:
            with suppress(ValueError):
                yield json.loads(line)
