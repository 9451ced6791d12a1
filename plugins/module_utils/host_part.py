# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's part of a diagnosis that the controller leads, one process a part. Private to the collection."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from typing import Any, Optional

from . import deps
from .collecting import CollectOptions, Host
from .commands.errors import PolicyError
from .ebpf.bundle import Bundle
from .ebpf.capability import survey
from .ebpf.errors import EbpfError
from .ebpf.request import MIN_SECONDS
from .evidence.collector import Progress
from .least_privilege import PrivilegesError
from .redaction.memory import UnreadableMemory
from .redaction.redactor import Redactor
from .session import between_rounds, lock, record
from .session.actions import COLLECTION, ActionLog, Unrecorded
from .session.asker import who_asked
from .session.ending import Ending, Stopped

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_SECONDS_TO_STOP = 15.0
_ON_RECORD = (
    "seconds",
    "trace_seconds",
    "command_seconds",
    "output_bytes",
    "max_cpu_share",
    "redact",
    "unsandboxed_commands",
    "unrecorded_actions",
    "privileges",
)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "part": {"type": "str", "choices": ["begin", "take_up", "round", "end"], "required": True},
    "diagnosis_id": {"type": "str", "required": True},
    "issue": {"type": "str", "default": ""},
    "model": {"type": "str"},
    "commands": {"type": "list", "elements": "dict", "default": []},
    "programs": {"type": "list", "elements": "dict", "default": []},
    "seconds": {"type": "float", "default": 600},
    "lease_seconds": {"type": "float", "default": 0},
    "trace_seconds": {"type": "float", "default": 60},
    "max_cpu_share": {"type": "float"},
    "command_seconds": {"type": "float", "default": 30},
    "output_bytes": {"type": "int", "default": 65536},
    "unsandboxed_commands": {"type": "bool", "default": False},
    "unrecorded_actions": {"type": "bool", "default": False},
    "redact": {
        "type": "list",
        "elements": "str",
        "choices": ["addresses", "hosts", "users"],
        "default": [],
    },
    "lock_timeout": {"type": "float", "default": 900},
    "resumable": {"type": "bool", "default": False},
    "compiler": {"type": "str", "choices": ["needed", "always", "never"], "default": "needed"},
    "privileges": {"type": "str", "choices": ["auto", "least", "root"]},
    "_bpf": {"type": "str", "no_log": True},
    "_progress": {"type": "str"},
    "_asked_by": {"type": "dict", "default": {}},
}
"""Those of the module diagnosis_collect, as AnsibleModule takes them."""


class WrongPart(ValueError):
    """A call that makes no sense; the message is a sentence."""


PROBLEMS = (
    WrongPart,
    between_rounds.Forgotten,
    UnreadableMemory,
    lock.Busy,
    deps.MissingLibrary,
    EbpfError,
    PolicyError,
    PrivilegesError,
    OSError,
    Stopped,
    Unrecorded,
)


def run(given: dict[str, Any], ending: Ending, progress: Progress) -> dict[str, Any]:
    """The part that the arguments of the module diagnosis_collect name. Raises PROBLEMS."""
    identifier = given["diagnosis_id"]
    if not _ID.fullmatch(identifier):
        raise WrongPart(f"{identifier[:80]!r} is not the id of a diagnosis. This module is called by diagnose.")
    if given["part"] == "end":
        return _end(identifier, given)
    until = time.monotonic() + given["seconds"]
    progress({"stage": "waiting", "text": "waiting for the host's lock"})
    about = {"issue": given["issue"], "model": given["model"]}
    with lock.exclusive(given["lock_timeout"], about, ending.event, diagnosis=identifier) as hold:
        begins = given["part"] == "begin"
        redactor = Redactor(given["redact"]) if begins else between_rounds.recall(identifier, given["redact"])
        actions = ActionLog(
            identifier, kind=COLLECTION, redact=redactor.value, required=not given["unrecorded_actions"]
        )
        told = {name: given[name] for name in _ON_RECORD}
        with actions.recorded(who_asked(given["_asked_by"]), {**about, "part": given["part"]}, told) as outcome:
            with Host(_options(given), redactor, ending, progress, actions) as host:
                if given["part"] == "take_up":
                    result = host.take_up()
                elif begins:
                    progress({"stage": "surveying", "text": "looking at what this host is and can do"})
                    result = host.survey(given["issue"])
                else:
                    result = host.collect(given["commands"], _within(given["programs"], until), until)
            between_rounds.keep(identifier, redactor)
            hold.lease(identifier, given["lease_seconds"], about)
            result = {**result, "redacted": redactor.counts}
            outcome.update(redacted=redactor.counts, bytes_returned=len(json.dumps(result, default=str)))
        return {**result, "action_log": actions.describe()}


def capabilities() -> dict[str, Any]:
    """What eBPF the host can do, found out without attaching anything."""
    return survey(attach=False)


def sentence(error: Exception) -> str:
    """One of PROBLEMS as a sentence for the operator."""
    if isinstance(error, OSError):
        return f"The host refused what a diagnosis needs: {error.strerror} ({error.filename})."
    return str(error)


def _options(given: dict[str, Any]) -> CollectOptions:
    # A part without programs gets none.
    bundle = Bundle.unpack(given["_bpf"]) if given["_bpf"] else Bundle({})
    names = (
        "trace_seconds",
        "command_seconds",
        "output_bytes",
        "max_cpu_share",
        "compiler",
        "unsandboxed_commands",
        "privileges",
    )
    return CollectOptions(bundle=bundle, **{name: given[name] for name in names})


def _within(programs: list[dict[str, Any]], until: float) -> list[dict[str, Any]]:
    """The programs, none of them longer than what waiting has left of the round's time."""
    left = max(float(MIN_SECONDS), until - time.monotonic())

    def shortened(program: dict[str, Any]) -> dict[str, Any]:
        seconds = program.get("duration")
        return {**program, "duration": left} if isinstance(seconds, (int, float)) and seconds > left else program

    return [shortened(program) for program in programs]


def _end(identifier: str, given: dict[str, Any]) -> dict[str, Any]:
    """Stops what runs of the diagnosis, writes what its placeholders stand for, and gives the host free."""
    _stop(lock.running(identifier))
    path: Optional[str] = None
    with contextlib.suppress(between_rounds.Forgotten, UnreadableMemory, OSError):
        identities = between_rounds.recall(identifier, given["redact"]).identities
        if identities:
            path = str(record.write_map(identifier, identities))
    if not given["resumable"]:
        between_rounds.forget(identifier)
    between_rounds.prune()
    lock.release(identifier)
    return {"identities": path}


def _stop(pid: Optional[int]) -> None:
    """Ends a round whose controller does not wait for it any more, as a lost connection would."""
    if pid is None or pid == os.getpid():
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + _SECONDS_TO_STOP
        while time.monotonic() < until:
            os.kill(pid, 0)
            time.sleep(0.1)
