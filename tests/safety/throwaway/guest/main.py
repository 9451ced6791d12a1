# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs jobs on the throw-away host, one after the other, and prints what came of each.

    main.py JOBS

JOBS is a file of JSON, a list of jobs (see tests/safety/throwaway/jobs.py). A line of JSON is printed before each and
after it, so that whoever reads knows which one the host died of.
"""

from __future__ import annotations

import glob
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), *glob.glob("/opt/libraries/bashlex-*.whl")]

import host_state  # noqa: E402
import world as worlds  # noqa: E402
from looks import Look, keys_can_be_typed  # noqa: E402
from ways import Ran, Ways  # noqa: E402

# A run more than this is compared with the host as it was before, file by file; where it differs, those since then are
# run once more, in halves, with such a comparison behind each.
_DEEP_EVERY = 200


class Trial:
    """The jobs, one by one."""

    def __init__(self) -> None:
        self.world = worlds.World()
        self.ways = Ways()
        first = host_state.deep()
        time.sleep(2)
        # What differs by itself says nothing of a line.
        self.deep = host_state.deep()
        self.restless = _keys(first, self.deep)
        # What the quick comparison saw last; None where it has to look anew.
        self.known: host_state.State | None = None
        self.since: list[dict[str, Any]] = []

    def run(self, jobs: list[dict[str, Any]]) -> None:
        for job in jobs:
            tell(begun=job["number"])
            tell(**self.one(job))
            if job["way"] != "unfenced":
                self.since.append(job)
                if len(self.since) >= _DEEP_EVERY:
                    self._compare_deeply()
        if self.since:
            self._compare_deeply()
        tell(done=True, restless=sorted(self.restless))

    def one(self, job: dict[str, Any]) -> dict[str, Any]:
        """Runs a job; what it did, as data."""
        if self.world.restore(job["line"]) or self.known is None:
            self.known = host_state.quick()
        before, clock = self.known, host_state.clock_offset()
        look = Look(job["look"], self.world)
        begun = time.monotonic()
        ran = self.ways.run(job)
        seconds = time.monotonic() - begun
        left = worlds.left_over(self.world) if ran.ran else []
        seen = look.harm(ran.output, ran.too_long, left) if ran.ran else []
        more = self._more(job, ran, before, clock, left) if ran.ran else []
        if look.word == "state":
            # Most of what the word names is in there.
            seen, more = seen + more, []
        worlds.end_left_over(self.world)
        if job["way"] == "unfenced":
            self.world.undo()
            self.known = None
        return {
            "number": job["number"],
            "ran": ran.ran,
            "seen": seen,
            "more": [said for said in more if said not in seen],
            "seconds": round(seconds, 2),
            "output": ran.output[-200:] if os.environ.get("THROWAWAY_OUTPUT") else "",
        }

    def _more(
        self, job: dict[str, Any], ran: Ran, before: host_state.State, clock: float, left: list[str]
    ) -> list[str]:
        """What is looked at after every line, whatever its look."""
        self.known = host_state.quick()
        found = host_state.differences(before, self.known)
        found += ["the clock was set"] if host_state.clock_was_set(clock) else []
        found += [] if self.world.victim_is_well() else ["the victim is not well"]
        found += [said for said in self.world.listener.take() if "port" in said]
        found += ["it ran on beyond its time"] if ran.too_long and job["way"] != "unfenced" else []
        return found + left

    def _compare_deeply(self) -> None:
        changed = self._changed_deeply()
        if changed:
            tell(deep=changed, since=[job["number"] for job in self.since])
            self._blame(self.since)
        self.since = []

    def _blame(self, jobs: list[dict[str, Any]]) -> None:
        """Runs jobs once more, and of those after which there is a difference each half by itself."""
        for job in jobs:
            tell(begun=job["number"])
            self.one(job)
        again = self._changed_deeply()
        if again and len(jobs) == 1:
            tell(number=jobs[0]["number"], ran=True, seen=[], more=again, seconds=0.0, again=True)
        elif again:
            self._blame(jobs[: len(jobs) // 2])
            self._blame(jobs[len(jobs) // 2 :])

    def _changed_deeply(self) -> list[str]:
        now = host_state.deep()
        changed, self.deep = self._told(self.deep, now), now
        return changed

    def _told(self, before: host_state.State, after: host_state.State) -> list[str]:
        return [f"{key} differs" for key in sorted(_keys(before, after) - self.restless)]


def _keys(before: host_state.State, after: host_state.State) -> set[str]:
    return {key for key in {*before, *after} if before.get(key, "absent") != after.get(key, "absent")}


def tell(**said: Any) -> None:
    """A line for whoever reads."""
    print(json.dumps(said), flush=True)


def main() -> None:
    jobs = json.loads(Path(sys.argv[1]).read_text())
    trial = Trial()
    tell(ready=True, words=sorted(trial.world.words), keyboard=keys_can_be_typed(), restless=sorted(trial.restless))
    trial.run(jobs)


if __name__ == "__main__":
    main()
