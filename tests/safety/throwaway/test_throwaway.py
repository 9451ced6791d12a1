# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every hostile line, run for real on a host that is thrown away, with one fence at a time; and with none.

With either fence alone the host is the same as before. Without any it is not, which shows that the looks see.
"""

from __future__ import annotations

import collections
import json
import platform
from pathlib import Path

import corpus
import pytest
import yaml
from jobs import Job, look_kind, policy_jobs, sandbox_jobs, unfenced_jobs
from report import REPORT, merge
from throwaway_hosts import HERE, Trial, try_out

CASES = corpus.hostile()
FATAL = set(yaml.safe_load((HERE / "fatal.yml").read_text()))

if platform.machine() != "x86_64":
    pytest.skip("the throw-away hosts are x86_64, and are not emulated on other machines", allow_module_level=True)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("throwaway")


def told(jobs: list[Job], trial: Trial) -> list[str]:
    """The jobs after which the host was not as before, for a person and for the report."""
    by_number = {job.number: job for job in jobs}
    return [
        f"{by_number[number].where} ({by_number[number].way}) `{by_number[number].line}`: {'; '.join(said)}"
        for number, said in sorted(trial.changed().items())
    ]


def report(name: str, jobs: list[Job], trial: Trial) -> list[str]:
    """Writes what one fence did by itself into the report; the lines that got through it."""
    by_number = {job.number: job for job in jobs}
    changed = sorted({by_number[number].where for number in trial.changed()})
    ran = [number for number, one in trial.results.items() if one["ran"]] + trial.ended
    alone = {
        "lines": len({by_number[number].where for number in ran}),
        "runs": len(ran),
        "changed_the_host": len(changed),
        "changed": changed,
        "hosts": trial.hosts,
        "seconds": round(trial.seconds),
    }
    merge("hostile", {name: alone})
    return changed


def test_no_hostile_line_changes_a_host_with_the_sandbox_alone(places: Path) -> None:
    jobs = sandbox_jobs(CASES)
    assert {job.where for job in jobs} == {case.where for case in CASES}
    show_that_none_changes_a_host("sandbox_alone", jobs, places / "sandbox")


def test_no_hostile_line_changes_a_host_with_the_policy_alone(places: Path) -> None:
    show_that_none_changes_a_host("policy_alone", policy_jobs(CASES), places / "policy")


def show_that_none_changes_a_host(name: str, jobs: list[Job], folder: Path) -> None:
    trial = try_out(jobs, folder)
    changed = report(name, jobs, trial)
    hostile = json.loads(REPORT.read_text())["hostile"]
    with_either = [
        hostile[fence]["changed_the_host"] for fence in ("sandbox_alone", "policy_alone") if fence in hostile
    ]
    merge("hostile", {"changed_the_host": sum(with_either)})
    assert {*trial.results, *trial.ended} == {job.number for job in jobs}, "jobs were left out"
    # A change that only the comparison of all files saw belongs to one of the lines before it.
    assert not trial.deep, trial.deep
    assert not changed, "\n".join(told(jobs, trial))


def test_without_any_fence_the_looks_see_what_the_lines_do(places: Path) -> None:
    jobs = unfenced_jobs(CASES, FATAL)
    trial = try_out(jobs, places / "unfenced", limited=True)
    tried: collections.Counter[str] = collections.Counter()
    noticed: collections.Counter[str] = collections.Counter()
    unnoticed = []
    for job in jobs:
        kind = look_kind(job.look)
        tried[kind] += 1
        if job.number in trial.ended or trial.results[job.number]["seen"]:
            noticed[kind] += 1
        else:
            unnoticed.append(job.where)
    merge(
        "hostile",
        {
            "unfenced_tried": len(jobs),
            "unfenced_noticed": sum(noticed.values()),
            "unfenced_by_look": {kind: [noticed[kind], tried[kind]] for kind in sorted(tried)},
            "unfenced_unnoticed": unnoticed,
        },
    )
    never = sorted(kind for kind in tried if not noticed[kind])
    assert not never, f"looks that never saw anything: {never}"
