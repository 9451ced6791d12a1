# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: processes that end and start over, again and again.

On a busy host the first round's list of ends is cut: who is suspected is then counted alone, by a second trace that
filters by name (`suspects`).
"""

from __future__ import annotations

import re
from collections import Counter

from ..categories import PROCESS
from ..evidence import Evidence, Trace, name_of, number
from .finding import FAIR, WEAK, Finding

EXIT = "sched/sched_process_exit"
_EXEC = "syscalls/sys_enter_execve"
_ENDS_OFTEN = 5
_SUSPECTED = 3
# A loop of restarts goes on all the time; a script that runs many programs is done with it.
_SPREAD = 0.6
_MOST_SUSPECTS = 2

# What scripts start all day; that they end is what they are for.
_SHORT_LIVED = frozenset(
    (
        *("sleep", "sh", "bash", "dash", "date", "cat", "grep", "sed", "awk", "mawk", "gawk", "cut", "tr", "sort"),
        *("head", "tail", "ls", "stat", "find", "ps", "id", "uname", "expr", "test", "true", "false", "echo", "wc"),
        *("basename", "dirname", "readlink", "mktemp", "rm", "cp", "mv", "touch", "tee", "env", "which", "getent"),
        *("hostname", "ip", "ss", "df", "du", "free", "uptime", "xargs", "git", "timeout", "python", "python3", "perl"),
        *("ssh", "sshd", "sudo", "cron", "CRON", "systemctl", "journalctl", "sd-close", "ansible", "tar", "gzip"),
    )
)
_SHORT_LIVED_PREFIXES = ("dpkg", "apt", "rpm", "gcc", "cc1", "kworker", "systemd-", "man", "run-", "(", "ansible-")


def find(evidence: Evidence) -> list[Finding]:
    """Names of which processes end over and over; each name once, from the trace that saw most of it."""
    best: dict[str, Finding] = {}
    for trace in evidence.traced(EXIT):
        for name, count in _ended(trace).items():
            if count >= _ENDS_OFTEN and (name not in best or best[name].weight < count):
                best[name] = _restarts(evidence, trace, name, count)
    return list(best.values())


def suspects(evidence: Evidence, issue: str) -> list[str]:
    """Names that should be counted alone: those that the issue names, then those that were seen to end repeatedly.

    None where the first round has found somebody already.
    """
    if any(finding.strength >= FAIR for finding in find(evidence)):
        return []
    seen: Counter[str] = Counter()
    for trace in evidence.traced(EXIT):
        seen.update(name_of(entry.get("process_name")) for entry in trace.entries("events"))
        seen.update(_ended(trace))
    words = set(re.findall(r"[\w.-]+", issue.lower()))
    named = [name for name in seen if name.lower() in words and len(name) > 2]
    repeated = [name for name, count in seen.most_common() if count >= _SUSPECTED and not _ordinary(name)]
    return [name for name in dict.fromkeys([*named, *repeated]) if name][:_MOST_SUSPECTS]


def _ordinary(name: str) -> bool:
    return name in _SHORT_LIVED or name.startswith(_SHORT_LIVED_PREFIXES)


def _restarts(evidence: Evidence, trace: Trace, name: str, count: int) -> Finding:
    started = _started_as(evidence, name)
    ordinary = _ordinary(name) or not _all_the_time(trace, name)
    rate = f", about {count / trace.seconds:.1f} a second" if trace.seconds else ""
    return Finding(
        PROCESS,
        f"{name} does not stay alive: {count} processes of that name ended {trace.window}{rate}",
        WEAK if ordinary else FAIR,
        count,
        traced=[f"{trace.key}: {count} processes named {name} ended {trace.window}."] + ([started] if started else []),
        plan=[
            f"Find who starts {name} again and again: its parent, a timer or a supervisor.",
            f"Run {name} once by hand, or read its log, to see why it ends.",
        ],
        subjects=[name],
    )


def _all_the_time(trace: Trace, name: str) -> bool:
    """Whether the ends of processes of this name are spread over the trace, as far as the sample tells."""
    events = [event for event in trace.entries("events") if name_of(event.get("process_name")) == name]
    times = [number(event.get("timestamp")) for event in events]
    return len(times) < 3 or not trace.seconds or (max(times) - min(times)) / 1e9 >= _SPREAD * trace.seconds


def _ended(trace: Trace) -> dict[str, int]:
    """How many processes of each name ended, from the counts by process (an entry for each process)."""
    ended: Counter[str] = Counter()
    for entry in trace.entries("by_process"):
        # One process may end several threads: it counts once.
        ended[name_of(entry.get("process_name"))] += 1
    filters = trace.result.get("filters")
    only = filters.get("comm") if isinstance(filters, dict) else None
    if only:
        ended = Counter({name_of(only): max(ended[name_of(only)], trace.count)})
    # Where a process goes on and only its threads end, the tracepoint says that its group is not dead.
    whole: dict[str, bool] = {}
    for data in trace.data():
        name = name_of(data.get("comm"))
        whole[name] = whole.get(name, False) or data.get("group_dead", 1) not in (0, False)
    return {name: count for name, count in ended.items() if name and whole.get(name, True)}


def _started_as(evidence: Evidence, name: str) -> str:
    """A sentence on what was executed under this name, from the sample of execve."""
    for trace in evidence.traced(_EXEC):
        paths = [name_of(data.get("filename")) for data in trace.data() if "error" not in data]
        mine = sorted({path for path in paths if path.rpartition("/")[2][:15] == name})
        if mine:
            return f"{trace.key}: {name} was started as {', '.join(mine[:3])}."
    return ""


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    if any(finding.strength > WEAK for finding in find(evidence)):
        return []
    return [
        f"no process was seen to end and start over ({trace.count} ends {trace.window}, {trace.key})"
        for trace in evidence.traced(EXIT)
        if not trace.result.get("filters")
    ]
