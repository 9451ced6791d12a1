# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which capabilities tracing takes, as measured on kernels. Private to the collection.

Measured on Linux 5.10, 6.1, 6.12 and newer by taking one capability after the other away from each thing that a trace
does (tests/privileges/measure.py, and what it said in tests/privileges/measured/). docs/privileges.md shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT, LENT, BEFORE, NOTHING = "kept", "lent", "done before", "needs none"


@dataclass(frozen=True)
class Need:
    """One thing that a trace does: the capabilities that it takes, and how the tracing process comes by it.

    `how`: KEPT (it has the capability), LENT (another process opens it and hands over the descriptor), BEFORE (done
    while it is still root), NOTHING. `measured`: the names that measure.py has for it, with
    kernel.perf_event_paranoid at `paranoid`.
    """

    what: str
    capabilities: tuple[str, ...]
    how: str
    measured: tuple[str, ...]
    why: str = ""
    paranoid: int = 2


NEEDS = (
    Need("create maps", ("BPF",), KEPT, ("create a map",)),
    Need(
        "load programs, attach them to raw tracepoints",
        ("BPF", "PERFMON"),
        KEPT,
        ("load a raw tracepoint program", "attach to a raw tracepoint", "load a program for perf events"),
    ),
    Need(
        "attach to tracepoints, and to functions by kprobes",
        ("BPF", "PERFMON"),
        KEPT,
        (
            "attach to a tracepoint by a perf event",
            "attach to a function's entry by a perf event",
            "attach to a function's return by a perf event",
        ),
        "where kernel.perf_event_paranoid is 2 or less",
    ),
    Need(
        "trace system calls, tracepoints and functions, from reading tracefs to reading the counts",
        ("BPF", "PERFMON", "DAC_READ_SEARCH"),
        KEPT,
        ("trace a system call", "trace a function"),
    ),
    Need(
        "read what tracefs and debugfs say of tracepoints and functions",
        ("DAC_READ_SEARCH",),
        KEPT,
        (
            "read tracefs",
            "read the list of functions with a hook",
            "read the list of functions that take no kprobe",
        ),
        "both are root's own folders",
    ),
    Need("name the kernel's code by its addresses", ("SYSLOG",), KEPT, ("read the addresses of functions",)),
    Need(
        "have the kernel measure what programs cost",
        ("SYS_ADMIN",),
        LENT,
        ("measure what programs cost",),
        "a descriptor; closing it ends the measuring",
    ),
    Need(
        "open perf events where a distribution's kernel has kernel.perf_event_paranoid at 3 or more",
        ("SYS_ADMIN",),
        LENT,
        (
            "attach to a tracepoint by a perf event",
            "attach to a function's entry by a perf event",
            "attach to a function's return by a perf event",
        ),
        "an event that is off, for a program that the tracing process loads itself",
        3,
    ),
    Need(
        "see where a thread waits",
        ("DAC_READ_SEARCH", "SYS_ADMIN", "SYS_PTRACE"),
        LENT,
        ("read where another user's thread waits",),
        "to tell a call that is under way from one whose return was missed",
    ),
    Need(
        "raise the limit for locked memory",
        ("SYS_RESOURCE",),
        BEFORE,
        ("raise the limit for locked memory",),
        "kernels before 5.11 charge maps to it",
    ),
    Need(
        "read the kernel's types and the names of functions, find cgroups, see processes, await programs",
        (),
        NOTHING,
        (
            "await running programs (membarrier)",
            "read the kernel's types (BTF)",
            "read the names of functions",
            "find a cgroup by its id",
            "see another user's process",
        ),
        "SYS_PTRACE where /proc is mounted with hidepid",
    ),
)

# What the tracing process has, and nothing beside it.
TRACING = tuple(sorted({name for need in NEEDS if need.how == KEPT for name in need.capabilities}))
# Where /proc shows each account its own processes only, and excepts no group.
SEES_ALL_PROCESSES = "SYS_PTRACE"
# The kernel that brought BPF and PERFMON.
SINCE = (5, 8)
