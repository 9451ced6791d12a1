# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs of a round cost the host, and what is done where that is too much. Private to the collection.

The kernel measures how long eBPF programs run (Linux 5.8, CAP_SYS_ADMIN). That is their own time: what the kernel
spends on calling them comes on top. Measuring has its price too, up to four tenths of what a probe adds to a system
call. So the kernel measures for a moment in each half second, and for longer only where more than the limit was taken
in such a moment. A probe that costs too much is thinned first: it keeps counting and keeps nothing else. Where
counting alone is too much it is detached, and its result says how long it was attached.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Any, Callable, Optional

from . import layout, sampling
from .kernel import Map, enable_statistics
from .loader import LoadedObject
from .stopping import open_maps, stop_together

_GLANCE_SECONDS = 0.05  # for how long the kernel measures where nothing is amiss
_REST_SECONDS = (0.3, 0.6)  # between two glances, never in step with anything of the host's
_LOOK_SECONDS = 0.5  # between two looks at a probe that may cost too much
_WINDOW = 2.0  # seconds over which a share is averaged
_SHORTEST = 0.9  # seconds that must be known of before a probe is judged
_AT_ONCE = 4  # times the limit: then one look is enough
_ASSUMED_NANOSECONDS = (
    1000  # of an event, where the kernel measures nothing; a system call with its return takes about that
)
# What a run takes at most, by our account: one that took longer was interrupted, or the CPU was taken from a machine
# that is a guest. A program is judged by what it does, not by what befalls it.
_MOST_NANOSECONDS = 200_000
_UNKNOWN = (
    "What this cost is not known: the kernel measures eBPF programs from Linux 5.8 on and for CAP_SYS_ADMIN ({reason})."
)


def default_limit() -> float:
    """A tenth of what the host's CPUs can do, and at most four of them; as a share of one CPU."""
    return min(0.1 * (os.cpu_count() or 1), 4.0)


class _Probe:
    """One request's programs. Seconds of the monotonic clock; `looks`: when, and nanoseconds run until then."""

    def __init__(self, objects: list[LoadedObject], began: float) -> None:
        self.objects = objects
        self.began = began
        self.looks: deque[tuple[float, int]] = deque()
        self.thinned: Optional[float] = None
        self.detached: Optional[float] = None
        self.read = False  # its result was made: it is closed soon
        self.reasons: list[str] = []
        # What the kernel measured, in all: seconds, nanoseconds that programs ran, runs. And what it had when it began.
        self.measured = (0.0, 0, 0)
        self.start: Optional[tuple[float, int, int]] = None

    def share(self) -> float:
        """Of one CPU, over the looks."""
        (first, before), (last, after) = self.looks[0], self.looks[-1]
        return (after - before) / 1e9 / (last - first) if last > first else 0.0

    def known(self) -> float:
        """Seconds that the looks are of."""
        return self.looks[-1][0] - self.looks[0][0]


