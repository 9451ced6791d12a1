# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the second round, which looks at those whom the first one found.

It is asked for only where it adds something: what the processes are that were named (their command lines, who started
them, their units), and whether the way to an address that does not answer exists.
"""

from __future__ import annotations

import re
from typing import Any

from .evidence import Evidence, name_of
from .findings import restarts
from .findings.finding import FAIR, Finding
from .requests import DURATION

_MOST_PROCESSES = 3
_MOST_ADDRESSES = 2
_ADDRESS = re.compile(r"^\[?([0-9a-fA-F:.]+?)\]?:\d+$")


def second_request(found: list[Finding]) -> list[dict[str, str]]:
    """Commands that look closer at the findings (the likeliest first); none where there is nothing to add."""
    sure = [finding for finding in found if finding.strength >= FAIR]
    pids = list(dict.fromkeys(pid for finding in sure for pid in finding.pids if pid > 0))[:_MOST_PROCESSES]
    addresses = list(dict.fromkeys(place for finding in sure for place in finding.addresses))
    commands = [command for pid in pids for command in _about_process(pid)]
    return commands + [command for place in addresses[:_MOST_ADDRESSES] for command in _about_address(place)]


def second_programs(evidence: Evidence, issue: str, limits: dict[str, Any]) -> list[dict[str, Any]]:
    """Programs that count a suspect alone, where the first round's list of ended processes was cut."""
    longest = limits.get("longest_trace_seconds")
    return [
        {
            "name": f"exits_of_{re.sub(r'[^A-Za-z0-9]+', '_', name)}",
            "type": "tracepoint",
            "target": restarts.EXIT,
            "duration": min(DURATION, longest) if isinstance(longest, (int, float)) and longest >= 1 else DURATION,
            "filters": {"comm": name},
            "description": f"how often {name} ends",
        }
        for name in restarts.suspects(evidence, issue)
    ]


def _about_process(pid: int) -> list[dict[str, str]]:
    return [
        {
            "id": f"process_{pid}",
            "command": f"ps -o pid,ppid,user,etimes,args -p {pid}",
            "description": f"what process {pid} is",
        },
        {"id": f"cgroup_{pid}", "command": f"cat /proc/{pid}/cgroup", "description": f"to which service {pid} belongs"},
    ]


def _about_address(place: str) -> list[dict[str, str]]:
    found = _ADDRESS.match(place)
    if not found:
        return []
    address = found.group(1)
    return [
        {"id": f"route_to_{address}", "command": f"ip route get {address}", "description": "which way leads there"},
        {"id": f"ping_{address}", "command": f"ping -n -c 2 -W 1 {address}", "description": "whether it answers"},
    ]


def describe(evidence: Evidence, finding: Finding) -> list[str]:
    """What the second round says of a finding's processes and addresses, as sentences."""
    sentences = [sentence for pid in finding.pids[:_MOST_PROCESSES] for sentence in _process(evidence, pid)]
    for place in finding.addresses:
        found = _ADDRESS.match(place)
        if found:
            sentences += _way(evidence, found.group(1))
    return sentences


def _process(evidence: Evidence, pid: int) -> list[str]:
    for line in evidence.lines(f"process_{pid}")[1:]:
        words = line.split(None, 4)
        if len(words) == 5 and words[0] == str(pid) and words[3].isdigit():
            unit = _unit(evidence, pid)
            of_unit = f" and belongs to {unit}" if unit else ""
            return [
                f"Process {pid} is `{name_of(words[4])}` of the account {words[2]}, started {_ago(int(words[3]))} ago"
                f" by process {words[1]}{of_unit}."
            ]
    return []


def _unit(evidence: Evidence, pid: int) -> str:
    """The systemd unit or container of a process, from its control group."""
    for line in evidence.lines(f"cgroup_{pid}"):
        for part in reversed(line.rpartition(":")[2].split("/")):
            if part.endswith((".service", ".scope", ".slice")) and part not in ("-.slice", "init.scope"):
                return name_of(part)
    return ""


def _ago(seconds: int) -> str:
    for length, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds // length} {name}"
    return f"{seconds} s"


def _way(evidence: Evidence, address: str) -> list[str]:
    result: dict[str, Any] = evidence.commands.get(f"ping_{address}", {})
    sentences = []
    route = evidence.lines(f"route_to_{address}")
    if route:
        sentences.append(f"The route to it: `{name_of(route[0])}`.")
    received = re.search(r"(\d+) received", str(result.get("output", "")))
    if received:
        answers = "answers" if int(received.group(1)) else "does not answer"
        sentences.append(f"{address} {answers} to ping.")
    return sentences
