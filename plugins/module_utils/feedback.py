# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the gateway that answered a diagnosis whether it was right. Private to the collection.

The same on the host and on the controller: what differs is the folder of records.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlsplit

from .model.feedback import COMMENT, METRIC, FeedbackClient, feedback_url
from .model.port import ModelError
from .model.settings import OFFLINE, Layer, Settings, completions_url, resolve
from .model.tls_arguments import TLS_ARGUMENTS, tls_of
from .redaction.redactor import Redactor
from .session import record
from .session.record import RecordError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "diagnosis_id": {"type": "str", "default": ""},
    "episode_id": {"type": "str", "default": ""},
    "correct": {"type": "bool"},
    "comment": {"type": "str", "default": ""},
    "model_access": {"type": "str", "choices": ["host", "controller"], "default": "host"},
    "record_dir": {"type": "path"},
    "endpoint": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    **TLS_ARGUMENTS,
    "timeout": {"type": "float", "default": 30},
    "_endpoint": {"type": "str"},
    "_api_key": {"type": "str", "no_log": True},
}
"""An argument spec, as AnsibleModule takes it."""

_LONGEST = (1, 600)


class FeedbackError(Exception):
    """Feedback that was not, or not all, taken; the message is a sentence, `result` is what was taken."""

    def __init__(self, message: str, result: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.result = result or {}


@dataclass(frozen=True)
class _Episode:
    """What feedback is about: an episode, and what the record of the diagnosis says of it, if there is one."""

    identifier: str
    tags: dict[str, str] = field(default_factory=dict)
    url: str = ""
    redact: tuple[str, ...] = ()


def give(given: dict[str, Any], records: Path = record.RECORDS, dry_run: bool = False) -> dict[str, Any]:
    """Posts verdict and comment of checked arguments; the task's result. `dry_run`: the gateway looks, no more.

    Raises FeedbackError, SettingsError, MissingLibrary.
    """
    if given["correct"] is None and not given["comment"].strip():
        raise FeedbackError("There is nothing to tell the gateway: set correct (true or false), comment, or both.")
    if not _LONGEST[0] <= given["timeout"] <= _LONGEST[1]:
        raise FeedbackError(f"The parameter timeout is {given['timeout']:g}; it can be {_LONGEST[0]} to {_LONGEST[1]}.")
    episode = _episode(given, records)
    settings = _settings(given, episode)
    if settings.url is None:
        raise FeedbackError(
            "There is no gateway to tell: set endpoint (or NANNYAPI_ENDPOINT) to the gateway that answered, such as"
            " http://gateway:3000/openai/v1."
        )
    url = feedback_url(settings.url)
    client = FeedbackClient("feedback", url, settings.api_key, tls=settings.tls)
    taken: dict[str, str] = {}
    about = {**episode.tags, "episode_id": episode.identifier, "gateway": url.partition("?")[0]}
    try:
        for metric, value in _told(given, episode.redact):
            said = {"metric_name": metric, "value": value, "episode_id": episode.identifier, "tags": episode.tags}
            try:
                identifier = client.give({**said, "dryrun": dry_run}, given["timeout"])
            except ModelError as error:
                already = " The verdict was taken, the comment was not." if taken else ""
                raise FeedbackError(f"{error.message}{already}", {**about, "feedback_ids": taken}) from None
            if not dry_run:
                taken[metric] = identifier
    finally:
        client.close()
    return {**about, "feedback_ids": taken}


def _told(given: dict[str, Any], redact: tuple[str, ...]) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []
    if given["correct"] is not None:
        told.append((METRIC, given["correct"]))
    if given["comment"].strip():
        told.append((COMMENT, Redactor(redact).text(given["comment"].strip())))
    return told


def _episode(given: dict[str, Any], records: Path) -> _Episode:
    wanted, named = given["diagnosis_id"].strip(), given["episode_id"].strip()
    if bool(wanted) == bool(named):
        raise FeedbackError("Exactly one of diagnosis_id and episode_id says what the feedback is about: set that one.")
    if named:
        return _Episode(named)
    try:
        content = record.find(wanted, records)
    except RecordError as error:
        why = str(error).replace(" Start the diagnosis anew, without resume.", "")
        raise FeedbackError(f"{why} The episode_id of the diagnosis does instead of its record.") from None
    identifier, asked = content.get("episode_id"), content.get("asked")
    asked = asked if isinstance(asked, dict) else {}
    if not isinstance(identifier, str) or not identifier:
        raise FeedbackError(
            f"The diagnosis {content['diagnosis_id']} has no episode: {asked.get('model') or 'its model'} answered it,"
            " and only a TensorZero gateway takes feedback."
        )
    tags = {"diagnosis_id": str(content["diagnosis_id"])}
    if content.get("host"):
        tags["host"] = str(content["host"])
    redact = tuple(str(each) for each in content.get("redact", []))
    return _Episode(identifier, tags, str(asked.get("url") or ""), redact)


def _settings(given: dict[str, Any], episode: _Episode) -> Settings:
    """Where to post: as a diagnosis is asked, or where the record says that it was. An episode has one gateway."""
    parameters = Layer(None, given["endpoint"], given["api_key"], tls_of(given))
    environment = Layer(None, given["_endpoint"], given["_api_key"])
    settings = resolve(parameters, environment)
    if not episode.url:
        return settings
    if settings.model == OFFLINE or settings.url is None:
        return resolve(replace(parameters, endpoint=episode.url), environment)
    if _place(settings.url) != _place(completions_url(episode.url)):
        raise FeedbackError(
            f"The diagnosis {episode.tags['diagnosis_id']} was answered by {episode.url}, and the endpoint is"
            f" {settings.url.partition('?')[0]}. An episode is known to its own gateway alone: set endpoint to that"
            " one, or give episode_id where it is the same gateway by another name."
        )
    return settings


def _place(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower(), parts.path
