# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis on the host, from a task's parameters to its result. Private to the collection.

Wires the rooms together: the settings name the model, the collector answers it, the loop leads, the record keeps all.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional, Protocol

from . import deps
from .collecting import CollectOptions, Host
from .commands.policy import SITE_FILE
from .ebpf.bundle import Bundle
from .ebpf.capability import survey
from .ebpf.programs import NEEDED
from .evidence.collector import Progress
from .fitting import fit_evidence
from .grounding.check import bounded
from .loop import Admission, LoopLimits, diagnose
from .model.factory import make_model
from .model.port import Answer, Model
from .model.settings import Layer, Settings, resolve
from .redaction.redactor import Redactor
from .requests_on_record import OfflineOnRecord, RequestsOnRecord, endpoint_host
from .session import lock, record
from .session.actions import ActionLog
from .session.asker import who_asked
from .session.ending import Ending
from .session.progress import ProgressFile

MAX_ISSUE = 4000
# Characters of evidence in a result, and in facts, which the controller keeps for every host to the end of the run.
_MAX_RESULT = 96 * 1024
_MAX_FACTS = 24 * 1024
_CLAIMS_IN_RESULT, _CLAIMS_IN_FACTS = 100, 20
_FACTS = ("resolution", "grounding", "ebpf_results", "command_results", "rounds", "usage", "episode_id", "model")


@dataclass(frozen=True)
class Options:
    """What a task asks for: seconds, bytes."""

    issue: str
    rounds: int
    seconds: float
    trace_seconds: float
    command_seconds: float
    output_bytes: int
    lock_timeout: float
    bundle: Bundle
    max_cpu_share: Optional[float] = None
    compiler: str = NEEDED
    unsandboxed_commands: bool = False
    tokens: int = 0
    unrecorded_actions: bool = False
    redact: tuple[str, ...] = ()
    asked_by: dict[str, Any] = field(default_factory=dict)
    parameters: Layer = field(default_factory=Layer)
    environment: Layer = field(default_factory=Layer)


class DiagnosisError(Exception):
    """A diagnosis that reached no resolution; the message is a sentence, `result` is what was found until then."""

    def __init__(self, message: str, result: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.result = result or {}


class _WatchedModel:
    """A model whose answer is not waited for once the run is told to end."""

    def __init__(self, model: Model, ending: Ending) -> None:
        self.name = model.name
        self._model = model
        self._ending = ending

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        with self._ending.interruptible():
            return self._model.ask(messages, timeout)


_RANGES = {
    "rounds": (1, 20),
    "tokens": (0, 1_000_000_000),
    "seconds": (10, 7200),
    "trace_seconds": (1, 300),
    "command_seconds": (1, 600),
    "output_bytes": (1024, 16 * 1024 * 1024),
    "lock_timeout": (0, 86400),
    "max_cpu_share": (0, 10000),
}


def check_limits(options: Options) -> None:
    """Raises DiagnosisError for a limit that makes no sense."""
    for name, (least, most) in _RANGES.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            raise DiagnosisError(f"The parameter {name} is {value:g}; it can be {least} to {most}.")


def settings_of(options: Options) -> Settings:
    """Which model answers. Raises SettingsError."""
    return resolve(options.parameters, options.environment)


def check_issue(issue: str) -> str:
    """The issue without white space around it. Raises DiagnosisError where there is none, or far too much."""
    stripped = issue.encode("utf-8", "replace").decode("utf-8").strip()
    if not stripped:
        raise DiagnosisError(
            'The issue is empty: say in a sentence what is wrong, such as "application fails to connect to database".'
        )
    if len(stripped) > MAX_ISSUE:
        raise DiagnosisError(
            f"The issue has {len(stripped)} characters, more than {MAX_ISSUE}: describe the symptom; the host's logs"
            " are looked at in the course of the diagnosis."
        )
    return stripped


def run(options: Options, ending: Ending, progress: Progress) -> dict[str, Any]:
    """Diagnoses, and gives the result with `record`, the path of the full record.

    Raises DiagnosisError, and what the rooms raise before anything was asked: SettingsError, MissingLibrary, Busy,
    Stopped, Unrecorded, EbpfError, OSError.
    """
    issue = check_issue(options.issue)
    check_limits(options)
    deps.require("pydantic")
    settings = settings_of(options)
    redactor = Redactor(options.redact)
    actions = ActionLog(record.new_id(), redact=redactor.value, required=not options.unrecorded_actions)
    model = _WatchedModel(_model(settings, actions), ending)
    about = {"issue": issue, "model": settings.model, "endpoint_host": endpoint_host(settings)}
    with actions.recorded(who_asked(options.asked_by), about, _telling(options)) as outcome:
        progress({"stage": "waiting", "text": "waiting for the host's lock"})
        with lock.exclusive(options.lock_timeout, {"issue": issue}, ending.event):
            progress({"stage": "surveying", "text": "looking at what this host is and can do"})
            with Host(_collecting(options), redactor, ending, progress, actions) as host:
                try:
                    result = lead(issue, Lead(actions.identifier, limits(options)), model, host, progress)
                except DiagnosisError as error:
                    if error.result:
                        _on_record(error.result, actions, outcome, progress)
                    raise
        _on_record(result, actions, outcome, progress)
    return result


def _model(settings: Settings, actions: ActionLog) -> Model:
    account = RequestsOnRecord(settings, actions)
    model = make_model(settings, account)
    return model if endpoint_host(settings) else OfflineOnRecord(model, account)


def _telling(options: Options) -> dict[str, Any]:
    """The options that say what a run may do, for the log of actions."""
    names = (*_RANGES, "unsandboxed_commands", "unrecorded_actions", "redact")
    policy = SITE_FILE if os.path.lexists(SITE_FILE) else "built-in"
    return {**{name: getattr(options, name) for name in names}, "command_policy": policy}


def _on_record(result: dict[str, Any], actions: ActionLog, outcome: dict[str, Any], progress: Progress) -> None:
    """Puts into `result` where it is on record what was done, and into `outcome` what the end there says of it."""
    result["action_log"] = actions.describe()
    outcome.update(
        ended=result["ended"],
        error=result["error"],
        resolution=result["resolution"] is not None,
        rounds=len(result["rounds"]),
        redacted=result["redacted"],
        record=result["record"],
        bytes_returned=len(json.dumps({**result, **facts(result)}, default=str)),
        bytes_of_progress=progress.written if isinstance(progress, ProgressFile) else 0,
    )


class Site(Protocol):
    """The host of a diagnosis, as the loop's side sees it: the host itself, or one that is reached by Ansible."""

    @property
    def redacted(self) -> dict[str, int]:
        """How many different secrets of each kind were redacted so far."""

    @property
    def identities(self) -> dict[str, str]:
        """What placeholders stand for, as far as this side may know it."""

    def survey(self, issue: str) -> dict[str, Any]:
        """As `collecting.Host` has it."""

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float]
    ) -> dict[str, Any]:
        """As `collecting.Host` has it."""


