# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: memory that runs out, swapping, processes ended for want of it, and those that grow."""

from __future__ import annotations

import re

from ..categories import MEMORY
from ..evidence import Evidence, name_of, number, who
from .finding import FAIR, STRONG, Finding
from .load import pressure, vmstat

_LITTLE, _VERY_LITTLE = 0.10, 0.05
_GROWS_MIB = 16.0
_WAITS = 10.0  # percent of the last ten seconds
_SWAPS_KIB = 1000.0  # a second, in and out
_RECLAIMS = 10.0  # a second
_RECENT_SECONDS = 3600.0
_VICTIM, _RECLAIM = "oom/mark_victim", "vmscan/mm_vmscan_direct_reclaim_begin"
_ALLOCATE = ("kmem/mm_page_alloc", "__alloc_pages_nodemask")

_KILLED = re.compile(r"^\[\s*(\d+\.\d+)\].*[Kk]illed process (\d+) \(([^)]*)\)")


def meminfo(evidence: Evidence) -> dict[str, int]:
    """/proc/meminfo in KiB."""
    lines = (re.match(r"(\w+):\s+(\d+)", line) for line in evidence.lines("meminfo"))
    told = {line.group(1): int(line.group(2)) for line in lines if line}
    memory = evidence.system.get("memory_mib")
    if not told and isinstance(memory, dict):
        names = {"total": "MemTotal", "available": "MemAvailable", "swap_total": "SwapTotal", "swap_free": "SwapFree"}
        told = {name: number(memory.get(key)) * 1024 for key, name in names.items() if key in memory}
    return told


def find(evidence: Evidence) -> list[Finding]:
    """OOM kills, little memory, swapping and reclaiming, processes that grow."""
    return [*_kills(evidence), *_victims(evidence), *_little(evidence), *_busy_freeing(evidence), *_growing(evidence)]


def _plan(name: str) -> list[str]:
    return [
        f"Find out why {name} needs so much: a leak, a cache without a bound, or more work than it was made for.",
        f"Bound {name} (MemoryMax, its own settings), or give the host more memory.",
    ]


def _kills(evidence: Evidence) -> list[Finding]:
    uptime = evidence.system.get("uptime_s")
    killed: dict[str, list[int]] = {}
    for line in map(_KILLED.match, evidence.lines("oom_kills") or evidence.lines("kernel_log")):
        if line and isinstance(uptime, (int, float)) and uptime - float(line.group(1)) <= _RECENT_SECONDS:
            killed.setdefault(name_of(line.group(3)), []).append(int(line.group(2)))
    return [
        Finding(
            MEMORY,
            f"The kernel ended {who(name, pids)} within the last hour, because memory had run out",
            STRONG,
            50 + len(pids),
            seen=[f"The kernel's log says that it killed {who(name, pids)} for want of memory."],
            plan=_plan(name),
            subjects=[name, "oom"],
        )
        for name, pids in killed.items()
    ]


def _victims(evidence: Evidence) -> list[Finding]:
    found = []
    for trace in evidence.traced(_VICTIM):
        if trace.count:
            victims = [(name_of(data.get("comm") or "a process"), number(data.get("pid"))) for data in trace.data()]
            listed = ", ".join(who(name, [pid]) for name, pid in victims[:3]) or "a process"
            found.append(
                Finding(
                    MEMORY,
                    f"Memory ran out while tracing, and the kernel ended {listed}",
                    STRONG,
                    100 + trace.count,
                    traced=[f"{trace.key}: oom/mark_victim fired {trace.count} times {trace.window}, for {listed}."],
                    plan=_plan(victims[0][0] if victims else "the process"),
                    subjects=[name for name, _pid in victims[:3]] + ["oom"],
                )
            )
    return found


def _sizes(evidence: Evidence) -> list[dict[int, tuple[str, int]]]:
    """For each look of `ps`: pid → (name, resident KiB)."""
    looks: list[dict[int, tuple[str, int]]] = []
    for line in evidence.lines("largest"):
        words = line.split(None, 2)
        if words[:1] == ["PID"]:
            looks.append({})
        elif looks and len(words) == 3 and words[0].isdigit() and words[1].isdigit():
            looks[-1][int(words[0])] = (name_of(words[2]), int(words[1]))
    return looks


def _allocators(evidence: Evidence) -> list[str]:
    """A sentence on who takes pages, for findings that memory is short."""
    sentences = []
    for trace in evidence.traced(*_ALLOCATE):
        top = trace.entries("by_process")[:1]
        if top and trace.count:
            name = who(name_of(top[0].get("process_name")), [number(top[0].get("process_id"))])
            sentences.append(
                f"{trace.key}: of {trace.count} page allocations {trace.window} {top[0].get('count')} were by {name}."
            )
    return sentences


