# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what is asked of a host for each category, as data.

The programs are those of the protocol's table. Where a host has no kprobes, the tracepoint nearest to the function
stands in. Commands are asked for together with the programs, so that one checks the other; those that measure a rate
look twice, some seconds apart, and those that measure the CPUs wait until the programs have been compiled. Outputs are
kept small: what a model is shown of a round is bounded.
"""

from __future__ import annotations

import re
from typing import Any

from .categories import FILES, MEMORY, NETWORK, PERFORMANCE, PROCESS

BROAD = "broad"
DURATION = 10
"""Seconds that a program traces."""

_TCP_COUNTERS = "nstat -z TcpOutSegs TcpRetransSegs TcpExtListenOverflows TcpExtListenDrops TcpExtTCPSynRetrans"
_MEMORY_LINES = "^(MemTotal|MemFree|MemAvailable|SwapTotal|SwapFree|Slab|Committed_AS|CommitLimit):"
# Only those in the states D (in the kernel, not to be interrupted) and Z (zombie): a host has hundreds of others.
_IN_TROUBLE = "ps -eo pid,ppid,user,stat,etimes,comm --no-headers | grep -E '^ *[0-9]+ +[0-9]+ +[^ ]+ +[DZ]'"
_LARGEST = "ps -eo pid,rss,comm --sort=-rss | head -n 10"

# id → (command line, what it is for)
COMMANDS: dict[str, tuple[str, str]] = {
    "listeners": ("ss -H -tlnp", "who listens on which TCP port, and how full its queue is"),
    "unanswered": ("ss -H -tanp state syn-sent", "TCP connections that wait for a first answer"),
    "addresses": ("ip -br addr", "interfaces and addresses"),
    "routes": ("ip route", "routes"),
    "resolver": ("cat /etc/resolv.conf", "which name servers are asked"),
    "tcp_counters": (f"{_TCP_COUNTERS}; sleep 5; {_TCP_COUNTERS}", "the kernel's TCP counters, twice"),
    "stuck_processes": (_IN_TROUBLE, "zombies, and processes that wait in the kernel"),
    "failed_units": ("systemctl --failed --no-legend --plain", "services that failed"),
    "journal_errors": ("journalctl -p err -n 40 --since '1 hour ago' -o short-iso", "errors of the last hour"),
    "kernel_log": ("dmesg --level=emerg,alert,crit,err,warn | tail -n 120", "what the kernel complained about"),
    "space": ("df -PT", "how full file systems are"),
    "inodes": ("df -Pi", "how many inodes are left"),
    "mounts": ("cat /proc/mounts", "what is mounted, and how"),
    "open_files": ("cat /proc/sys/fs/file-nr", "open files of the whole host, and the limit"),
    "disks": ("cat /proc/diskstats; sleep 5; cat /proc/diskstats", "the disks' counters, twice"),
    "pressure_cpu": ("cat /proc/pressure/cpu", "how much waits for CPU"),
    "pressure_io": ("cat /proc/pressure/io", "how much waits for disks"),
    "pressure_memory": ("cat /proc/pressure/memory", "how much waits for memory"),
    "load": ("cat /proc/loadavg", "load and number of processes"),
    "vmstat": ("sleep 4; vmstat -n 1 4", "run queue, swapping, CPU by kind"),
    "top": ("sleep 4; top -b -n 2 -d 2 -o %CPU -w 120 | grep -A 5 'PID USER'", "who uses the CPUs now"),
    "meminfo": (f"grep -E '{_MEMORY_LINES}' /proc/meminfo", "memory"),
    "largest": (f"{_LARGEST}; sleep 5; {_LARGEST}", "the largest processes, twice"),
    "oom_kills": (
        "dmesg | grep -i -E 'out of memory|oom-kill|killed process' | tail -n 20",
        "processes that the kernel ended for want of memory",
    ),
    "clock": ("timedatectl show", "whether the clock is synchronised"),
}

# name → (target as tracepoint, or a kprobe's function with the tracepoint that stands in, what it is for)
PROGRAMS: dict[str, tuple[str, str | None, str]] = {
    "connects": ("syscalls/sys_enter_connect", None, "who connects where, and with what result"),
    "tcp_connects": ("sock/inet_sock_set_state", None, "how TCP connections come and go"),
    "tcp_sends": ("tcp/tcp_retransmit_skb", None, "what is sent, or sent again"),
    "receives": ("syscalls/sys_enter_recvfrom", None, "answers that did not come, such as a name server's"),
    "execs": ("syscalls/sys_enter_execve", None, "which programs are started"),
    "exits": ("sched/sched_process_exit", None, "which processes end"),
    "forks": ("sched/sched_process_fork", "do_fork", "which processes start others"),
    "opens": ("syscalls/sys_enter_openat", None, "which files are opened, and with what result"),
    "reads": ("syscalls/sys_enter_read", None, "who reads, and with what result"),
    "writes": ("syscalls/sys_enter_write", None, "who writes, and with what result"),
    "syscalls": ("syscalls/sys_enter_*", None, "which system calls are made, and by whom"),
    "switches": ("sched/sched_switch", None, "how the CPUs are shared"),
    "interrupts": ("irq/irq_handler_entry", None, "how often devices interrupt"),
    "page_allocations": ("kmem/mm_page_alloc", "__alloc_pages_nodemask", "who takes memory"),
    "page_frees": ("kmem/mm_page_free", "__free_pages", "who gives memory back"),
    "kmallocs": ("kmem/kmalloc", None, "what the kernel takes for itself"),
    "oom_victims": ("oom/mark_victim", None, "whom the kernel ends for want of memory"),
    "reclaims": ("vmscan/mm_vmscan_direct_reclaim_begin", None, "who has to wait while memory is freed"),
}

_PLANS: dict[str, tuple[list[str], list[str]]] = {
    NETWORK: (
        ["tcp_counters", "listeners", "unanswered", "addresses", "routes", "resolver"],
        ["connects", "tcp_connects", "tcp_sends", "receives"],
    ),
    PROCESS: (
        ["stuck_processes", "failed_units", "journal_errors", "kernel_log"],
        ["execs", "exits", "forks"],
    ),
    FILES: (
        ["space", "inodes", "mounts", "kernel_log", "open_files", "disks", "pressure_io"],
        ["opens", "reads", "writes"],
    ),
    PERFORMANCE: (
        ["load", "top", "vmstat", "pressure_cpu", "pressure_io", "stuck_processes", "disks"],
        ["syscalls", "switches", "interrupts"],
    ),
    MEMORY: (
        ["meminfo", "pressure_memory", "largest", "oom_kills", "vmstat"],
        ["page_allocations", "page_frees", "kmallocs", "oom_victims", "reclaims"],
    ),
    BROAD: (
        [
            *(
                "load",
                "top",
                "vmstat",
                "pressure_cpu",
                "pressure_io",
                "pressure_memory",
                "meminfo",
                "oom_kills",
                "space",
            ),
            *("inodes", "failed_units", "stuck_processes", "kernel_log", "listeners", "tcp_counters"),
        ],
        ["connects", "opens", "writes", "execs", "exits", "syscalls", "oom_victims", "reclaims"],
    ),
}

# Functions that are asked for besides, where a host has kprobes: evidence for a person. What is concluded is concluded
# from the tracepoints, which tell the result and the duration of a call, the states of a connection.
_FUNCTIONS: dict[str, dict[str, str]] = {
    NETWORK: {
        "tcp_connect": "who connects by TCP, and where to",
        "tcp_sendmsg": "who sends how much by TCP, and where to",
    },
    FILES: {"vfs_read": "which files are read, and by whom", "vfs_write": "which files are written, and by whom"},
    PERFORMANCE: {"schedule": "who gives up a CPU"},
}

_CLOCK = re.compile(r"\b(clock|ntp|chrony|time ?(sync|zone|drift|skew)|wrong time|certificate|expired|kerberos)", re.I)
_NAME = re.compile(r"\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}\b", re.I)
# What ends like a host name and is none.
_FILE_ENDINGS = (
    "conf",
    "log",
    "service",
    "py",
    "sh",
    "json",
    "yml",
    "yaml",
    "txt",
    "so",
    "socket",
    "timer",
    "cfg",
    "js",
)
_MOST_NAMES = 3


def first_request(
    issue: str, categories: list[str], capabilities: dict[str, Any], limits: dict[str, Any]
) -> dict[str, Any]:
    """The first diagnostic: commands and programs of all `categories` (of everything, where there are none)."""
    plans = [_PLANS[category] for category in categories] or [_PLANS[BROAD]]
    commands = [*_about_the_issue(issue), *(_command(name) for name in _in_turn([plan[0] for plan in plans]))]
    programs = [_program(name, capabilities, limits) for name in _in_turn([plan[1] for plan in plans])]
    if _has_kprobes(capabilities):
        programs += [
            _asked(function, "kprobe", function, description, limits)
            for category in categories
            for function, description in _FUNCTIONS.get(category, {}).items()
        ]
    return {
        "commands": commands[: _limit(limits, "commands_per_round", 16)],
        "ebpf_programs": programs[: _limit(limits, "programs_per_round", 8)],
    }


def named_hosts(issue: str) -> list[str]:
    """Host names that the issue names."""
    found = [
        name for name in _NAME.findall(issue) if not name.lower().endswith(tuple(f".{end}" for end in _FILE_ENDINGS))
    ]
    return list(dict.fromkeys(found))[:_MOST_NAMES]


def _about_the_issue(issue: str) -> list[dict[str, str]]:
    commands = [
        {"id": f"resolve_{name}", "command": f"getent ahosts {name}", "description": f"whether {name} resolves here"}
        for name in named_hosts(issue)
    ]
    return [*commands, _command("clock")] if _CLOCK.search(issue) else commands


def _in_turn(lists: list[list[str]]) -> list[str]:
    """The first of each list, then the second of each …, each name once: a cut at the end then hits all alike."""
    longest = max(map(len, lists))
    names = [names[position] for position in range(longest) for names in lists if position < len(names)]
    return list(dict.fromkeys(names))


def _command(name: str) -> dict[str, str]:
    line, description = COMMANDS[name]
    return {"id": name, "command": line, "description": description}


def _program(name: str, capabilities: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    tracepoint, function, description = PROGRAMS[name]
    kind, target = "tracepoint", tracepoint
    if function and _has_kprobes(capabilities):
        kind, target = "kprobe", function
    return _asked(name, kind, target, description, limits)


def _asked(name: str, kind: str, target: str, description: str, limits: dict[str, Any]) -> dict[str, Any]:
    longest = limits.get("longest_trace_seconds")
    duration = min(DURATION, longest) if isinstance(longest, (int, float)) and longest >= 1 else DURATION
    return {
        "name": name,
        "type": kind,
        "target": target,
        "duration": duration,
        "filters": {},
        "description": description,
    }


def _has_kprobes(capabilities: dict[str, Any]) -> bool:
    types = capabilities.get("probe_types")
    kprobe = types.get("kprobe") if isinstance(types, dict) else None
    return isinstance(kprobe, dict) and kprobe.get("available") is True


def _limit(limits: dict[str, Any], key: str, default: int) -> int:
    value = limits.get(key)
    return int(value) if isinstance(value, (int, float)) and value > 0 else default
