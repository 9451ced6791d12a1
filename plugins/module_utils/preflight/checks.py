# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A preflight from a task's arguments to its result, on the host and on the controller. Private to the collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from .. import deps
from ..diagnosis_arguments import ARGUMENTS as OF_A_DIAGNOSIS
from ..evidence.system import system_information
from ..least_privilege import PrivilegesError
from ..model.exchange import Account
from ..model.factory import make_model
from ..model.port import Model
from ..model.reply_form import ON_HOST
from ..model.settings import OFFLINE, Layer, Settings, SettingsError, resolve
from ..model.tls_arguments import TLS_ARGUMENTS, tls_of
from ..redaction.redactor import Redactor
from ..requests_on_record import RequestsOnRecord, endpoint_host
from ..session import record
from ..session.actions import PREFLIGHT, ActionLog, Unrecorded
from ..session.asker import who_asked
from .host import HostChecks
from .model import Admission, ModelChecks, admitted
from .verdicts import CATEGORIES, CHECKS, FAILED, HOST_CHECKS, MODEL_CHECKS, Check, not_tried

_SHARED = (
    "model_access",
    "model_parallel_calls",
    "model_requests_per_minute",
    "model",
    "endpoint",
    "api_key",
    *TLS_ARGUMENTS,
    "redact",
    "unrecorded_actions",
    "_asked_by",
    "_model",
    "_endpoint",
    "_api_key",
)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "checks": {"type": "list", "elements": "str", "choices": list(CHECKS), "default": [*HOST_CHECKS, *MODEL_CHECKS]},
    "answer_seconds": {"type": "float", "default": 60},
    **{name: OF_A_DIAGNOSIS[name] for name in _SHARED},
    "_tell": {"type": "bool", "default": False},
}
"""An argument spec, as AnsibleModule takes it. `_tell`: return what a model would be told of the host."""

_LONGEST = (1, 600)
_DRY = "The model is not asked in check mode."


class PreflightError(ValueError):
    """A preflight that makes no sense; the message is a sentence."""


@dataclass(frozen=True)
class Asking:
    """How the model is asked here: who is told of requests, what lets them wait, and how they are labelled.

    servers: the folder in which it is kept what servers do not take.
    """

    account: Optional[Account] = None
    admission: Admission = admitted
    sleep: Callable[[float], None] = time.sleep
    tags: dict[str, str] = field(default_factory=dict)
    servers: Optional[Path] = None


def check_given(given: dict[str, Any]) -> None:
    """Raises PreflightError for an argument that makes no sense."""
    if not _LONGEST[0] <= given["answer_seconds"] <= _LONGEST[1]:
        seconds = f"{given['answer_seconds']:g}"
        raise PreflightError(f"The parameter answer_seconds is {seconds}; it can be {_LONGEST[0]} to {_LONGEST[1]}.")


def settings_of(given: dict[str, Any]) -> Settings:
    """Which model answers, read where this runs. Raises SettingsError."""
    parameters = Layer(given["model"], given["endpoint"], given["api_key"], tls_of(given))
    return resolve(parameters, Layer(given["_model"], given["_endpoint"], given["_api_key"]))


def asks(given: dict[str, Any]) -> str:
    """Who would ask which model where, in a line: the same for hosts that ask the same one."""
    side = f"from the {given['model_access']}"
    try:
        settings = settings_of(given)
    except SettingsError:
        return f"no model that could be asked, {side}"  # why is said by the check of the model
    where = f" at {endpoint_host(settings)}" if settings.url else ""
    return f"{settings.model}{where}, {side}"


def on_host(given: dict[str, Any], dry: bool) -> dict[str, Any]:
    """The result of a task on the host: ``checks`` by name, ``asks``; with `_tell`, ``told``. Raises PreflightError."""
    check_given(given)
    here = given["model_access"] == "host"
    host = HostChecks(asks_model=here, dry=dry)
    found = host.run([name for name in given["checks"] if name in HOST_CHECKS])
    result: dict[str, Any] = {}
    if given["_tell"]:
        result["told"] = _told(host)
    if here:
        found.update(_asked_from_host(given, host, dry))
        result["asks"] = asks(given)
    return {**result, "checks": shown(found)}


def of_model(given: dict[str, Any], told: Callable[[], dict[str, Any]], dry: bool, asking: Asking) -> dict[str, Check]:
    """The checks of the model that are asked for, from where this runs; `told`: what the host tells of itself."""
    names = [name for name in given["checks"] if name in MODEL_CHECKS or name in CATEGORIES]
    if dry or not names:
        return {name: not_tried(_DRY) for name in names}
    try:
        deps.require("pydantic")
        checks = _model_checks(given, settings_of(given), asking)
    except (SettingsError, deps.MissingLibrary) as error:
        failed = Check(FAILED, str(error), "Mend the settings that the sentence names, or run the playbook setup.")
        return {name: failed if name == "model" else not_tried("There is no model to ask.") for name in names}
    found: dict[str, Check] = {}
    if set(names) & set(MODEL_CHECKS):
        found.update({name: check for name, check in checks.answers().items() if name in names})
    for category in (name for name in names if name in CATEGORIES):
        found[category] = checks.reply(category, told())
    return found


def shown(found: dict[str, Check]) -> dict[str, Any]:
    """Checks as a result has them, without secrets that a server may have repeated."""
    redacted: dict[str, Any] = Redactor().value({name: check.as_data() for name, check in found.items()})
    return redacted


def _asked_from_host(given: dict[str, Any], host: HostChecks, dry: bool) -> dict[str, Check]:
    """As `of_model`, with every request in the host's log of actions."""

    def ask(asking: Asking) -> dict[str, Check]:
        return of_model(given, lambda: _told(host), dry, asking)

    try:
        settings = settings_of(given)
    except SettingsError:
        return ask(Asking())  # which says why
    leaves = settings.model != OFFLINE and not dry and set(given["checks"]) - set(HOST_CHECKS)
    if not leaves:
        return ask(Asking())
    redactor = Redactor(tuple(given["redact"]))
    identifier = record.new_id()
    actions = ActionLog(identifier, kind=PREFLIGHT, redact=redactor.value, required=not given["unrecorded_actions"])
    about = {"issue": "preflight", "model": settings.model, "endpoint_host": endpoint_host(settings)}
    try:
        with actions.recorded(who_asked(given["_asked_by"]), about, {"checks": given["checks"]}):
            account = RequestsOnRecord(settings, actions)
            return ask(Asking(account, tags={"diagnosis_id": identifier}, servers=ON_HOST))
    except Unrecorded as error:
        failed = Check(FAILED, str(error), "Mend that, or set unrecorded_actions: true for this run.")
        return {name: failed for name in given["checks"] if name not in HOST_CHECKS}


def _model_checks(given: dict[str, Any], settings: Settings, asking: Asking) -> ModelChecks:
    def make() -> Model:
        return make_model(
            settings, asking.account, sleep=asking.sleep, tags=lambda: asking.tags, servers=asking.servers
        )

    make()  # what no client can be made of is said before anything is asked
    return ModelChecks(settings, make, given["answer_seconds"], asking.admission, tuple(given["redact"]))


def _told(host: HostChecks) -> dict[str, Any]:
    try:
        capabilities = host.capabilities()
    except PrivilegesError as error:
        raise PreflightError(f"The model cannot be told what this host can do. {error}") from None
    return {"system_information": system_information(), "capabilities": capabilities}
