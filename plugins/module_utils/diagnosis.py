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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional, Protocol

from . import deps
from .collecting import CollectOptions, Host
from .commands.errors import PolicyError
from .commands.policy import SITE_FILE
from .ebpf.bundle import Bundle
from .ebpf.capability import survey
from .ebpf.errors import EbpfError
from .ebpf.programs import NEEDED
from .evidence.collector import Progress
from .fitting import fit_evidence
from .grounding.check import bounded
from .keeping import Kept, kept
from .least_privilege import decide
from .loop import Admission, LoopLimits, diagnose
from .loop_state import StateError
from .model.factory import make_model
from .model.port import Answer, Model
from .model.reply_form import ON_HOST
from .model.settings import Layer, Settings, resolve
from .redaction.redactor import Redactor
from .requests_on_record import OfflineOnRecord, RequestsOnRecord, endpoint_host
from .session import between_rounds, lock, record
from .session.actions import ActionLog, Unrecorded
from .session.asker import who_asked
from .session.ending import Ending, Stopped
from .session.progress import ProgressFile

MAX_ISSUE = 4000
# Characters of evidence in a result, and in facts, which the controller keeps for every host to the end of the run.
_MAX_RESULT = 96 * 1024
_MAX_FACTS = 24 * 1024
_FEWEST_EVIDENCE_BYTES = 4096
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
    privileges: Optional[str] = None
    tokens: int = 0
    evidence_bytes: int = 0
    unrecorded_actions: bool = False
    redact: tuple[str, ...] = ()
    asked_by: dict[str, Any] = field(default_factory=dict)
    resume: str = ""
    parameters: Layer = field(default_factory=Layer)
    environment: Layer = field(default_factory=Layer)


