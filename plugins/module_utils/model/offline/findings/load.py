# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: CPUs, disks and the hypervisor, from what waits for them and who uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..categories import FILES, PERFORMANCE
from ..evidence import Evidence, counted, decimal, name_of
from .finding import FAIR, STRONG, WEAK, Finding

_IDLE_LITTLE = 10  # percent of all CPUs
_ONE_CPU = 90.0  # percent of one
_WAIT_FOR_CPU, _WAIT_FOR_DISK = 25.0, 20.0  # percent of the last ten seconds in which something waited
_BUSY_DISK = 90.0  # percent of the time
_STOLEN = 10


@dataclass(frozen=True)
class _User:
    pid: int
    name: str
    cpu: float


def find(evidence: Evidence) -> list[Finding]:
    """CPUs that are all busy, one process that uses a whole CPU, disks that are waited for, stolen time."""
    return [*_cpus(evidence), *_disks(evidence), *_stolen(evidence)]


def pressure(evidence: Evidence, what: str, kind: str = "some") -> float:
    """Percent of the last ten seconds in which something waited for `what`; 0.0 where that is not known."""
    line = next((line for line in evidence.lines(f"pressure_{what}") if line.startswith(kind)), "")
    found = re.search(r"avg10=(\d+\.\d+)", line)
    return float(found.group(1)) if found else 0.0


def vmstat(evidence: Evidence) -> dict[str, float]:
    """vmstat's columns, the mean of its samples without the first (which is since boot)."""
    lines = [line.split() for line in evidence.lines("vmstat")]
    names = next((words for words in lines if "id" in words and "si" in words), [])
    rows = [words for words in lines if words and len(words) == len(names) and all(word.isdigit() for word in words)][
        1:
    ]
    return {name: sum(int(row[index]) for row in rows) / len(rows) for index, name in enumerate(names)} if rows else {}


def busiest(evidence: Evidence) -> list[_User]:
    """The processes that use the CPUs now: those of top's second look."""
    looks: list[list[_User]] = []
    for line in evidence.lines("top"):
        words = line.split(None, 11)
        if words[:2] == ["PID", "USER"]:
            looks.append([])
        elif looks and len(words) == 12 and words[0].isdigit():
            looks[-1].append(_User(int(words[0]), name_of(words[11]), decimal(words[8])))
    return sorted(looks[-1], key=lambda user: -user.cpu) if len(looks) > 1 else []


def _cpus(evidence: Evidence) -> list[Finding]:
    users = [user for user in busiest(evidence) if user.cpu >= _ONE_CPU / 2]
    columns = vmstat(evidence)
    load, cpus = decimal(evidence.output("load")), evidence.cpus()
    waits = pressure(evidence, "cpu")
    all_busy = bool(columns) and columns["id"] <= _IDLE_LITTLE and columns["wa"] < _WAIT_FOR_DISK
    seen = [f"`vmstat` shows {columns['id']:.0f} % idle and {columns['r']:.0f} tasks to run."] if columns else []
    seen += [f"Something waited for a CPU during {waits:.0f} % of the last ten seconds."] if waits else []
    seen += [f"`top` shows {user.name} (pid {user.pid}) at {user.cpu:.0f} % of a CPU." for user in users[:3]]
    seen += [f"The load is {load:.1f} on {counted(cpus, 'CPU')}."] if load else []
    listed = ", ".join(f"{user.name} (pid {user.pid}, {user.cpu:.0f} % of a CPU)" for user in users[:3])
    plan = [
        f"Find out what {users[0].name if users else 'the busiest process'} is doing, and whether it should.",
        "Limit it (CPUQuota, nice), spread it, or add CPUs.",
    ]
    subjects, pids = [user.name for user in users[:3]], [user.pid for user in users[:3]]
    if all_busy and (waits >= _WAIT_FOR_CPU or load > cpus):
        cause = "All CPUs are busy and tasks wait for them" + (f"; most is used by {listed}" if listed else "")
        strength = STRONG if users else FAIR
        return [Finding(PERFORMANCE, cause, strength, waits, seen=seen, plan=plan, subjects=subjects, pids=pids)]
    whole = [user for user in users if user.cpu >= _ONE_CPU]
    if whole:
        cause = f"{whole[0].name} (pid {whole[0].pid}) uses {whole[0].cpu:.0f} % of a CPU, while others have time left"
        return [Finding(PERFORMANCE, cause, FAIR, whole[0].cpu, seen=seen, plan=plan, subjects=subjects, pids=pids)]
    return []


def disk_use(evidence: Evidence) -> dict[str, float]:
    """Percent of the time that each disk was busy between two readings of /proc/diskstats (field 13, ms)."""
    readings: dict[str, list[int]] = {}
    for line in evidence.lines("disks"):
        words = line.split()
        if len(words) >= 14 and words[12].isdigit() and not re.match(r"loop|ram|zram|sr\d|dm-", words[2]):
            readings.setdefault(words[2], []).append(int(words[12]))
    return {name: (two[1] - two[0]) / 5000 * 100 for name, two in readings.items() if len(two) == 2}


def _disks(evidence: Evidence) -> list[Finding]:
    waits, full = pressure(evidence, "io"), pressure(evidence, "io", "full")
    busy = {name: percent for name, percent in disk_use(evidence).items() if percent >= _BUSY_DISK}
    if waits < _WAIT_FOR_DISK and not busy:
        return []
    most = max(busy, key=lambda name: busy[name]) if busy else ""
    cause = (
        "Processes wait for the disks" if waits >= _WAIT_FOR_DISK else f"The disk {most} is busy nearly all the time"
    )
    seen = [
        f"Something waited for a disk during {waits:.0f} % of the last ten seconds, everything during {full:.0f} %."
    ]
    seen += [f"The disk {name} was busy {min(percent, 100):.0f} % of 5 s." for name, percent in busy.items()]
    plan = ["Find who reads and writes: `pidstat -d 1 5`.", "Move, limit or postpone that work, or use a faster disk."]
    strength = STRONG if busy and waits >= _WAIT_FOR_DISK else FAIR
    return [Finding(PERFORMANCE if waits >= _WAIT_FOR_DISK else FILES, cause, strength, waits, seen=seen, plan=plan)]


def _stolen(evidence: Evidence) -> list[Finding]:
    stolen = vmstat(evidence).get("st", 0.0)
    if stolen < _STOLEN:
        return []
    cause = f"The hypervisor gives this host too little CPU: {stolen:.0f} % of its time is stolen"
    seen = [f"`vmstat` shows {stolen:.0f} % steal time."]
    plan = ["Ask whoever runs the hypervisor: too many guests on that machine, or a CPU limit on this one."]
    return [Finding(PERFORMANCE, cause, STRONG if stolen >= 2 * _STOLEN else FAIR, stolen, seen=seen, plan=plan)]


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    sentences = []
    columns = vmstat(evidence)
    if columns and not _cpus(evidence):
        sentences.append(f"the CPUs have time left ({columns['id']:.0f} % idle)")
    if (evidence.lines("pressure_io") or evidence.lines("disks")) and not _disks(evidence):
        sentences.append(
            f"the disks keep up ({pressure(evidence, 'io'):.0f} % of the last ten seconds waited for them)"
        )
    if columns and WEAK <= columns.get("st", 0.0) < _STOLEN:
        sentences.append(f"the hypervisor takes {columns['st']:.0f} % of the time")
    return sentences
