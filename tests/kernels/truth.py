# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts on a machine that owe nothing to the collection: perf on a process tree, the kernel's counts of interrupts."""

from __future__ import annotations

import bisect
import contextlib
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from machines import Reached
from workload import hear, process

_TRACING = "/sys/kernel/tracing"
_ATTACH_SECONDS = 120
_ATTACHING = 5 * 10**9  # nanoseconds

# A line every fifth of a second: nanoseconds since the epoch, and how many handlers of interrupt lines have run.
_INTERRUPTS = """
import time
print('began', flush=True)
for _ in range(9000):
    total = 0
    for line in open('/proc/interrupts'):
        label, _, rest = line.partition(':')
        if label.strip().isdigit():
            counts = []
            for word in rest.split():
                if not word.isdigit(): break
                counts.append(int(word))
            total += sum(counts)
    print(time.time_ns(), total, flush=True)
    time.sleep(0.2)
"""


def counted_events(machine: Reached, probes: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The events for perf, by probe: a tracepoint as it is; a kprobe (or kretprobe) of the first function there is."""
    wanted = {function for probe in probes.values() if isinstance(probe["count"], list) for function in probe["count"]}
    there = machine.ssh(f"grep -wE '^({'|'.join(wanted)})' {_TRACING}/available_filter_functions").stdout.split()
    events, definitions = {}, set()
    for name, probe in probes.items():
        if isinstance(probe["count"], str):
            events[name] = probe["count"]
            continue
        functions = [function for function in probe["count"] if function in there]
        assert functions, f"the kernel has none of {probe['count']}"
        sign = "r256" if probe["type"] == "kretprobe" else "p"
        events[name] = f"truth:{sign}_{functions[0]}"
        definitions.add(f"{sign}:truth/{sign}_{functions[0]} {functions[0]}")
    added = machine.ssh(
        f"while read -r line; do echo $line >> {_TRACING}/kprobe_events; done", "\n".join(definitions) + "\n"
    )
    assert added.returncode == 0, added.stderr
    return events


def passed_over(machine: Reached) -> dict[str, int]:
    """How often the kernel met each of those probes and passed over it, for it was in another one: anywhere."""
    lines = machine.ssh(f"cat {_TRACING}/kprobe_profile").stdout.splitlines()
    return {f"truth:{words[0]}": int(words[2]) for words in map(str.split, lines) if len(words) == 3}


def forget_events(machine: Reached) -> None:
    """Removes what `counted_events` made."""
    machine.ssh(f"echo > {_TRACING}/kprobe_events")


class Perf:
    """perf stat: on a process and on all that it starts from now on, or on the whole machine by a filter."""

    def __init__(self, machine: Reached, name: str, events: list[str], where: str, filtered: str = "") -> None:
        """Returns when they are counted. `where`: options of perf for it; `filtered`: in the words of the kernel."""
        self._machine = machine
        self._name = f"truth-{name}.txt"
        events = list(dict.fromkeys(events))
        only = f" --filter {shlex.quote(filtered)}" if filtered else ""
        chosen = " ".join(f"-e {event}{only}" for event in events)
        output = f"/tmp/{self._name}"
        self._running = subprocess.Popen(
            machine.ssh_command(f"rm -f {output}; exec perf stat -x , -o {output} {chosen} {where}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until = time.monotonic() + _ATTACH_SECONDS
        while time.monotonic() < until and self._running.poll() is None:
            opened = machine.ssh(f"ls -l /proc/$({self._find()})/fd | grep -c perf_event").stdout.strip()
            if opened.isdigit() and int(opened) >= len(events):
                time.sleep(2)  # perf enables them once all are open
                return
            time.sleep(1)
        self._running.kill()
        raise AssertionError(f"perf did not begin: {self._running.communicate()[0]}")

    def _find(self) -> str:
        """A command line that finds perf, and not itself."""
        return f"pgrep -f '[{self._name[0]}]{self._name[1:]}'"

    def stop(self) -> dict[str, int]:
        """How often each event was counted."""
        self._machine.ssh(f"kill -INT $({self._find()})")
        said = self._running.communicate(timeout=120)[0]
        counts = {}
        for line in self._machine.ssh(f"cat /tmp/{self._name}").stdout.splitlines():
            words = line.split(",")
            if len(words) > 3:
                counts[words[2]] = int(words[0]) if words[0].isdigit() else 0
        assert counts, said
        return counts

    def close(self) -> None:
        """Ends it where `stop` did not, there and here; may be called twice."""
        if self._running.poll() is None:
            self._machine.ssh(f"kill $({self._find()})")
        self._running.kill()
        self._running.communicate()


class Interrupts:
    """What /proc/interrupts said, all the time."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running
        self._times: list[int] = []
        self._totals: list[int] = []

    def stop(self) -> None:
        """Ends the reading."""
        self._running.kill()
        assert self._running.stdout is not None
        for line in self._running.stdout:
            words = line.split()
            if len(words) == 2:
                self._times.append(int(words[0]))
                self._totals.append(int(words[1]))

    def between(self, started: int, ended: int) -> list[int]:
        """At least and at most how many there were; times in nanoseconds since the epoch.

        A probe counts a little before it is said to have started: attaching takes an emulated machine seconds.
        """
        after = bisect.bisect_left(self._times, started)
        before = bisect.bisect_right(self._times, ended) - 1
        first = max(bisect.bisect_right(self._times, started - _ATTACHING) - 1, 0)
        last = min(bisect.bisect_left(self._times, ended + _ATTACHING), len(self._times) - 1)
        return [self._totals[before] - self._totals[after], self._totals[last] - self._totals[first]]


@contextlib.contextmanager
def interrupts(machine: Reached) -> Iterator[Interrupts]:
    """Reads on the machine while the block runs, until `stop`."""
    with process(machine, _INTERRUPTS, "interrupts") as running:
        assert hear(running) == "began"
        yield Interrupts(running)
