# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: processes that end and start over, cannot be started, hang or are left as zombies."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..categories import PROCESS
from ..evidence import Evidence, Trace, counted, failures_of, name_of, number, who
from .finding import FAIR, STRONG, WEAK, Finding

_EXEC = "syscalls/sys_enter_execve"
_EXIT = "sched/sched_process_exit"
_FORK = "sched/sched_process_fork"
_ALL_CALLS = "syscalls/sys_enter_*"
_ENDS_OFTEN = 5
# A loop of restarts goes on all the time; a script that runs many programs is done with it.
_SPREAD = 0.6
_FORKS_MANY = 200.0  # a second
_ZOMBIES_MANY = 5
_RECENT_SECONDS = 3600.0

# What scripts start all day; that they end is what they are for.
_SHORT_LIVED = frozenset(
    """sleep sh bash dash date cat grep sed awk cut tr sort head tail ls stat find ps id uname expr test true false echo
    basename dirname readlink mktemp rm cp mv touch wc tee env which getent hostname ip ss df du free uptime xargs git
    timeout python python3 perl ssh sshd sudo cron CRON run-parts systemctl journalctl sd-close (sd-exec-strv)
    ansible-playbook ansible ansible-playboo""".split()  # noqa: SIM905, a list of words reads better as words
)
_SHORT_LIVED_PREFIXES = ("dpkg", "apt", "rpm", "gcc", "cc1", "kworker", "systemd-", "man", "run-", "(")
# Where a search along PATH ends: a program that is not there either does not exist.
_PATH_ENDS = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
_EXEC_FAULTS = {
    "EACCES": "it may not be executed",
    "EPERM": "it may not be executed",
    "ENOEXEC": "it is not a program for this host",
    "E2BIG": "its arguments are too long",
    "EAGAIN": "the limit of processes is reached",
    "ENOMEM": "there is not enough memory",
    "ETXTBSY": "its file is being written",
    "ELIBBAD": "a library that it needs is corrupt",
}
_SEGFAULT = re.compile(r"^\[\s*(\d+\.\d+)\]\s+(?:traps: )?(\S+)\[(\d+)\]:? (segfault|general protection|trap)")


@dataclass
class _Ended:
    name: str
    count: int
    pids: list[int]


def find(evidence: Evidence) -> list[Finding]:
    """Restarts, failed units, crashes, failed starts, fork storms, zombies and processes stuck in the kernel."""
    return [
        *_failed_units(evidence),
        *_crashes(evidence),
        *_restarts(evidence),
        *_failed_starts(evidence),
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


def _restarts(evidence: Evidence) -> list[Finding]:
    found = []
    for trace in evidence.traced(_EXIT):
        for ended in _ended(trace):
            started = _started_as(evidence, ended.name)
            ordinary = ended.name in _SHORT_LIVED or ended.name.startswith(_SHORT_LIVED_PREFIXES)
            ordinary = ordinary or not _all_the_time(trace, ended.name)
            per_second = ended.count / trace.seconds if trace.seconds else 0.0
            traced = [f"{trace.key}: {ended.count} processes named {ended.name} ended {trace.window}."]
            traced += [started] if started else []
            found.append(
                Finding(
                    PROCESS,
                    f"{ended.name} does not stay alive: {ended.count} processes of that name ended {trace.window}"
                    + (f", about {per_second:.1f} a second" if per_second else ""),
                    WEAK if ordinary else FAIR,
                    ended.count,
                    traced=traced,
                    plan=[
                        f"Find who starts {ended.name} again and again: its parent, a timer or a supervisor.",
                        f"Run {ended.name} once by hand, or read its log, to see why it ends.",
                    ],
                    subjects=[ended.name],
                )
            )
    return found


def _all_the_time(trace: Trace, name: str) -> bool:
    """Whether the ends of processes of this name are spread over the trace, as far as the sample tells."""
    times = [
        number(event.get("timestamp"))
        for event in trace.entries("events")
        if name_of(event.get("process_name")) == name
    ]
    return len(times) < 3 or not trace.seconds or (max(times) - min(times)) / 1e9 >= _SPREAD * trace.seconds


def _ended(trace: Trace) -> list[_Ended]:
    """Names of which several processes ended, taken from the counts by process (one entry for each)."""
    names: dict[str, _Ended] = {}
    # Where a process goes on and only its threads end, the tracepoint says that its group is not dead.
    whole: dict[str, bool] = {}
    for data in trace.data():
        name = name_of(data.get("comm"))
        whole[name] = whole.get(name, False) or data.get("group_dead", 1) not in (0, False)
    for entry in trace.entries("by_process"):
        name = name_of(entry.get("process_name"))
        group = names.setdefault(name, _Ended(name, 0, []))
        # One process may end several threads: it counts once.
        group.count += 1
        group.pids.append(number(entry.get("process_id")))
    return [group for group in names.values() if group.count >= _ENDS_OFTEN and whole.get(group.name, True)]


def _started_as(evidence: Evidence, name: str) -> str:
    """A sentence on what was executed under this name, from the sample of execve."""
    for trace in evidence.traced(_EXEC):
        paths = [name_of(data.get("filename")) for data in trace.data() if "error" not in data]
        mine = sorted({path for path in paths if path.rpartition("/")[2][:15] == name})
        if mine:
            return f"{trace.key}: it was started as {', '.join(mine[:3])}."
    return ""


def _failed_starts(evidence: Evidence) -> list[Finding]:
    found = []
    for trace in evidence.traced(_EXEC):
        started = {name_of(data.get("filename")).rpartition("/")[2] for data in trace.data() if "error" not in data}
        for group in failures_of(trace):
            program = group.key.rpartition("/")[2]
            meaning = _EXEC_FAULTS.get(group.error)
            if group.error == "ENOENT" and group.count >= _ENDS_OFTEN and program not in started:
                meaning = "it does not exist" if _is_final(group.key) else None
            if meaning:
                found.append(
                    Finding(
                        PROCESS,
                        f"{group.who} cannot start {group.key or 'a program'}: {meaning} ({group.error},"
                        f" {counted(group.count, 'time')} {trace.window})",
                        STRONG if group.error not in ("ENOENT", "ETXTBSY") and group.count > 1 else FAIR,
                        group.count,
                        traced=[
                            f"{trace.key}: {counted(group.count, 'execve call')} of {group.who} for"
                            f" {group.key or 'an unnamed file'} failed with {group.error} {trace.window}."
                        ],
                        plan=[f"Check {group.key or 'the file'}: that it exists, its mode, owner and interpreter."],
                        subjects=[group.process, group.key, program],
                        pids=group.pids,
                    )
                )
    return found


def _is_final(path: str) -> bool:
    """Whether a program that is missing here is missed: not merely on the way along PATH."""
    directory = path.rpartition("/")[0]
    return directory in _PATH_ENDS or not directory.endswith(("bin", "sbin"))


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
    for trace in evidence.traced(_EXIT):
        if not any(finding.strength > WEAK for finding in _restarts(evidence)):
            sentences.append(f"no process ends and starts over ({trace.count} ends {trace.window}, {trace.key})")
    for trace in evidence.traced(_EXEC):
        if not _failed_starts(evidence):
            sentences.append(f"no program failed to start ({counted(trace.count, 'execve call')}, {trace.key})")
    units = evidence.commands.get("failed_units", {})
    if units.get("exit_code") == 0 and not _failed_units(evidence):
        sentences.append("no systemd unit has failed")
    # grep exits with 1 where it found none.
    if evidence.commands.get("stuck_processes", {}).get("exit_code") == 1:
        sentences.append("no zombies and no processes stuck in the kernel")
    return sentences
