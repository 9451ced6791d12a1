# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis as it is kept while it runs, and given back when it is gone on with. Private to the collection.

The same where the loop runs on the host and where it runs on the controller: what differs is the folder.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from .injection.imitations import total, unmarked
from .loop_state import MEMBERS, RESULT
from .model.settings import Settings
from .session import record
from .session.record import ENDED, INTERRUPTED, RUNNING, Record, RecordError

_ABOUT = ("diagnosis_id", "issue", "host", "started_at", "duration_s", "sandbox", "redacted")

_IMITATED = (
    "Text from this host imitates what a model answers or is told (found: {}). It was marked and not followed; somebody"
    " may have tried to steer the diagnosis. The results that hold it say so in imitations."
)


class Kept:
    """One diagnosis. Where its record cannot be written, it goes on without one, and `problem` says why."""

    def __init__(self, written: Optional[Record], problem: Optional[str] = None) -> None:
        self.problem = problem
        self._record = written
        self._before = written.content if written else {}
        self._began = time.monotonic()
        self._content: dict[str, Any] = {
            "diagnosis_id": written.identifier if written else record.new_id(),
            "started_at": _now(),
            **self._before,
            "status": RUNNING,
        }
        self._content["runs"] = [*self._before.get("runs", []), {"started_at": _now()}]

    @property
    def identifier(self) -> str:
        """The id of the diagnosis."""
        return str(self._content["diagnosis_id"])

    @property
    def path(self) -> Optional[str]:
        """The record; None where there is none."""
        return str(self._record.path) if self._record else None

    @property
    def issue(self) -> str:
        """What it is about, redacted; empty for a new one."""
        return str(self._before.get("issue", ""))

    @property
    def redact(self) -> list[str]:
        """What earlier runs were to redact besides secrets."""
        return [str(each) for each in self._before.get("redact", [])]

    @property
    def is_over(self) -> bool:
        """Whether an earlier run reached a resolution, so that there is nothing to go on with."""
        return self._before.get("status") == ENDED

    @property
    def state(self) -> Optional[dict[str, Any]]:
        """What the loop goes on from; None where nothing was told to a model yet."""
        if not all(name in self._before for name in MEMBERS):
            return None
        return {name: self._before[name] for name in MEMBERS}

    def episode(self, settings: Settings) -> Optional[str]:
        """The gateway's episode, where the same model at the same place is to answer again."""
        # A query may hold a key.
        asked = {"model": settings.model, "url": (settings.url or "").partition("?")[0]}
        if self._before and self._before.get("asked") != asked:
            self._before["episode_id"] = None
        self._content["asked"] = asked
        return self._before.get("episode_id")

    def tags(self) -> dict[str, str]:
        """What a gateway labels this diagnosis's requests with: the host as it is known beyond itself, and the id."""
        host = self._content.get("host")
        return {"diagnosis_id": self.identifier, **({"host": str(host)} if host else {})}

    def check(self, issue: str, machine: Optional[str]) -> None:
        """Raises RecordError where the record is of another issue or of another machine; "" and None fit any."""
        about, host = self.issue, self._before.get("machine")
        if host and machine and host != machine:
            raise RecordError(
                f"The record {self.path} is of another machine ({self._before.get('host')}): its evidence says nothing"
                " of this one. Start a diagnosis here, without resume."
            )
        if about and issue and not _may_be(issue, about):
            raise RecordError(
                f"The diagnosis {self.identifier} is about {about!r:.200}, and the task about {issue!r:.200}. Give the"
                " same issue or none to go on with it, or leave resume out to begin another."
            )

    def since(self, boot: Optional[str]) -> list[str]:
        """What the model is to be told of the time since the last run."""
        written, before = self._before.get("written"), self._before.get("boot")
        notes = []
        if isinstance(written, (int, float)):
            gone = max(0, round(time.time() - written))
            notes.append(f"The diagnosis was interrupted for {gone} s before this round.")
        if before and boot and before != boot:
            notes.append("The host was started anew meanwhile: the evidence of earlier rounds is from before that.")
        return notes

    def note(self, **members: Any) -> None:
        """Adds members to the record, and writes it."""
        self._content.update(members)
        self._content["duration_s"] = round(self._before.get("duration_s", 0.0) + time.monotonic() - self._began, 3)
        if self._record is None:
            return
        self._content["written"] = round(time.time(), 3)
        try:
            self._record.write(self._content)
            self.problem = None
        except OSError as error:
            self.problem = f"The record of this diagnosis could not be written: {error}."

    def checkpoint(self, state: dict[str, Any], **members: Any) -> None:
        """The loop's port: writes its state, and other members."""
        self._content["runs"][-1].update(model=state["model"], calls=state["usage"]["calls"])
        collected = [*state["command_results"], *state["ebpf_results"].values()]
        self.note(**state, imitations=total(state["system_information"], *collected), **members)

    def interrupted(self, why: str, cut_off: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Writes what ended the run; the result so far, with what a round brought until it was `cut_off`."""
        self._content["runs"][-1]["ended"] = why
        self.note(status=INTERRUPTED, cut_off=cut_off)
        result = self.result()
        if result and cut_off:
            result["command_results"] = [*result["command_results"], *cut_off["command_results"]]
            result["ebpf_results"] = {**result["ebpf_results"], **cut_off["ebpf_results"]}
        return result

    def finish(self) -> dict[str, Any]:
        """Writes the end that the loop came to; its result."""
        content = self._content
        content["runs"][-1]["ended"] = content["ended"]
        content.pop("cut_off", None)
        if content["resolution"] is None:
            self.note(status=INTERRUPTED)
        else:
            content["messages"] = content.pop("talk")["messages"]
            del content["pending"]
            self.note(status=ENDED)
        return self.result()

    def write_map(self, identities: dict[str, str]) -> None:
        """Writes what placeholders stand for beside the record, for the operator."""
        if self._record:
            try:
                record.write_map(self.identifier, identities, self._record.path.parent)
            except OSError as error:
                self.problem = f"What the placeholders stand for could not be written: {error}."

    def result(self) -> dict[str, Any]:
        """What is returned, as far as the diagnosis has come; {} where nothing was told to a model yet."""
        content = self._content
        if not all(name in content for name in (*_ABOUT, *RESULT)):
            return {}
        result = {name: content[name] for name in (*_ABOUT, *RESULT)}
        result["privileges"] = content.get("privileges")  # records of earlier versions say nothing of it
        imitated = content.get("imitations", {})
        notes = [_IMITATED.format(sum(imitated.values()))] if imitated else []
        notes += [self.problem] if self.problem else []
        return {**result, "imitations": imitated, **({"notes": notes} if notes else {}), "record": self.path}

    def would(self, asked: str, rounds: int, seconds: float) -> str:
        """What a run would do with it, in a sentence; `asked`: the model."""
        if self.is_over:
            return f"Return the resolution that the diagnosis {self.identifier} had reached, from its record."
        done, spent = len(self._before.get("rounds", [])), self._before.get("spent_s", 0.0)
        return (
            f"Go on with the diagnosis {self.identifier}, which has {done} complete round{'' if done == 1 else 's'} and"
            f" used {spent:g} s: ask {asked}, collect no complete round again, and return its resolution, in up to"
            f" {rounds} rounds and {seconds:g} s altogether."
        )

    def how_to_go_on(self) -> str:
        """What to say after a failure: where everything is, and how to go on from there."""
        if not self.path:
            return self.problem or ""
        limit = {
            "round_limit": "rounds",
            "time_limit": "seconds",
            "token_limit": "tokens",
            "evidence_limit": "evidence_bytes",
        }
        more = limit.get(str(self._content.get("ended")))
        found = f"What was found until then is in {self.path}."
        if self.problem:
            found = f"{self.problem} What was found until it could be written for the last time is in {self.path}."
        return (
            f"{found} To go on from there{f' with more {more}' if more else ''},"
            f" run it again with resume: {self.identifier}, or the playbook diagnose with"
            f" -e nannyapi_resume={self.identifier}."
        )

    def close(self) -> None:
        """Gives the record up for others, and what is not a record yet away."""
        if self._record:
            self._record.close(over=self._content["status"] == ENDED or self.is_over or "written" not in self._content)


@contextmanager
def kept(
    resume: str, directory: Path, wait_seconds: float = 0, stop: Optional[threading.Event] = None
) -> Iterator[Kept]:
    """A new diagnosis, or that of the id `resume` (or `latest`), for which another process is waited for.

    Raises RecordError for one that cannot be gone on with.
    """
    if resume:
        one = Kept(record.reopen(resume, directory, wait_seconds, stop))
    else:
        try:
            one = Kept(record.begin(directory))
        except OSError as error:
            one = Kept(None, f"No record of this diagnosis could be written: {error}.")
    try:
        yield one
    finally:
        one.close()


def _may_be(issue: str, redacted: str) -> bool:
    """Whether an issue is the one that was redacted, and marked where it imitates the protocol."""
    redacted = unmarked(redacted)
    if "[redacted:" not in redacted:
        return issue == redacted
    known = re.split(r"\[redacted:[^\]\s]{1,40}\]", redacted)
    return re.fullmatch(".*?".join(map(re.escape, known)), issue, re.DOTALL) is not None


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
