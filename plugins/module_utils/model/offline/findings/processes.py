# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: failed units, crashes, storms of forks, zombies and processes that hang in the kernel."""

from __future__ import annotations

import re

from ..categories import PROCESS
from ..evidence import Evidence, counted, failures_of, name_of, number, who
from .finding import FAIR, STRONG, WEAK, Finding

_FORK = "sched/sched_process_fork"
_ALL_CALLS = "syscalls/sys_enter_*"
_FORKS_MANY = 200.0  # a second
_ZOMBIES_MANY = 5
_RECENT_SECONDS = 3600.0

_SEGFAULT = re.compile(r"^\[\s*(\d+\.\d+)\]\s+(?:traps: )?(\S+)\[(\d+)\]:? (segfault|general protection|trap)")


def find(evidence: Evidence) -> list[Finding]:
    """Failed units, crashes, fork storms, zombies and processes stuck in the kernel."""
    return [
        *_failed_units(evidence),
        *_crashes(evidence),
        *_no_more_processes(evidence),
        *_fork_storm(evidence),
        *_states(evidence),
    ]


def _failed_units(evidence: Evidence) -> list[Finding]:
    units = [line.split()[0].lstrip("●* ") for line in evidence.lines("failed_units") if line.split()]
    units = [name_of(unit) for unit in units if "." in unit]
    found = []
    for unit in units[:5]:
        short = unit.rpartition(".")[0]
        errors = [line for line in evidence.lines("journal_errors") if short in line]
        again = any("Start request repeated too quickly" in line or "Scheduled restart" in line for line in errors)
        seen = [f"`systemctl --failed` lists {unit}."]
        seen += [f"The journal's last error that names it: {name_of(errors[-1])}"] if errors else []
        found.append(
            Finding(
                PROCESS,
                f"The unit {unit} has failed" + (", after systemd had restarted it too often" if again else ""),
                STRONG if again else FAIR,
                len(errors),
                seen=seen,
                plan=[
                    f"Read why: `systemctl status {unit}` and `journalctl -u {unit} -n 50`.",
                    f"Remove the cause, then `systemctl reset-failed {unit}` and start it.",
                ],
                subjects=[unit, short],
            )
        )
    return found


def _crashes(evidence: Evidence) -> list[Finding]:
    """Crashes in the kernel's log of the last hour."""
    uptime = evidence.system.get("uptime_s")
    crashed: dict[str, list[int]] = {}
    for line in map(_SEGFAULT.match, evidence.lines("kernel_log")):
        recent = (
            isinstance(uptime, (int, float)) and uptime - float(line.group(1)) <= _RECENT_SECONDS if line else False
        )
        if line and recent:
            crashed.setdefault(name_of(line.group(2)), []).append(int(line.group(3)))
    return [
        Finding(
            PROCESS,
            f"{who(name, pids)} crashed {counted(len(pids), 'time')} within the last hour",
            STRONG,
            len(pids),
            seen=[f"The kernel's log has {counted(len(pids), 'crash', 'crashes')} of {name}."],
            plan=[
                f"Look for a core dump (`coredumpctl list {name}`) and at the log of {name} just before.",
                f"Check whether {name} or a library of it was updated lately.",
            ],
            subjects=[name],
        )
        for name, pids in crashed.items()
    ]


def _no_more_processes(evidence: Evidence) -> list[Finding]:
    """fork and clone that fail, from the failures among all system calls."""
    found = []
    for trace in evidence.traced(_ALL_CALLS):
        for group in failures_of(trace):
            if group.syscall in ("clone", "clone3", "fork", "vfork") and group.error in ("EAGAIN", "ENOMEM"):
                found.append(
                    Finding(
                        PROCESS,
                        f"{group.who} can start no more processes or threads ({group.error})",
                        STRONG,
                        group.count,
                        traced=[
                            f"{trace.key}: {group.syscall} failed {counted(group.count, 'time')} with {group.error}."
                        ],
                        plan=[
                            "Check its limits (/proc/PID/limits), pids.max of its control group, and `kernel.pid_max`.",
                            "Find what holds so many processes or threads: `ps -eLf | wc -l`.",
                        ],
                        subjects=[group.process],
                        pids=group.pids,
                    )
                )
    return found


def _fork_storm(evidence: Evidence) -> list[Finding]:
    found = []
    for trace in evidence.traced(_FORK):
        top = trace.entries("by_process")[:1]
        if trace.rate >= _FORKS_MANY and top:
            name, pid, count = (
                name_of(top[0].get("process_name")),
                number(top[0].get("process_id")),
                top[0].get("count"),
            )
            found.append(
                Finding(
                    PROCESS,
                    f"Processes and threads are started at a rate of {trace.rate:.0f} a second, most of them by"
                    f" {who(name, [pid])}",
                    FAIR,
                    trace.rate,
                    traced=[f"{trace.key}: {trace.count} forks {trace.window}, {count} of them by {who(name, [pid])}."],
                    plan=[f"Look at what {name} runs, and whether it could do it with fewer processes."],
                    subjects=[name],
                    pids=[pid],
                )
            )
    return found


def _states(evidence: Evidence) -> list[Finding]:
    """Zombies and processes in uninterruptible sleep, from ps (pid, ppid, user, stat, etimes, comm)."""
    zombies: dict[int, list[str]] = {}
    stuck: list[tuple[int, str]] = []
    names: dict[int, str] = {}
    for line in evidence.lines("stuck_processes"):
        words = line.split(None, 5)
        if len(words) == 6 and words[0].isdigit() and words[1].isdigit():
            pid, parent, name = int(words[0]), int(words[1]), name_of(words[5])
            names[pid] = name
            if words[3].startswith("Z"):
                zombies.setdefault(parent, []).append(name)
            elif words[3].startswith("D") and parent != 2:
                stuck.append((pid, name))
    found = []
    for parent, children in zombies.items():
        if len(children) >= _ZOMBIES_MANY:
            keeper = who(names.get(parent, "a process"), [parent])
            cause = f"{keeper} does not collect its children: {len(children)} zombies are left"
            plan = [f"Restart or repair {names.get(parent, 'the parent')}; zombies end with their parent."]
            seen = [f"`ps` shows {len(children)} zombies of {keeper}."]
            found.append(Finding(PROCESS, cause, FAIR, len(children), seen=seen, plan=plan, pids=[parent]))
    if stuck:
        listed = ", ".join(f"{name} (pid {pid})" for pid, name in stuck[:3])
        found.append(
            Finding(
                PROCESS,
                f"{counted(len(stuck), 'process', 'processes')} waited in the kernel, not to be interrupted: {listed}",
                FAIR if len(stuck) >= 3 else WEAK,
                len(stuck),
                seen=[f"`ps` shows state D for {listed}."],
                plan=[
                    "See what they wait for: `cat /proc/PID/stack` and `ps -o pid,wchan:32,comm`; disks and NFS first."
                ],
                subjects=[name for _pid, name in stuck],
                pids=[pid for pid, _name in stuck],
            )
        )
    return found


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    sentences = []
    units = evidence.commands.get("failed_units", {})
    if units.get("exit_code") == 0 and not _failed_units(evidence):
        sentences.append("no systemd unit has failed")
    # grep exits with 1 where it found none.
    if evidence.commands.get("stuck_processes", {}).get("exit_code") == 1:
        sentences.append("no zombies and no processes stuck in the kernel")
    return sentences
