# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of actions: what was done on this host, by whom, and what left it. Private to the collection.

One line of JSON for each action, in a file of root's and in the journal. What acts is written down before it is done,
and again with what came of it: so who is killed meanwhile leaves a beginning without an end. What is neither in the
file nor in the journal is not done (`Unrecorded`), unless `required` is false.

Not to be mistaken for the record of one diagnosis with all its evidence (`record.py`).
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from . import journal
from .ending import Stopped
from .log_file import LogFile, Unwritable
from .vanished import birth, vanished

IDENTIFIER = "nannyapi-diagnostics"
DIAGNOSIS, COLLECTION, TRACE, PREFLIGHT = "diagnosis", "collection", "trace", "preflight"
_LONGEST_TEXT = 4096
"""Characters of one text; a command that can be run has at most 2000."""
_MOST_ENTRIES = 64
_LONGEST_MESSAGE = 1000
_LOOKED_BACK = 1024 * 1024
"""Bytes of the log in which runs without an end are looked for."""
_INFO, _NOTICE, _WARNING = 6, 5, 4  # as syslog(3) has them


class Unrecorded(Exception):
    """An action that must not be done, as it cannot be put on record; the message is a sentence."""


class ActionLog:
    """The actions of one run; used by several threads.

    `kind`: a diagnosis that is led from here, what is collected here for one that is led elsewhere, a trace, or the
    requests of a preflight.
    """

    def __init__(
        self,
        identifier: str,
        *,
        kind: str = DIAGNOSIS,
        redact: Callable[[Any], Any] = lambda value: value,
        required: bool = True,
        file: Optional[LogFile] = None,
        socket: Path = journal.SOCKET,
    ) -> None:
        """`redact`: applied to all that comes from a model, a server or the host, data of any shape."""
        self.identifier = identifier
        self._kind = kind
        self._redact = redact
        self._required = required
        self._file = file or LogFile()
        self._socket = socket
        self._lock = threading.Lock()
        self._sequence = 0
        self._unrecorded = 0
        self._problem: Optional[str] = None
        self._in_file = self._in_journal = True
        self._running: set[str] = set()
        self._totals: Counter[str] = Counter()

    def describe(self) -> dict[str, Any]:
        """For the result: which of the two places have all lines, how many are in neither, and why."""
        return {
            "file": str(self._file.path) if self._in_file else None,
            "journal": self._in_journal,
            "lines": self._sequence,
            "unrecorded": self._unrecorded,
            "problem": self._problem,
        }

    @contextmanager
    def recorded(
        self, asked_by: Mapping[str, Any], about: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """A run, which has an end on record however the body ends. Raises Unrecorded before the body is begun.

        `about`: the issue and the model, or what is traced. The body puts into what it is given how it `ended`, in a
        word, why (`error`), and figures.
        """
        outcome: dict[str, Any] = {}
        try:
            self._begin(asked_by, about, options)
        except Unrecorded as error:
            raise Unrecorded(
                f"Nothing was done. {error} Mend that, or set unrecorded_actions: true for this run."
            ) from None
        try:
            yield outcome
        except BaseException as error:
            self._end({"ended": _ended_by(error), "error": str(error) or type(error).__name__, **outcome})
            raise
        self._end({"ended": "complete", "error": None, **outcome})

    def _begin(self, asked_by: Mapping[str, Any], about: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        details = {"host": os.uname().nodename, "asked_by": dict(asked_by), **self._shown(about)}
        before = self._file.tail(_LOOKED_BACK)
        who = asked_by.get("login") or asked_by.get("sudo_user") or asked_by.get("user")
        text = f"{self._kind} {self.identifier} started for {who}: {_brief(details)}"
        self._write("started", text, {**details, "options": dict(options), "process_birth": birth()}, ahead=True)
        for entry in vanished(before):
            self._write_vanished(entry)

    def _write_vanished(self, begun: Mapping[str, Any]) -> None:
        """Of a run of somebody else's, that it has no end on record and never will."""
        kind, identifier = str(begun["action"]).partition("_")[0], str(begun["diagnosis_id"])
        text = (
            f"{kind} {identifier} was begun at {begun.get('time')} and has no end: its process {begun['pid']} is gone"
        )
        details = {"began": begun.get("time"), "process": begun["pid"], "noticed_by": self.identifier}
        # Not a line of this run's own, so it has no number.
        with self._lock:
            self._put(identifier, {"pid": os.getpid(), "action": f"{kind}_vanished", **details}, text, _WARNING)

    def _end(self, outcome: Mapping[str, Any]) -> None:
        details = self._shown(outcome)
        details.update({name: self._totals[name] for name in _TOTALS[self._kind]}, unrecorded=self._unrecorded)
        ended, error = details["ended"], details["error"]
        text = f"{self._kind} {self.identifier} ended: {ended}" + (f" ({error})" if error else "")
        self._write("ended", text, details, priority=_INFO if ended in ("resolution", "complete") else _NOTICE)

    def command_started(self, identifier: str, line: str, judged: Iterable[Mapping[str, Any]], sandbox: str) -> None:
        """A command was allowed and is about to be run in `sandbox`. Raises Unrecorded.

        `judged`: each simple command's program, and what it is granted.
        """
        details = self._shown({"id": identifier, "command": line, "judged": list(judged)})
        details = {**details, "verdict": "allowed", "sandbox": sandbox}
        text = f"command allowed: {details['command']}" + (" (without a sandbox)" if sandbox == "none" else "")
        self._write("command_started", text, details, priority=_WARNING if sandbox == "none" else _INFO, ahead=True)
        self._running.add(identifier)
        self._count(commands=1)

    def command_done(self, result: Mapping[str, Any], refused_by: str) -> None:
        """What came of a command: it ended, or was not run. `result`: as the protocol has it, `command` redacted."""
        identifier = str(result.get("id"))
        details = self._shown({"id": identifier, "command": result.get("command")})
        details.update(verdict="allowed", duration_s=result.get("duration_s"))
        if identifier not in self._running:
            self._not_run(details, result, refused_by)
            return
        self._running.discard(identifier)
        output = len(str(result.get("output", "")).encode("utf-8", "replace"))
        later = {"refused_later": result.get("reason")} if result.get("refused") else {}
        details.update(
            exit_code=result.get("exit_code"),
            output_bytes=output,
            bytes_left_out=result.get("truncated_bytes", 0),
            timed_out=bool(result.get("timed_out")),
            cancelled=bool(result.get("cancelled")),
            capabilities=result.get("granted", {}),
            **self._shown({"error": result.get("error"), "notes": result.get("notes", []), **later}),
        )
        text = f"command ended: {details['command']} (exit {details['exit_code']}, {output} bytes of output)"
        self._write("command_ended", text, details)

    def _not_run(self, details: Mapping[str, Any], result: Mapping[str, Any], refused_by: str) -> None:
        why = self._shown({"reason": result.get("reason") or result.get("error")})
        refused = bool(result.get("refused"))
        verdict = {"verdict": "refused", "by": refused_by} if refused else {"verdict": "not run"}
        action = "command_refused" if refused else "command_not_run"
        text = f"command {verdict['verdict']}: {details['command']} ({why['reason']})"
        self._count(**{"commands_refused" if refused else "commands_not_run": 1})
        self._write(action, text, {**details, **verdict, **why}, priority=_NOTICE)

    def program_started(self, program: Mapping[str, Any]) -> None:
        """An eBPF program is about to be attached; `program` as it was asked for. Raises Unrecorded."""
        details = self._shown({name: program.get(name) for name in ("name", "type", "target", "duration", "filters")})
        text = f"eBPF program {details['name']}: {details['type']} {details['target']}"
        self._write("program_started", text, details, ahead=True)
        self._count(programs=1)

    def program_ended(self, key: str, result: Mapping[str, Any]) -> None:
        """What came of an eBPF program: its result under `key`."""
        details = self._shown({"key": key, "name": result.get("program_name"), **_taken(result, _OF_A_PROGRAM)})
        error = details.get("error")
        text = f"eBPF program {details['name']}: " + (
            f"not traced ({error})" if error else f"{details['event_count']} events, detached"
        )
        self._write("program_ended", text, details, priority=_NOTICE if error else _INFO)

    def request_started(self, model: str, host: Optional[str], sent: int, attempt: int = 1) -> None:
        """`sent` bytes are about to leave for the model at `host`. Raises Unrecorded."""
        asked = {"model": model, "endpoint_host": host, "bytes_to_send": sent, "attempt": attempt}
        details = self._shown(asked)
        text = f"{sent} bytes for the model {details['model']} at {details['endpoint_host']}"
        self._write("request_started", text, details, ahead=True)
        self._count(requests=1)

    def request_ended(self, sent: int, received: int, **more: Any) -> None:
        """What came of a request: `sent` and `received` in bytes. `more`: status, tokens, error."""
        details = {"bytes_sent": sent, "bytes_received": received, **self._shown(more)}
        text = f"{sent} bytes sent, {received} received (status {more.get('status')})"
        self._write("request_ended", text, details, priority=_NOTICE if more.get("error") else _INFO)
        self._count(bytes_sent=sent, bytes_received=received)

    def _count(self, **more: int) -> None:
        with self._lock:
            self._totals.update(more)

    def _shown(self, details: Mapping[str, Any]) -> dict[str, Any]:
        """`details`, redacted and then bounded."""
        bounded: dict[str, Any] = _bounded(self._redact(dict(details)))
        return bounded

    def _write(
        self, what: str, text: str, details: Mapping[str, Any], priority: int = _INFO, ahead: bool = False
    ) -> None:
        """Writes a line to both places. `ahead`: of something that is not done where neither takes it."""
        action = what if "_" in what else f"{self._kind}_{what}"
        with self._lock:
            self._sequence += 1
            numbered = {"sequence": self._sequence, "pid": os.getpid(), "action": action, **details}
            problems = self._put(self.identifier, numbered, text, priority)
            if None in problems:
                return
            self._unrecorded += 1
        if ahead and self._required:
            raise Unrecorded(f"It could not be put on record: {', and '.join(filter(None, problems))}.")

    def _put(
        self, identifier: str, details: Mapping[str, Any], text: str, priority: int
    ) -> tuple[Optional[str], Optional[str]]:
        """A line to both places, and why the file and the journal did not take it; None of one that did."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = _as_line({"time": now, "diagnosis_id": identifier, **details})
        fields = {
            "MESSAGE": _as_text(text),
            "PRIORITY": str(priority),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "NANNYAPI_DIAGNOSIS_ID": identifier,
            "NANNYAPI_ACTION": str(details["action"]),
            "NANNYAPI_LINE": line,
        }
        return self._to_file(line), self._to_journal(fields)

    def _to_file(self, line: str) -> Optional[str]:
        """None where it took the line, else why not."""
        try:
            self._file.append(line.encode() + b"\n")
        except Unwritable as error:
            self._in_file = False
            self._problem = self._problem or f"{error}."
            return str(error)
        return None

    def _to_journal(self, fields: dict[str, str]) -> Optional[str]:
        try:
            journal.send(fields, self._socket)
        except OSError as error:
            self._in_journal = False
            if not journal.is_there(self._socket):
                return "this host has no journal"
            self._problem = self._problem or f"The journal took no entry: {error}."
            return f"the journal took no entry ({error})"
        return None


_DONE_HERE = ("commands", "commands_refused", "commands_not_run", "programs")
_TOTALS = {
    DIAGNOSIS: (*_DONE_HERE, "requests", "bytes_sent", "bytes_received"),
    COLLECTION: _DONE_HERE,
    TRACE: ("programs",),
    PREFLIGHT: ("requests", "bytes_sent", "bytes_received"),
}
_OF_A_PROGRAM = (
    "type",
    "target",
    "attached_to",
    "filters",
    "duration_s",
    "event_count",
    "exact",
    "missed",
    "own_events",
    "events_not_carried",
    "error",
)


def _ended_by(error: BaseException) -> str:
    if isinstance(error, Stopped) or isinstance(error.__cause__, Stopped):
        return "stopped"
    from .lock import Busy  # whoever ends well has no use for it

    return "busy" if isinstance(error, Busy) else "failed"


def _taken(result: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: result[name] for name in names if name in result}


def _brief(details: Mapping[str, Any]) -> str:
    if "issue" in details:
        return f"{details['issue']} (model {details.get('model')})"
    return ", ".join(str(each) for each in details.get("programs", []))


def _bounded(value: Any) -> Any:
    """Data of JSON, its texts and lists no longer than a line has room for; what is left out is said."""
    if isinstance(value, str):
        more = len(value) - _LONGEST_TEXT
        return value if more <= 0 else f"{value[:_LONGEST_TEXT]} [{more} more characters]"
    if isinstance(value, Mapping):
        return {str(key)[:200]: _bounded(part) for key, part in list(value.items())[:_MOST_ENTRIES]}
    if isinstance(value, (list, tuple, set, frozenset)):
        kept = [_bounded(part) for part in list(value)[:_MOST_ENTRIES]]
        return kept if len(value) <= _MOST_ENTRIES else [*kept, f"[{len(value) - _MOST_ENTRIES} more]"]
    return value


def _as_line(entry: Mapping[str, Any]) -> str:
    """One line in ASCII: nothing in it ends a line, moves a cursor or turns the direction of writing."""
    return json.dumps(entry, ensure_ascii=True, default=str)


def _as_text(text: str) -> str:
    """One line for a person; what cannot be printed is shown as its escape."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]} […]"
