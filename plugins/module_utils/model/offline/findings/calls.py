# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: who makes very many system calls, and how often the CPUs are interrupted or switched."""

from __future__ import annotations

from ..categories import PERFORMANCE
from ..evidence import Evidence, Trace, name_of, number, who
from .finding import FAIR, WEAK, Finding

_ALL_CALLS = "syscalls/sys_enter_*"
_INTERRUPT, _SWITCH = "irq/irq_handler_entry", "sched/sched_switch"
_MANY_CALLS = 50_000.0  # a second, of one process
_MANY_FAILURES = 1_000.0  # a second, of one process
_MANY_INTERRUPTS = 20_000.0  # a second and CPU
_MANY_SWITCHES = 50_000.0  # a second and CPU


def find(evidence: Evidence) -> list[Finding]:
    """Processes that spin on system calls, storms of interrupts and of context switches."""
    found = [finding for trace in evidence.traced(_ALL_CALLS) for finding in _callers(trace)]
    found += _storm(evidence, _INTERRUPT, _MANY_INTERRUPTS, "Devices interrupt the CPUs")
    return found + _storm(evidence, _SWITCH, _MANY_SWITCHES, "The CPUs switch between tasks")


def _callers(trace: Trace) -> list[Finding]:
    found = []
    for entry in trace.entries("by_process"):
        count, errors = number(entry.get("count")), number(entry.get("errors"))
        a_second = count / trace.seconds if trace.seconds else 0.0
        name, pid = name_of(entry.get("process_name")), number(entry.get("process_id"))
        spins = errors >= 0.9 * count and trace.seconds and errors / trace.seconds >= _MANY_FAILURES
        if a_second < _MANY_CALLS and not spins:
            continue
        cause = f"{who(name, [pid])} makes {a_second:.0f} system calls a second"
        cause += f", of which {100 * errors // max(1, count)} % fail" if spins else ""
        found.append(
            Finding(
                PERFORMANCE,
                cause,
                FAIR,
                a_second,
                traced=[
                    f"{trace.key}: {count} of {trace.count} system calls {trace.window} were made by {who(name, [pid])}"
                    f"{f', {errors} of them failed' if errors else ''}{_most_frequent(trace)}."
                ],
                plan=[
                    f"See which calls they are: an eBPF program on syscalls/sys_enter_* with the filter pid {pid}.",
                    f"Check whether {name} polls, or reads and writes in very small pieces.",
                ],
                subjects=[name],
                pids=[pid],
            )
        )
    return found


def _most_frequent(trace: Trace) -> str:
    calls = trace.result.get("by_syscall")
    top = sorted(calls.items(), key=lambda item: -number(item[1]))[:3] if isinstance(calls, dict) else []
    return "; the most frequent of all were " + ", ".join(f"{name} ({count})" for name, count in top) if top else ""


def _storm(evidence: Evidence, target: str, many: float, what: str) -> list[Finding]:
    found = []
    for trace in evidence.traced(target):
        each = trace.rate / evidence.cpus()
        if each >= many:
            traced = [f"{trace.key}: {trace.target} fired {trace.count} times {trace.window}."]
            cause = f"{what} {each:.0f} times a second and CPU"
            plan = ["See what causes it: `cat /proc/interrupts`, `pidstat -w 1 5`."]
            found.append(
                Finding(PERFORMANCE, cause, FAIR if each >= 2 * many else WEAK, each, traced=traced, plan=plan)
            )
    return found


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    return [
        f"no process makes excessively many system calls ({trace.rate:.0f} a second in all, {trace.key})"
        for trace in evidence.traced(_ALL_CALLS)
        if not _callers(trace)
    ]