def _little(evidence: Evidence) -> list[Finding]:
    memory = meminfo(evidence)
    total, available = memory.get("MemTotal", 0), memory.get("MemAvailable", 0)
    if not total or "MemAvailable" not in memory or available >= _LITTLE * total:
        return []
    largest = max(
        (entry for look in _sizes(evidence)[-1:] for entry in look.items()), key=lambda each: each[1][1], default=None
    )
    whose = (
        f"; the largest process is {largest[1][0]} (pid {largest[0]}, {largest[1][1] // 1024} MiB)" if largest else ""
    )
    return [
        Finding(
            MEMORY,
            f"Memory is nearly used up: {available // 1024} MiB of {total // 1024} MiB are available{whose}",
            STRONG if available < _VERY_LITTLE * total else FAIR,
            100 * (1 - available / total),
            traced=_allocators(evidence),
            seen=[f"/proc/meminfo shows {available // 1024} MiB of {total // 1024} MiB available."],
            plan=_plan(largest[1][0] if largest else "the largest process"),
            subjects=[largest[1][0]] if largest else [],
            pids=[largest[0]] if largest else [],
        )
    ]


def _busy_freeing(evidence: Evidence) -> list[Finding]:
    """Swapping, reclaiming, and tasks that wait for memory."""
    waits, full = pressure(evidence, "memory"), pressure(evidence, "memory", "full")
    columns = vmstat(evidence)
    swaps = columns.get("si", 0.0) + columns.get("so", 0.0)
    reclaims = [trace for trace in evidence.traced(_RECLAIM) if trace.rate >= _RECLAIMS]
    if waits < _WAITS and swaps < _SWAPS_KIB and not reclaims:
        return []
    seen = [
        f"Something waited for memory during {waits:.0f} % of the last ten seconds, everything during {full:.0f} %."
    ]
    seen += [f"`vmstat` shows {swaps:.0f} KiB a second to and from swap."] if swaps else []
    traced = [
        f"{trace.key}: tasks had to free memory themselves {trace.count} times {trace.window}." for trace in reclaims
    ]
    for trace in reclaims:
        for entry in trace.entries("by_process")[:1]:
            name = who(name_of(entry.get("process_name")), [number(entry.get("process_id"))])
            traced.append(f"{trace.key}: {entry.get('count')} of them were {name}.")
    signs = sum((waits >= _WAITS, swaps >= _SWAPS_KIB, bool(reclaims)))
    cause = "Memory is short: tasks wait while it is freed" + (" and swapped" if swaps >= _SWAPS_KIB else "")
    plan = ["Find who uses it: `ps -eo pid,rss,comm --sort=-rss | head`.", "Bound that process, or add memory."]
    return [Finding(MEMORY, cause, STRONG if signs > 1 else FAIR, waits, traced=traced, seen=seen, plan=plan)]


def _growing(evidence: Evidence) -> list[Finding]:
    looks = _sizes(evidence)
    if len(looks) < 2:
        return []
    found = []
    for pid, (name, size) in looks[-1].items():
        before = looks[0].get(pid)
        was = before[1] if before and before[0] == name else size
        grown = (size - was) / 1024
        if grown >= _GROWS_MIB:
            found.append(
                Finding(
                    MEMORY,
                    f"{who(name, [pid])} grows: by {grown:.0f} MiB within 5 s, to {size // 1024} MiB",
                    FAIR,
                    grown,
                    traced=_allocators(evidence),
                    seen=[f"`ps` shows its resident size at {was // 1024} MiB, then at {size // 1024} MiB."],
                    plan=_plan(name),
                    subjects=[name],
                    pids=[pid],
                )
            )
    return found


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    sentences = []
    memory = meminfo(evidence)
    if memory.get("MemTotal") and "MemAvailable" in memory and not _little(evidence):
        sentences.append(f"memory is available ({100 * memory['MemAvailable'] / memory['MemTotal']:.0f} %)")
    if evidence.lines("pressure_memory") and not _busy_freeing(evidence):
        sentences.append("nothing waits for memory to be freed")
    if evidence.commands.get("oom_kills", {}).get("exit_code") == 0 and not _kills(evidence):
        sentences.append("nothing was killed for want of memory within the last hour")
    if len(_sizes(evidence)) > 1 and not _growing(evidence):
        sentences.append("none of the largest processes grows")
    return sentences