@dataclass(frozen=True)
class Lead:
    """How a diagnosis is led: with which id, within what limits, where its record goes."""

    identifier: str
    limits: LoopLimits
    records: Path = record.RECORDS
    admission: Admission = lambda seconds: contextlib.nullcontext()


def lead(issue: str, how: Lead, model: Model, site: Site, progress: Progress) -> dict[str, Any]:
    """A diagnosis from the survey to its record, the same on either side of the connection.

    Raises DiagnosisError where there is no resolution, and what the site raises.
    """
    started, began = datetime.now(timezone.utc), time.monotonic()
    told = site.survey(issue)
    found = diagnose(
        issue=told["issue"],
        system_information=told["system_information"],
        capabilities=told["capabilities"],
        model=model,
        collect=site.collect,
        limits=how.limits,
        progress=progress,
        admission=how.admission,
    )
    result = {
        "diagnosis_id": how.identifier,
        "issue": told["issue"],
        "host": told["system_information"]["hostname"],
        "started_at": started.isoformat(timespec="milliseconds"),
        "duration_s": round(time.monotonic() - began, 3),
        "sandbox": told["sandbox"],
        "redacted": site.redacted,
        **found,
    }
    return _finished(result, told["capabilities"], site.identities, how)


def limits(options: Options) -> LoopLimits:
    """What a diagnosis may cost."""
    return LoopLimits(
        rounds=options.rounds,
        seconds=options.seconds,
        trace_seconds=options.trace_seconds,
        tokens=options.tokens or None,
    )


def _collecting(options: Options) -> CollectOptions:
    return CollectOptions(
        bundle=options.bundle,
        trace_seconds=options.trace_seconds,
        command_seconds=options.command_seconds,
        output_bytes=options.output_bytes,
        max_cpu_share=options.max_cpu_share,
        compiler=options.compiler,
        unsandboxed_commands=options.unsandboxed_commands,
    )


def _finished(
    result: dict[str, Any], capabilities: dict[str, Any], identities: dict[str, str], how: Lead
) -> dict[str, Any]:
    """Writes the record, and beside it what the placeholders of `identities` stand for; the result, bounded.

    Raises DiagnosisError where there is no resolution.
    """
    path: Optional[Path] = None
    try:
        whole = {**result, "capabilities": capabilities}
        path = record.write(how.identifier, whole, how.records)
        if identities:
            record.write_map(how.identifier, identities, how.records)
    except OSError as error:
        result["notes"] = [f"The record of this diagnosis could not be written: {error}."]
    evidence = {"command_results": result["command_results"], "ebpf_results": result["ebpf_results"]}
    result.update(fit_evidence(evidence, _MAX_RESULT), record=str(path) if path else None)
    if result["grounding"]:
        result["grounding"] = bounded(result["grounding"], _CLAIMS_IN_RESULT)
    if result["resolution"] is None:
        raise DiagnosisError(result["error"] or "The diagnosis ended without a resolution.", result)
    return result


def facts(result: dict[str, Any]) -> dict[str, Any]:
    """The result as facts, its evidence cut to what a controller can keep of a thousand hosts; {} for an empty one."""
    if not result:
        return {}
    evidence = {"command_results": result["command_results"], "ebpf_results": result["ebpf_results"]}
    kept = {**result, **fit_evidence(evidence, _MAX_FACTS)}
    if kept.get("grounding"):
        kept["grounding"] = bounded(kept["grounding"], _CLAIMS_IN_FACTS)
    return {"ansible_facts": {f"nannyapi_{name}": kept[name] for name in _FACTS}}


def plan(options: Options, capabilities: Optional[dict[str, Any]] = None) -> dict[str, Any]:
    """What a diagnosis would do, without doing any of it. Raises as `run` does before anything is asked.

    `capabilities`: of the host, where that is another one.
    """
    issue = check_issue(options.issue)
    check_limits(options)
    settings = settings_of(options)
    shown = asdict(settings)
    shown.pop("api_key")
    return {
        "issue": issue,
        "would": (
            f"Ask {settings.model}{f' at {settings.url}' if settings.url else ''} about this issue, in up to"
            f" {options.rounds} rounds and {options.seconds:g} s run the read-only commands and attach the eBPF"
            " programs that it asks for, and return its resolution."
        ),
        "settings": shown,
        "ebpf_capabilities": capabilities or survey(attach=False),
    }
