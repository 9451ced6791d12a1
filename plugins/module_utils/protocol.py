# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the wire contract with a model, as pydantic models.

Replies are read liberally and judged strictly: whatever has one meaning is accepted, whatever has none or several is
answered with a ReplyError, whose sentences are worded for the model that has to mend its reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypeVar, Union

from . import deps
from .json_text import BrokenObject, FoundObject, find_objects, place, without_surrogates
from .protocol_wording import sentences, shown

try:
    import pydantic

    if not hasattr(pydantic, "ConfigDict"):
        raise ImportError(f"version 2 is needed, and this is {pydantic.VERSION}")
except ImportError as error:
    pydantic = deps.absent("pydantic", error)

DEFAULT_DURATION = 15
"""Seconds a program traces where the reply does not say; 10 to 30 is the usual range."""

MAX_COMMANDS = 16
MAX_PROGRAMS = 8

_PREFIX = re.compile(r"\s*(tracepoint|kprobe|kretprobe)\s*:\s*", re.IGNORECASE)
_TRACEPOINT = re.compile(r"[\w*?\[\]-]+/[\w*?\[\]-]+", re.ASCII)
_FUNCTION = re.compile(r"[\w.$*?]+", re.ASCII)
_SHOWN = 5


_Kind = TypeVar("_Kind", bound=pydantic.BaseModel)


class ReplyError(ValueError):
    """A reply that cannot be used; the message says to the model what is wrong, where, and what would be accepted."""


def _prose(value: Any) -> Any:
    """Text that models also write as a list of lines, as a number, or as null."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return _as_text(value)


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return [] if value is None else value


def _pid(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool):
        raise ValueError(f"it is {shown(value)}; it must be the id of a process")
    return value


def _seconds(value: Any) -> Any:
    if isinstance(value, str) and (
        number := re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:s|secs?|seconds?)?\s*", value)
    ):
        value = float(number[1])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ValueError(f"it is {shown(value)}; it must be a number of seconds above 0 (10 to 30 is usual)")
    return int(value) if float(value).is_integer() else value


def _confidence(value: Any) -> Any:
    return value.strip().capitalize() if isinstance(value, str) else value


def _keyword(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


Prose = Annotated[str, pydantic.BeforeValidator(_prose), pydantic.Field(max_length=20_000)]
Statement = Annotated[str, pydantic.BeforeValidator(_prose), pydantic.Field(min_length=1, max_length=20_000)]
Label = Annotated[str, pydantic.BeforeValidator(_as_text), pydantic.Field(min_length=1, max_length=100)]
Duration = Annotated[Union[int, float], pydantic.BeforeValidator(_seconds), pydantic.Field(gt=0)]


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore", str_strip_whitespace=True)


class Command(_Part):
    """A command line that the model asks for."""

    id: Label
    command: str = pydantic.Field(min_length=1, max_length=2_000)
    description: Prose = ""


class Filters(_Part):
    """What a program's events must match. Filters that are not known here pass through, for the tracer to judge."""

    model_config = pydantic.ConfigDict(extra="allow", str_strip_whitespace=True)

    comm: Annotated[Optional[str], pydantic.BeforeValidator(_as_text)] = pydantic.Field(default=None, max_length=100)
    pid: Annotated[Optional[int], pydantic.BeforeValidator(_pid)] = pydantic.Field(default=None, gt=0, le=2**22)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _given(cls, value: Any) -> Any:
        """Filters left blank are filters not given: models fill in every key of an example."""
        if isinstance(value, dict):
            return {key: part for key, part in value.items() if part is not None and part != ""}
        return {} if value is None else value


class Program(_Part):
    """An eBPF program that the model asks for."""

    name: Label
    type: Annotated[Literal["tracepoint", "kprobe", "kretprobe"], pydantic.BeforeValidator(_keyword)]
    target: str = pydantic.Field(min_length=1, max_length=200)
    duration: Duration = DEFAULT_DURATION
    filters: Filters = pydantic.Field(default_factory=Filters)
    description: Prose = ""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _type_from_target(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("target"), str):
            return value
        program = dict(value)
        target, given = program["target"].strip(), _keyword(program.get("type"))
        prefix = _PREFIX.match(target)
        kind = prefix[1].lower() if prefix else None
        if prefix:
            target = target[prefix.end() :]
        if kind and given and given != kind:
            raise ValueError(f'its target says "{kind}:" and its type says {shown(given)}; they must agree')
        kind = given or kind or ("tracepoint" if "/" in target else None)
        if kind == "tracepoint" and "/" not in target:
            target = target.replace(":", "/", 1)
        program["target"] = target
        if kind:
            program["type"] = kind
        if program.get("name") in (None, ""):
            program["name"] = re.sub(r"\W+", "_", target).strip("_")[:100] or "program"
        return program

    @pydantic.model_validator(mode="after")
    def _target_of_its_type(self) -> Program:
        if self.type == "tracepoint":
            if not _TRACEPOINT.fullmatch(self.target):
                raise ValueError(
                    f"{shown(self.target)} does not name a tracepoint; "
                    'the target of a tracepoint is category/event, such as "syscalls/sys_enter_connect"'
                )
        elif not _FUNCTION.fullmatch(self.target):
            raise ValueError(
                f"{shown(self.target)} does not name a kernel function; "
                f'the target of a {self.type} is one function, such as "tcp_connect"'
            )
        return self


