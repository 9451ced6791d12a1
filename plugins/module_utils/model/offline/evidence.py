# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the evidence of a diagnosis, as the findings read it.

Nothing here trusts a shape: results come from another machine, cut to what a model is shown, so each key may be
missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_LONGEST_NAME = 100


@dataclass(frozen=True)
class Trace:
    """One program's result, by its key."""

    key: str
    result: dict[str, Any]

    @property
    def target(self) -> str:
        """What it was asked to trace."""
        return str(self.result.get("target") or "")

    @property
    def attached(self) -> bool:
        """Whether it saw anything at all; an error means that nothing is known, not that nothing happened."""
        return not self.result.get("error")

    @property
    def count(self) -> int:
        """How often the probe fired."""
        return number(self.result.get("event_count"))

    @property
    def seconds(self) -> float:
        """How long it traced; 0.0 where that is not known."""
        value = self.result.get("duration_s")
        return float(value) if isinstance(value, (int, float)) else 0.0

    @property
    def rate(self) -> float:
        """Events a second; 0.0 where the duration is not known."""
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def window(self) -> str:
        """The time it traced, in words."""
        return f"in {self.seconds:.0f} s" if self.seconds else "while tracing"

    def entries(self, name: str) -> list[dict[str, Any]]:
        """The objects of a list such as `failures` or `by_process`."""
        value = self.result.get(name)
        return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []

    def data(self) -> Iterator[dict[str, Any]]:
        """The data of each event of the sample."""
        for event in self.entries("events"):
            if isinstance(event.get("data"), dict):
                yield event["data"]


@dataclass
class Evidence:
    """Everything that came back, of all rounds; `system` is what was told of the host at the start."""

    system: dict[str, Any] = field(default_factory=dict)
    commands: dict[str, dict[str, Any]] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)

    def add(self, command_results: Any, ebpf_results: Any) -> None:
        """Takes the results of a round."""
        for result in command_results if isinstance(command_results, list) else []:
            if isinstance(result, dict):
                self.commands[str(result.get("id"))] = result
        for key, result in ebpf_results.items() if isinstance(ebpf_results, dict) else ():
            if isinstance(result, dict):
                self.traces.append(Trace(str(key), result))

    def output(self, name: str) -> str:
        """What a command wrote; empty where it was refused, is not on the host or wrote nothing."""
        result = self.commands.get(name, {})
        if result.get("refused") or result.get("exit_code") in (None, 126, 127):
            return ""
        return str(result.get("output") or "")

    def lines(self, name: str) -> list[str]:
        """The lines of a command's output."""
        return self.output(name).splitlines()

    def traced(self, *targets: str) -> list[Trace]:
        """The traces of these targets that were attached."""
        return [trace for trace in self.traces if trace.attached and trace.target in targets]

    def cpus(self) -> int:
        """The number of CPUs; 1 where it is not known."""
        return max(1, number(self.system.get("cpus")))


def number(value: Any) -> int:
    """A whole number; 0 where it is none."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def decimal(text: str) -> float:
    """The first number in a text; 0.0 where there is none."""
    found = re.search(r"\d+(?:\.\d+)?", text)
    return float(found.group()) if found else 0.0


def name_of(value: Any, longest: int = _LONGEST_NAME) -> str:
    """A name from the host as it may stand in a sentence: one line, not too long."""
    name = " ".join(str(value if value is not None else "").split())
    return name if len(name) <= longest else name[:longest] + "…"


@dataclass
class Failures:
    """Calls of one kind that failed alike: who, with what error, on what (`key`: an address or a path)."""

    process: str
    error: str
    key: str
    syscall: str
    count: int = 0
    pids: list[int] = field(default_factory=list)

    @property
    def who(self) -> str:
        """The process with its pids, in words."""
        return who(self.process, self.pids)


def failures_of(trace: Trace) -> list[Failures]:
    """The failures of a trace, those of processes of one name taken together, the most frequent first."""
    groups: dict[tuple[str, str, str, str], Failures] = {}
    names = {
        number(entry.get("process_id")): entry.get("process_name")
        for entry in (*trace.entries("events"), *trace.entries("by_process"))
    }
    for entry in trace.entries("failures"):
        syscall = str(entry.get("syscall") or trace.target.rpartition("sys_enter_")[2])
        process = name_of(entry.get("process_name") or names.get(number(entry.get("process_id"))) or "a process")
        error, key = str(entry.get("error")), name_of(entry.get("key"))
        group = groups.setdefault((process, error, key, syscall), Failures(process, error, key, syscall))
        group.count += number(entry.get("count"))
        pid = number(entry.get("process_id"))
        if pid and pid not in group.pids:
            group.pids.append(pid)
    return sorted(groups.values(), key=lambda group: -group.count)


def failed_calls(trace: Trace) -> int:
    """How many calls of a trace failed, those included that its list of failures leaves out."""
    by_result = trace.result.get("by_result")
    if isinstance(by_result, dict) and by_result:
        return sum(number(count) for result, count in by_result.items() if result != "ok")
    return sum(group.count for group in failures_of(trace)) + number(trace.result.get("failures_other"))


def who(name: str, pids: list[int]) -> str:
    """`name (pid 1)`, `name (pids 1, 2, 3 and 4 more)`."""
    shown = ", ".join(map(str, pids[:3])) + (f" and {len(pids) - 3} more" if len(pids) > 3 else "")
    return f"{name} (pid{'s' if len(pids) > 1 else ''} {shown})" if pids else name


def calls_of(trace: Trace, pids: list[int]) -> int:
    """How many of a trace's events are of these processes; 0 where one of them is not among those listed."""
    entries = [entry for entry in trace.entries("by_process") if number(entry.get("process_id")) in pids]
    if {number(entry.get("process_id")) for entry in entries} != set(pids):
        return 0
    return sum(number(entry.get("count")) for entry in entries)


def counted(count: int, what: str, several: str = "") -> str:
    """`1 call`, `2 calls`; `several` where the plural is not made by an s."""
    return f"{count} {what}" if count == 1 else f"{count} {several or what + 's'}"
