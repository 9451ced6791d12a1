# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis that is led from the controller: the same loop, a host by Ansible. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import deps, diagnosis
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis_arguments import options_of
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import EbpfError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.keeping import kept
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.factory import make_model
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import Model
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import SettingsError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import record
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.record import RecordError
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.interruption import Interruption
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.remote_host import Execute, RemoteHost
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.request_limits import LimitsError, RequestLimits

Progress = Callable[[dict[str, Any]], None]

_PROBLEMS = (
    deps.MissingLibrary,
    diagnosis.DiagnosisError,
    diagnosis.SiteError,
    EbpfError,
    LimitsError,
    OSError,
    RecordError,
    SettingsError,
)
# What a host is told of a task's arguments: nothing of the model, and no key.
_FOR_HOST = (
    "trace_seconds",
    "max_cpu_share",
    "command_seconds",
    "output_bytes",
    "unsandboxed_commands",
    "unrecorded_actions",
    "redact",
    "lock_timeout",
    "compiler",
    "privileges",
)
_RANGES = {"model_parallel_calls": (0, 1000), "model_requests_per_minute": (0, 10_000)}


def diagnose(given: dict[str, Any], name: str, execute: Execute, show: Progress) -> dict[str, Any]:
    """The result of a task whose checked arguments are `given`, `failed` with `msg` where there is no resolution.

    `name` is the host's in the inventory. `execute` runs the module diagnosis_collect on the host; `show` is told what
    goes on here. Raises what a connection raises before the host has told anything, for Ansible to call the host
    unreachable.
    """
    try:
        result = _led(given, name, execute, show)
    except _PROBLEMS as error:
        found = getattr(error, "result", {})
        failed = {"failed": True, "msg": _sentence(error), "issue": given["issue"]}
        return {"changed": False, **failed, **found, **diagnosis.facts(found)}
    return {"changed": False, **result, **diagnosis.facts(result)}


def plan(given: dict[str, Any], name: str, execute: Execute) -> dict[str, Any]:
    """What the task would do, as the module says it in check mode."""
    try:
        told = execute({"part": "begin", "diagnosis_id": record.new_id()})
        if told.get("failed"):
            raise diagnosis.SiteError(str(told.get("msg")))
        records = record_folder(given["record_dir"], name)
        return {"changed": False, **diagnosis.plan(options_of(given), told["capabilities"], records)}
    except _PROBLEMS as error:
        return {"changed": False, "failed": True, "msg": _sentence(error), "issue": given["issue"]}


def _led(given: dict[str, Any], name: str, execute: Execute, show: Progress) -> dict[str, Any]:
    options = options_of(given)
    issue = diagnosis.issue_of(options)
    diagnosis.check_limits(options)
    for parameter, (least, most) in _RANGES.items():
        if not least <= given[parameter] <= most:
            raise diagnosis.DiagnosisError(
                f"The parameter {parameter} is {given[parameter]}; it can be {least} to {most}."
            )
    settings = diagnosis.settings_of(options)
    with kept(options.resume, record_folder(given["record_dir"], name), options.lock_timeout) as keeping:
        keeping.check(issue, machine=None)
        if keeping.is_over:
            return diagnosis.returned(keeping)
        how = diagnosis.Lead(
            keeping,
            diagnosis.limits(options),
            tuple(sorted({*options.redact, *keeping.redact})),
            problems=(diagnosis.SiteError, OSError),
        )
        episode = keeping.episode(settings)
        if settings.url:
            parallel, a_minute = given["model_parallel_calls"], given["model_requests_per_minute"]
            limits = RequestLimits(settings.url, parallel, a_minute, show)
            how = replace(how, admission=limits.admission)
            model = make_model(
                settings, episode_id=episode, sleep=limits.pause, tags=keeping.tags, servers=servers_folder()
            )
        else:
            model = make_model(settings)
        arguments = {**{each: given[each] for each in _FOR_HOST}, "redact": list(how.redact), "model": settings.model}
        host = RemoteHost(execute, keeping.identifier, arguments, given["_bpf"])
        return _ended(issue, how, model, host, show)


def _ended(issue: str, how: diagnosis.Lead, model: Model, host: RemoteHost, show: Progress) -> dict[str, Any]:
    """The result; the host is told that it is over, however that came."""
    over = False
    with Interruption() as interruption:
        try:
            result = diagnosis.lead(issue, how, model, host, show)
            over = True
            return {**result, "action_log": host.action_log}
        except diagnosis.DiagnosisError as error:
            if error.result:
                error.result["action_log"] = host.action_log
            raise
        finally:
            with interruption.put_off():
                _end(host, show, resumable=not over)


def _end(host: RemoteHost, show: Progress, resumable: bool) -> None:
    """Tells the host that it is over. Where that fails, the host finds out itself, when its lease ends."""
    try:
        host.end(resumable)
    except Exception as error:
        show({"stage": "not_ended", "text": f"the host was not told that the diagnosis is over: {error}"})


def servers_folder() -> Optional[Path]:
    """Where the controller keeps what servers of models do not take; None where there is no such place."""
    with contextlib.suppress(diagnosis.SiteError):
        return _folder("XDG_CACHE_HOME", ".cache") / "nannyapi" / "servers"
    return None


def record_folder(named: Optional[str], host: str) -> Path:
    """Where the controller keeps records of a host, its own as on the host: so many of each are kept.

    Raises SiteError for a user without a home, where no folder is named.
    """
    if named:
        records = Path(named).expanduser()
    else:
        records = _folder("XDG_STATE_HOME", ".local/state") / "nannyapi" / "diagnostics"
    return records / (re.sub(r"[^\w.@-]", "_", host).lstrip(".") or "_")


def _folder(variable: str, below_home: str) -> Path:
    """A folder of whoever runs Ansible. Raises SiteError for a user without a home."""
    named = os.environ.get(variable)
    if named:
        return Path(named)
    try:
        return Path.home() / below_home
    except RuntimeError as error:
        raise diagnosis.SiteError(
            f"This user has no home on the controller, where something is to be kept: set HOME or {variable}."
        ) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"The controller refused what a diagnosis needs: {error.strerror} ({error.filename})."
    return str(error)