class Diagnostic(_Part):
    """A reply that asks for evidence."""

    response_type: Literal["diagnostic"]
    reasoning: Prose = ""
    commands: Annotated[list[Command], pydantic.BeforeValidator(_as_list)] = pydantic.Field(default_factory=list)
    ebpf_programs: Annotated[list[Program], pydantic.BeforeValidator(_as_list)] = pydantic.Field(default_factory=list)

    @pydantic.model_validator(mode="after")
    def _asks_for_something(self) -> Diagnostic:
        if not self.commands and not self.ebpf_programs:
            raise ValueError(
                'the diagnostic asks for nothing: give at least one entry in "commands" or "ebpf_programs", '
                'or answer with response_type "resolution"'
            )
        return self


class Resolution(_Part):
    """A reply that ends the diagnosis. Its plan is for a person; nothing in it is ever executed."""

    response_type: Literal["resolution"]
    root_cause: Statement
    resolution_plan: Statement
    confidence: Annotated[Literal["High", "Medium", "Low"], pydantic.BeforeValidator(_confidence)]
    ebpf_evidence: Prose


class _Sent(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")


class CommandResult(_Sent):
    """What a command answered; one that was refused, whole or in part, has the reason and no exit code."""

    id: str
    command: str
    output: str
    exit_code: Optional[int]


class Event(_Sent):
    """One firing of a probe; the timestamp is in nanoseconds since the Unix epoch."""

    timestamp: int
    process_id: int
    process_name: str
    event_type: str
    data: dict[str, Any]


class ProgramResult(_Sent):
    """What a program saw: the exact count, a bounded sample, a summary; an error where it could not be attached."""

    program_name: str
    event_count: int = pydantic.Field(ge=0)
    events: list[Event]
    summary: str


class Opening(_Sent):
    """The first user message of a diagnosis."""

    system_information: dict[str, Any]
    ebpf_capabilities: dict[str, Any]
    limits: dict[str, Union[int, float]]
    issue: str


class Evidence(_Sent):
    """The user message after a diagnostic; keys of ebpf_results are ``<program name>_<unix seconds at start>``."""

    command_results: list[CommandResult]
    ebpf_results: dict[str, ProgramResult]
    notes: list[str] = pydantic.Field(default_factory=list)
    remaining: dict[str, Union[int, float]]


class Repair(_Sent):
    """The user message after a reply that cannot be used."""

    repair: str


class LastTurn(_Sent):
    """The user message that asks for the resolution where no further evidence came in; others carry it as a key."""

    last_turn: str


class Preflight(_Sent):
    """The only user message where an operator looks whether the model can be asked; there is no issue."""

    preflight: str


class Message(pydantic.BaseModel):
    """One message; the content of a user message is one of the objects above as JSON."""

    model_config = pydantic.ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str = pydantic.Field(min_length=1)


class Request(pydantic.BaseModel):
    """The body that is posted to ``<endpoint>/chat/completions``."""

    model_config = pydantic.ConfigDict(extra="forbid")

    model: str = pydantic.Field(min_length=1)
    messages: list[Message] = pydantic.Field(min_length=1)
    response_format: Optional[dict[str, Any]] = None
    """The schema of a reply, where the model has it from nowhere else and the server takes it."""
    episode_id: Optional[str] = pydantic.Field(default=None, alias="tensorzero::episode_id")
    variant_name: Optional[str] = pydantic.Field(default=None, alias="tensorzero::variant_name")
    tags: Optional[dict[str, str]] = pydantic.Field(default=None, alias="tensorzero::tags")


class Parsed(NamedTuple):
    """A usable reply, and what was assumed in reading it, as sentences for the model."""

    reply: Union[Diagnostic, Resolution]
    notes: list[str]


def parse_reply(
    text: str,
    max_commands: int = MAX_COMMANDS,
    max_programs: int = MAX_PROGRAMS,
    taken_ids: Collection[str] = (),
) -> Parsed:
    """The one reply in *text*; raises ReplyError where there is none, several, or one that breaks the contract.

    taken_ids: ids of commands asked for before; a new command never gets one of them.
    """
    deps.require("pydantic")
    reply = _the_reply(without_surrogates(text))
    kind = _keyword(reply["response_type"])
    if kind == "resolution":
        return Parsed(_validated(Resolution, {**reply, "response_type": kind}), [])
    if kind != "diagnostic":
        raise ReplyError(
            f'"response_type" is {shown(reply["response_type"])}; it must be "diagnostic" or "resolution".'
        )
    for key, most in (("commands", max_commands), ("ebpf_programs", max_programs)):
        if isinstance(reply.get(key), list) and len(reply[key]) > most:
            raise ReplyError(
                f'"{key}" has {len(reply[key])} entries; at most {most} are run in one round. '
                "Choose those that tell the most; you may ask for others in the next round."
            )
    notes: list[str] = []
    prepared = {
        **reply,
        "response_type": kind,
        "commands": _numbered(reply.get("commands"), taken_ids, notes),
        "ebpf_programs": _timed(reply.get("ebpf_programs"), notes),
    }
    return Parsed(_validated(Diagnostic, prepared), list(dict.fromkeys(notes)))


def _the_reply(text: str) -> dict[str, Any]:
    """The single JSON object with a response_type that *text* holds."""
    if not text.strip():
        raise ReplyError("The reply was empty. Answer with one JSON object.")
    found, broken = find_objects(text)
    replies = [each for each in found if "response_type" in each.value]
    if len({json.dumps(each.value, sort_keys=True) for each in replies}) > 1:
        kinds = ", ".join(shown(each.value["response_type"]) for each in replies[:_SHOWN])
        raise ReplyError(
            f"The reply holds {len(replies)} different JSON objects with a response_type ({kinds}). "
            "Answer with exactly one."
        )
    if not replies:
        raise ReplyError(_why_none(text, found, broken))
    if replies[0].flaws:
        raise ReplyError(f"The reply is not valid JSON: {'; '.join(replies[0].flaws[:_SHOWN])}.")
    return replies[0].value


def _why_none(text: str, found: list[FoundObject], broken: list[BrokenObject]) -> str:
    meant = [each for each in broken if '"response_type"' in text[each.start : each.position]]
    if not meant and (not found or '"response_type"' in text):
        meant = broken
    if meant:
        worst = max(meant, key=lambda each: each.position - each.start)
        problem = f"{worst.problem}: {place(text, worst.position)}"
        if worst.cut_off:
            return f"The reply was cut off before its JSON object ended ({problem}). Answer again, shorter."
        return f"The reply is not valid JSON: {problem}."
    if found:
        keys = ", ".join(shown(key) for key in list(found[0].value)[:_SHOWN]) or "no keys"
        return (
            f'The JSON object in the reply has no "response_type" at its top level (it has {keys}); '
            'it must be "diagnostic" or "resolution".'
        )
    return (
        f"The reply holds no JSON object; it begins with {shown(text.strip())}. "
        "Answer with one JSON object and nothing else."
    )


def _validated(contract: type[_Kind], reply: dict[str, Any]) -> _Kind:
    try:
        return contract.model_validate(reply)
    except pydantic.ValidationError as error:
        raise ReplyError(sentences(error.errors(include_url=False))) from None


def _numbered(commands: Any, taken: Collection[str], notes: list[str]) -> Any:
    """Commands as objects, each with an id of its own; what is not a command stays for the validation to name."""
    if not isinstance(commands, list):
        return commands
    entries = [{"command": entry} if isinstance(entry, str) else entry for entry in commands]
    given = {_label(entry) for entry in entries}
    used = set(taken)
    for index, entry in enumerate(entries):
        label = _label(entry)
        if label is None:
            continue
        if not label or label in used:
            stem, number = (label, 2) if label else ("command", index + 1)
            while f"{stem}_{number}" in given or f"{stem}_{number}" in used:
                number += 1
            what = f"A second command with the id {shown(label)}" if label else "A command without an id"
            label = f"{stem}_{number}"
            notes.append(f"{what} got the id {shown(label)}.")
        used.add(label)
        entries[index] = {**entry, "id": label}
    return entries


def _timed(programs: Any, notes: list[str]) -> Any:
    """Programs without a null for a duration, so that the default holds."""
    if not isinstance(programs, list):
        return programs
    untimed = [index for index, each in enumerate(programs) if isinstance(each, dict) and each.get("duration") is None]
    if untimed:
        notes.append(f"A program without a duration traces for {DEFAULT_DURATION} s.")
    return [
        {key: part for key, part in each.items() if key != "duration"} if index in untimed else each
        for index, each in enumerate(programs)
    ]


def _label(entry: Any) -> Optional[str]:
    """The id of a command, "" where it has none, None where that is for the validation to judge."""
    label = _as_text(entry.get("id", "")) if isinstance(entry, dict) else None
    if label is None and isinstance(entry, dict):
        return ""
    return label.strip() if isinstance(label, str) else None
