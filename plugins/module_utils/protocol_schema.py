# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the wire contract as JSON schemas, made from its pydantic models.

A reply's schema states what a model is asked for. What is accepted is more: ``protocol.py`` reads liberally.
"""

from __future__ import annotations

from typing import Any, Optional, Union

from . import deps
from .protocol import (
    MAX_COMMANDS,
    MAX_PROGRAMS,
    Diagnostic,
    Evidence,
    LastTurn,
    Opening,
    Preflight,
    Repair,
    Request,
    Resolution,
)

try:
    import pydantic
except ImportError as error:
    pydantic = deps.absent("pydantic", error)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ASKED_FOR = {
    "Diagnostic": ["response_type", "reasoning"],
    "Command": ["id", "command", "description"],
    "Program": ["name", "type", "target", "duration", "description"],
    "Resolution": ["response_type", "root_cause", "resolution_plan", "confidence", "ebpf_evidence"],
}


def reply_schema(longest_text: Optional[int] = None) -> dict[str, Any]:
    """What a model is asked to answer with: every object closed, every string and list bounded.

    longest_text lowers the bound of every string, in characters; grammars made from a schema want it low.
    """
    schema = pydantic.TypeAdapter(Union[Diagnostic, Resolution]).json_schema()
    parts = schema["$defs"]
    for name, keys in _ASKED_FOR.items():
        parts[name]["required"] = keys
        parts[name]["additionalProperties"] = False
    parts["Filters"]["properties"] = {
        "comm": {"type": "string", "maxLength": 100},
        "pid": {"type": "integer", "minimum": 1, "maximum": 2**22},
        "children": {"type": "boolean"},
        "uid": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "unit": {"type": "string", "maxLength": 255},
        "cgroup": {"type": "string", "maxLength": 1000},
        "container": {"type": "string", "maxLength": 80},
        "errors_only": {"type": "boolean"},
        "min_duration_us": {"type": "number", "exclusiveMinimum": 0, "maximum": 300_000_000},
    }
    parts["Filters"]["additionalProperties"] = False
    parts["Program"]["properties"]["duration"] = {"type": "number", "exclusiveMinimum": 0, "maximum": 300}
    asks = parts["Diagnostic"]["properties"]
    asks["commands"]["maxItems"] = MAX_COMMANDS
    asks["ebpf_programs"]["maxItems"] = MAX_PROGRAMS
    # That one of the two is present is left to the parser: what decodes by a schema stumbles over a choice within it.
    return _published(_bounded(schema, longest_text), "A reply of the model: a diagnostic or a resolution")


def evidence_schema() -> dict[str, Any]:
    """The user message that brings the evidence of a round to the model."""
    schema = Evidence.model_json_schema()
    results = schema["properties"]["ebpf_results"]
    results["propertyNames"] = {"pattern": "^.+_[0-9]{9,}"}
    return _published(schema, "The evidence of one round: what commands and eBPF programs gave")


def turn_schema() -> dict[str, Any]:
    """Every kind of user message: opening, evidence, repair, last turn, preflight."""
    schema = pydantic.TypeAdapter(Union[Opening, Evidence, Repair, LastTurn, Preflight]).json_schema()
    return _published(schema, "A message of the host to the model, as the JSON text that its content is")


def request_schema() -> dict[str, Any]:
    """The body of a request to ``<endpoint>/chat/completions``."""
    schema = Request.model_json_schema(by_alias=True)
    for name in ("tensorzero::episode_id", "tensorzero::variant_name"):
        schema["properties"][name] = {"type": "string", "minLength": 1}
    schema["properties"]["response_format"] = {"type": "object"}
    schema["properties"]["tensorzero::tags"] = {"type": "object", "additionalProperties": {"type": "string"}}
    return _published(schema, "What is posted to <endpoint>/chat/completions")


def all_schemas() -> dict[str, dict[str, Any]]:
    """The published schemas by file name."""
    return {
        "reply.schema.json": reply_schema(),
        "evidence.schema.json": evidence_schema(),
        "turn.schema.json": turn_schema(),
        "request.schema.json": request_schema(),
    }


def _published(schema: dict[str, Any], title: str) -> dict[str, Any]:
    return {"$schema": _DIALECT, "title": title, **_plain({key: schema[key] for key in schema if key != "title"})}


def _plain(node: Any, names: bool = False) -> Any:
    """The schema without the titles and defaults that pydantic adds; *names*: the keys are names, not keywords."""
    if isinstance(node, list):
        return [_plain(member) for member in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _plain(member, names=key in ("properties", "$defs") and not names)
        for key, member in node.items()
        if names or key not in ("title", "default")
    }


def _bounded(node: Any, longest: Optional[int]) -> Any:
    if isinstance(node, list):
        return [_bounded(member, longest) for member in node]
    if not isinstance(node, dict):
        return node
    bounded = {key: _bounded(member, longest) for key, member in node.items()}
    if longest is not None and isinstance(bounded.get("maxLength"), int):
        bounded["maxLength"] = min(bounded["maxLength"], longest)
    return bounded