class DiagnosisError(Exception):
    """A diagnosis that reached no resolution; the message is a sentence, `result` is what was found until then."""

    def __init__(self, message: str, result: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.result = result or {}


class SiteError(Exception):
    """The host could not do its part; the message is a sentence. What it did before stays.

    `collected`: what it had collected of this round.
    """

    def __init__(self, message: str, collected: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.collected = collected


class _WatchedModel:
    """A model whose answer is not waited for once the run is told to end."""

    def __init__(self, model: Model, ending: Ending) -> None:
        self.name = model.name
        self.overhead = model.overhead
        self._model = model
        self._ending = ending

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        with self._ending.interruptible():
            return self._model.ask(messages, timeout)


_RANGES = {
    "rounds": (1, 20),
    "tokens": (0, 1_000_000_000),
    "evidence_bytes": (0, 1_000_000_000),
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
    if 0 < options.evidence_bytes < _FEWEST_EVIDENCE_BYTES:
        raise DiagnosisError(
            f"The parameter evidence_bytes is {options.evidence_bytes}; it can be 0 (no limit), or"
            f" {_FEWEST_EVIDENCE_BYTES} and more: fewer bytes hold no evidence."
        )


def settings_of(options: Options) -> Settings:
    """Which model answers. Raises SettingsError."""
    return resolve(options.parameters, options.environment)


def issue_of(options: Options) -> str:
    """The issue of a task, as `check_issue` has it; one that goes on with a diagnosis may leave it out."""
    return "" if options.resume.strip() and not options.issue.strip() else check_issue(options.issue)


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
    PrivilegesError, RecordError, Stopped, Unrecorded, EbpfError, OSError.
    """
    issue = issue_of(options)
    check_limits(options)
    deps.require("pydantic")
    settings = settings_of(options)
    with kept(options.resume, record.RECORDS, options.lock_timeout, ending.event) as keeping:
        keeping.check(issue, machine=None)
        if keeping.is_over:
            return returned(keeping)
        how = Lead(keeping, limits(options), tuple(sorted({*options.redact, *keeping.redact})))
        # Placeholders stand for the same throughout a diagnosis.
        redactor = between_rounds.recall(keeping.identifier, how.redact) if keeping.state else Redactor(how.redact)
        actions = ActionLog(keeping.identifier, redact=redactor.value, required=not options.unrecorded_actions)
        model = _WatchedModel(_model(settings, actions, keeping), ending)
        issue_or_before = issue or keeping.issue
        about = {"issue": issue_or_before, "model": settings.model, "endpoint_host": endpoint_host(settings)}
        with actions.recorded(who_asked(options.asked_by), about, _telling(options)) as outcome:
            progress({"stage": "waiting", "text": "waiting for the host's lock"})
            waiting = {"issue": issue_or_before}
            with lock.exclusive(options.lock_timeout, waiting, ending.event, diagnosis=keeping.identifier):
                progress({"stage": "surveying", "text": "looking at what this host is and can do"})
                with Host(_collecting(options), redactor, ending, progress, actions) as host:
                    try:
                        result = lead(issue, how, model, _Here(host, keeping.identifier), progress)
                    except DiagnosisError as error:
                        if error.result:
                            _on_record(error.result, actions, outcome, progress)
                        raise
            _on_record(result, actions, outcome, progress)
        between_rounds.forget(keeping.identifier)
    return result


def _model(settings: Settings, actions: ActionLog, keeping: Kept) -> Model:
    account = RequestsOnRecord(settings, actions)
    model = make_model(settings, account, keeping.episode(settings), tags=keeping.tags, servers=ON_HOST)
    return model if endpoint_host(settings) else OfflineOnRecord(model, account)


def _telling(options: Options) -> dict[str, Any]:
    """The options that say what a run may do, for the log of actions."""
    names = (*_RANGES, "unsandboxed_commands", "unrecorded_actions", "privileges", "redact", "resume")
    policy = SITE_FILE if os.path.lexists(SITE_FILE) else "built-in"
    return {**{name: getattr(options, name) for name in names}, "command_policy": policy}


def _on_record(result: dict[str, Any], actions: ActionLog, outcome: dict[str, Any], progress: Progress) -> None:
    """Puts into `result` where it is on record what was done, and into `outcome` what the end there says of it."""
    result["action_log"] = actions.describe()
    if result["ended"]:  # else it was interrupted, and what by says how it ended
        outcome.update(ended=result["ended"], error=result["error"])
    outcome.update(
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

    def take_up(self) -> dict[str, Any]:
        """As `collecting.Host` has it."""

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float]
    ) -> dict[str, Any]:
        """As `collecting.Host` has it."""


class _Here:
    """The host itself. What it redacted is kept for a later run before anything of it is shown to a model."""

    def __init__(self, host: Host, identifier: str) -> None:
        self._host = host
        self._identifier = identifier
        self.take_up = host.take_up

    @property
    def redacted(self) -> dict[str, int]:
        return self._host.redacted

    @property
    def identities(self) -> dict[str, str]:
        return self._host.identities

    def survey(self, issue: str) -> dict[str, Any]:
        try:
            return self._host.survey(issue)
        finally:
            self._keep()

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float]
    ) -> dict[str, Any]:
        try:
            return self._host.collect(commands, programs, deadline)
        finally:
            self._keep()

    def _keep(self) -> None:
        with contextlib.suppress(OSError):  # then it cannot be gone on with, and says so
            between_rounds.keep(self._identifier, self._host.redactor)


@dataclass(frozen=True)
class Lead:
    """How a diagnosis is led: how it is kept, within what limits, and what ends it with what was found until then."""

    keeping: Kept
    limits: LoopLimits
    redact: tuple[str, ...] = ()
    admission: Admission = lambda seconds: contextlib.nullcontext()
    problems: tuple[type[Exception], ...] = (Stopped, Unrecorded, EbpfError, PolicyError, OSError)


def lead(issue: str, how: Lead, model: Model, site: Site, progress: Progress) -> dict[str, Any]:
    """A diagnosis from the survey to its record, the same on either side of the connection.

    One that was begun before goes on from its last complete round. Raises DiagnosisError where there is no resolution,
    with what was found.
    """
    keeping = how.keeping
    progress({"stage": "begun", "text": f"Diagnosis {keeping.identifier}"})
    try:
        told = _told(issue, how, site)
        diagnose(
            issue=told["issue"],
            system_information=told["system_information"],
            capabilities=told["capabilities"],
            model=model,
            collect=site.collect,
            limits=how.limits,
            progress=progress,
            admission=how.admission,
            checkpoint=lambda state: keeping.checkpoint(state, redacted=site.redacted),
            resumed=keeping.state,
            notes=told["notes"],
        )
    except StateError as error:
        raise DiagnosisError(
            f"The record {keeping.path} is damaged: {error} Start the diagnosis anew, without resume."
        ) from None
    except how.problems as error:
        why = sentence(error)
        found = keeping.interrupted(why, getattr(error, "collected", None))
        raise DiagnosisError(f"{why} {keeping.how_to_go_on()}".strip(), _bounded(found)) from error
    return _finished(keeping, site.identities)


def _told(issue: str, how: Lead, site: Site) -> dict[str, Any]:
    """What the model is told first, or was told in an earlier run; in the record as well."""
    keeping, state = how.keeping, how.keeping.state
    if state is None:
        issue = issue or keeping.issue
        keeping.note(issue=Redactor(how.redact).text(issue), redact=list(how.redact))
        told = {**site.survey(issue), "notes": []}
        system = told["system_information"]
    else:
        system = state["system_information"]
        told = {name: state[name] for name in ("issue", "system_information", "capabilities")}
        told.update(site.take_up())
        told["notes"] = keeping.since(told.get("boot"))
    keeping.check("", told.get("machine"))
    seen = {name: told.get(name) for name in ("sandbox", "privileges", "machine", "boot")}
    keeping.note(host=system["hostname"], issue=told["issue"], redacted=site.redacted, **seen)
    return told


def limits(options: Options) -> LoopLimits:
    """What a diagnosis may cost."""
    return LoopLimits(
        rounds=options.rounds,
        seconds=options.seconds,
        trace_seconds=options.trace_seconds,
        tokens=options.tokens or None,
        evidence_bytes=options.evidence_bytes or None,
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
        privileges=options.privileges,
    )


def _finished(keeping: Kept, identities: dict[str, str]) -> dict[str, Any]:
    """Writes the end, and beside the record what the placeholders of `identities` stand for; the result, bounded.

    Raises DiagnosisError where there is no resolution.
    """
    if identities:
        keeping.write_map(identities)
    result = _bounded(keeping.finish())
    if result["resolution"] is None:
        why = result["error"] or "The diagnosis ended without a resolution."
        raise DiagnosisError(f"{why} {keeping.how_to_go_on()}".strip(), result)
    return result


def returned(keeping: Kept) -> dict[str, Any]:
    """The result of a diagnosis that had reached its resolution before."""
    result = _bounded(keeping.result())
    said = f"The diagnosis {keeping.identifier} had reached its resolution; this is what its record says."
    return {**result, "notes": [*result.get("notes", []), said]}


def _bounded(result: dict[str, Any]) -> dict[str, Any]:
    """A result with as much of its evidence as a controller takes; {} for none."""
    if not result:
        return {}
    evidence = {"command_results": result["command_results"], "ebpf_results": result["ebpf_results"]}
    bounded_result = {**result, **fit_evidence(evidence, _MAX_RESULT)}
    if result["grounding"]:
        bounded_result["grounding"] = bounded(result["grounding"], _CLAIMS_IN_RESULT)
    return bounded_result


def sentence(error: Exception) -> str:
    """What ended a diagnosis, as a sentence for the operator; it may hold what a server said, or a path of the host."""
    if isinstance(error, OSError):
        return Redactor().text(f"The host refused what a diagnosis needs: {error.strerror} ({error.filename}).")
    return Redactor().text(str(error))


def facts(result: dict[str, Any]) -> dict[str, Any]:
    """The result as facts, its evidence cut to what a controller can keep of a thousand hosts; {} for an empty one."""
    if not result:
        return {}
    evidence = {"command_results": result["command_results"], "ebpf_results": result["ebpf_results"]}
    kept = {**result, **fit_evidence(evidence, _MAX_FACTS)}
    if kept.get("grounding"):
        kept["grounding"] = bounded(kept["grounding"], _CLAIMS_IN_FACTS)
    return {"ansible_facts": {f"nannyapi_{name}": kept[name] for name in _FACTS}}


def plan(
    options: Options, capabilities: Optional[dict[str, Any]] = None, records: Path = record.RECORDS
) -> dict[str, Any]:
    """What a diagnosis would do, without doing any of it. Raises as `run` does before anything is asked.

    `capabilities`: of the host, where that is another one; `records`: where its records are then.
    """
    issue = issue_of(options)
    check_limits(options)
    settings = settings_of(options)
    shown = asdict(settings)
    shown.pop("api_key")
    asked = f"{settings.model}{f' at {settings.url}' if settings.url else ''}"
    would = (
        f"Ask {asked} about this issue, in up to {options.rounds} rounds and {options.seconds:g} s run the read-only"
        " commands and attach the eBPF programs that it asks for, and return its resolution."
    )
    if options.resume:
        with kept(options.resume, records) as keeping:
            keeping.check(issue, machine=None)
            issue, would = keeping.issue, keeping.would(asked, options.rounds, options.seconds)
    return {
        "issue": issue,
        "would": would,
        "settings": shown,
        "ebpf_capabilities": capabilities or survey(attach=False),
        "privileges": None if capabilities else decide(options.privileges).describe(),
    }