class CostWatch:
    """Measures the programs of a round while it is open, and acts where together they take more than the limit."""

    def __init__(self, limit: Optional[float] = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit`: a share of one CPU; 0 for none, None for the default."""
        self._limit = default_limit() if limit is None else limit
        self._clock = clock
        self._probes: dict[int, _Probe] = {}
        self._statistics = -1
        self._reason = ""
        self.measures = False  # whether the kernel tells what programs cost
        self.due = clock()  # when it is to look next

    def start(self) -> None:
        """Lets the kernel measure; to be called before anything is attached."""
        self._let_measure()

    def add(self, index: int, objects: list[LoadedObject]) -> None:
        """Watches what was attached for the request of that index."""
        probe = self._probes[index] = _Probe(objects, self._clock())
        self._begin(probe)
        self.due = probe.began + (_GLANCE_SECONDS if self.measures else _LOOK_SECONDS)

    def look(self) -> None:
        """To be called when it is due. Thins or detaches the costliest probe where the limit is passed.

        Raises OSError where the kernel tells nothing of a program; it may be called again.
        """
        now = self._clock()
        self.due = now + _LOOK_SECONDS
        attached = [probe for probe in self._probes.values() if probe.detached is None and not probe.read]
        if self.measures and self._statistics < 0:
            self._let_measure()
            for probe in attached:
                self._begin(probe)
            self.due = now + (_GLANCE_SECONDS if self.measures else _LOOK_SECONDS)
            return
        for probe in attached:
            probe.looks.append((now, self._nanoseconds(probe)))
            while probe.known() > _WINDOW:
                probe.looks.popleft()
        total = sum(probe.share() for probe in attached)
        if not self._limit or total <= self._limit:
            self._rest(attached, now)
            return
        known = min(probe.known() for probe in attached)
        if known >= _SHORTEST or (known >= _LOOK_SECONDS and total > _AT_ONCE * self._limit):
            self._act(max(attached, key=_Probe.share), total, now)
            for probe in attached:  # what was before says nothing of what is now
                probe.looks.clear()
                probe.looks.append((now, self._nanoseconds(probe)))

    def _let_measure(self) -> None:
        try:
            self._statistics = enable_statistics()
            self.measures = True
        except OSError as error:
            self._reason = error.strerror or str(error)
            self.measures = False

    def _begin(self, probe: _Probe) -> None:
        now = self._clock()
        probe.looks.clear()
        probe.looks.append((now, self._nanoseconds(probe)))
        if self.measures:
            probe.start = (now, *_statistics(probe))

    def _rest(self, probes: list[_Probe], now: float) -> None:
        """Lets the kernel stop measuring for a while."""
        if not self.measures:
            return
        for probe in probes:
            self._finish(probe)
        self.close()
        shortest, longest = _REST_SECONDS
        self.due = now + shortest + (longest - shortest) * (time.monotonic_ns() // 1000 % 1000) / 1000

    def _finish(self, probe: _Probe) -> None:
        """Adds up what the kernel has measured since it began."""
        if probe.start is None:
            return
        now = (self._clock(), *_statistics(probe))
        seconds, nanoseconds, runs = (
            total + after - before for total, before, after in zip(probe.measured, probe.start, now)
        )
        probe.measured, probe.start = (seconds, int(nanoseconds), int(runs)), None

    def _act(self, probe: _Probe, total: float, now: float) -> None:
        taken = f"{probe.share():.1%} of a CPU" + (f" ({total:.1%} with the others)" if total > probe.share() else "")
        limit = f"{self._limit * 100:g}% is allowed"
        if probe.thinned is None:
            probe.thinned = now
            for maps in open_maps(probe.objects):
                sampling.add_flag(maps, layout.COUNT_ONLY)
            probe.reasons.append(
                f"Its programs took {taken}, and {limit}: from {now - probe.began:.1f} s on, events were only counted"
                " (in all, by process, by system call). Results, durations and events carried are of the time before."
            )
            return
        probe.detached = now
        stop_together(probe.objects)
        self._finish(probe)
        probe.reasons.append(f"Counting alone took {taken}, and {limit}, so it was detached.")

    def _nanoseconds(self, probe: _Probe) -> int:
        if self.measures:
            measured = (loaded.statistics() for loaded in probe.objects)
            return sum(min(nanoseconds, runs * _MOST_NANOSECONDS) for nanoseconds, runs in measured)
        return max(map(_events, open_maps(probe.objects)), default=0) * _ASSUMED_NANOSECONDS

    def was_detached(self, index: int) -> bool:
        """Whether the probe is detached already because of what it cost."""
        return self._probes[index].detached is not None

    def ended(self, index: int) -> float:
        """When the probe was detached, or now, in seconds of the monotonic clock."""
        detached = self._probes[index].detached
        return self._clock() if detached is None else detached

    def result(self, index: int, seconds: float, asked: float) -> tuple[dict[str, Any], list[str]]:
        """Keys of the result, and notes, of a probe that was attached for `seconds` of `asked`.

        `cost` is None where it is not known; `thinned_after_s` and `detached_after_s` are there where that was done.
        """
        probe = self._probes[index]
        probe.read = True
        notes = list(probe.reasons)
        if probe.detached is not None:
            notes.append(
                f"So it was attached for {seconds:.1f} s of the {asked:g} s: all that it counted is of that time."
            )
        if not self.measures:
            notes.append(_UNKNOWN.format(reason=self._reason))
        keys: dict[str, Any] = {"cost": self._cost(probe) if self.measures else None}
        if probe.thinned is not None:
            keys["thinned_after_s"] = round(probe.thinned - probe.began, 3)
        if probe.detached is not None:
            keys["detached_after_s"] = round(probe.detached - probe.began, 3)
        return keys, notes

    def _cost(self, probe: _Probe) -> dict[str, Any]:
        self._finish(probe)
        seconds, nanoseconds, runs = probe.measured
        return {
            "cpu_share": round(nanoseconds / 1e9 / seconds, 6) if seconds > 0 else 0.0,
            "ns_per_run": round(nanoseconds / runs) if runs else 0,
            "runs_measured": runs,
            "measured_s": round(seconds, 3),
        }

    def close(self) -> None:
        """Lets the kernel stop measuring; may be called twice."""
        if self._statistics >= 0:
            os.close(self._statistics)
            self._statistics = -1


def _statistics(probe: _Probe) -> tuple[int, int]:
    """Nanoseconds that its programs have run while the kernel measured, and how often."""
    nanoseconds, runs = zip(*(loaded.statistics() for loaded in probe.objects))
    return sum(nanoseconds), sum(runs)


def _events(maps: dict[str, Map]) -> int:
    """How many events passed the filters, those of the diagnosis itself among them."""
    return sampling.total(maps, layout.TOTAL_EVENTS) + sampling.total(maps, layout.TOTAL_OWN)
