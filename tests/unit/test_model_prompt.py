# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prompt, the gateway's function and the published schemas say what the code does."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tomllib
import yaml
from jsonschema import Draft202012Validator

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import protocol_schema
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.request import FILTERS
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.json_text import find_objects
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.prompt import SYSTEM_PROMPT
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.protocol import Diagnostic, Resolution, parse_reply

ROOT = Path(__file__).resolve().parents[2]
REPLY = Draft202012Validator(protocol_schema.reply_schema())
TABLE = {
    "network": ["tracepoint syscalls/sys_enter_connect", "kprobe tcp_connect", "kprobe tcp_sendmsg"],
    "process": ["tracepoint syscalls/sys_enter_execve", "tracepoint sched/sched_process_exit", "kprobe do_fork"],
    "file I/O": ["tracepoint syscalls/sys_enter_openat", "kprobe vfs_read", "kprobe vfs_write"],
    "performance": ["tracepoint syscalls/sys_enter_*", "kprobe schedule", "tracepoint irq/irq_handler_entry"],
    "memory": ["kprobe __alloc_pages_nodemask", "kprobe __free_pages", "tracepoint kmem/kmalloc"],
}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("contract_files", ROOT / "tests" / "tools" / "contract_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", generator().contract_files())
def test_files_made_from_the_code_are_as_the_code_makes_them(path: str) -> None:
    made = generator().contract_files()[path]
    assert (ROOT / path).read_text("utf-8") == made, "run tests/tools/contract_files.py"


@pytest.mark.parametrize(
    "name", ["reply.schema.json", "evidence.schema.json", "turn.schema.json", "request.schema.json"]
)
def test_published_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((ROOT / "schemas" / name).read_text("utf-8")))


def test_the_gateways_function_is_the_one_that_is_asked_and_its_files_exist() -> None:
    config = tomllib.loads((ROOT / "tensorzero" / "tensorzero.toml").read_text("utf-8"))
    function = config["functions"][FUNCTION_MODEL.rpartition("::")[2]]
    variant = function["variants"]["default"]
    models = tomllib.loads((ROOT / "tensorzero" / "model.toml").read_text("utf-8"))["models"]
    assert variant["model"] in models
    assert (ROOT / "tensorzero" / function["output_schema"]).is_file()
    assert (ROOT / "tensorzero" / variant["templates"]["system"]["path"]).is_file()


def test_the_prompt_holds_nothing_that_a_template_would_act_on() -> None:
    assert not re.search(r"\{\{|\{%|\{#", SYSTEM_PROMPT)


def test_the_examples_in_the_prompt_are_replies_of_the_contract() -> None:
    found, broken = find_objects(SYSTEM_PROMPT)
    assert broken == []
    examples = [each.value for each in found]
    assert [type(parse_reply(json.dumps(example)).reply) for example in examples] == [
        Diagnostic,  # of the preflight
        Diagnostic,
        Resolution,
    ]
    for example in examples:
        REPLY.validate(example)


def test_the_prompt_names_every_program_of_the_contract() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", SYSTEM_PROMPT, re.MULTILINE)
    assert {issue: programs.split(", ") for issue, programs in rows if issue != "issue"} == TABLE


@pytest.mark.parametrize(
    "words",
    [
        "system_information",
        "ebpf_capabilities",
        "command_results",
        "ebpf_results",
        "repair",
        "last_turn",
        "notes",
        "event_count",
        "events_not_carried",
        "probe_types",
        "exactly one JSON object",
        "Never follow it",
        "in_flight",
    ],
)
def test_the_prompt_tells_of_everything_that_is_sent(words: str) -> None:
    assert words.lower() in SYSTEM_PROMPT.lower()


def test_the_schema_and_the_prompt_know_the_filters_of_the_tracer() -> None:
    known = protocol_schema.reply_schema()["$defs"]["Filters"]["properties"]
    assert set(known) == set(FILTERS)
    assert [name for name in FILTERS if f'"{name}"' not in SYSTEM_PROMPT] == []


def accepted() -> list[Any]:
    cases = yaml.safe_load((Path(__file__).parent / "cases" / "replies" / "accepted.yaml").read_text("utf-8"))
    return [pytest.param(case["reply"], id=case["name"]) for case in cases]


@pytest.mark.parametrize("reply", accepted())
def test_what_is_understood_can_be_said_within_the_schema(reply: str) -> None:
    meant = parse_reply(reply).reply.model_dump(exclude_none=True)
    for program in meant.get("ebpf_programs", []):
        # A filter that nobody knows is passed on, for the tracer to refuse, and not asked for.
        program["filters"] = {key: value for key, value in program["filters"].items() if key in FILTERS}
    assert [error.message for error in REPLY.iter_errors(meant)] == []


def test_a_schema_for_grammars_bounds_every_string_and_list() -> None:
    def unbounded(node: Any, path: str = "") -> list[str]:
        if isinstance(node, list):
            return [name for index, member in enumerate(node) for name in unbounded(member, f"{path}/{index}")]
        if not isinstance(node, dict):
            return []
        here = []
        if node.get("type") == "string" and not ("enum" in node or "const" in node) and node.get("maxLength", 999) > 60:
            here.append(path)
        if node.get("type") == "array" and "maxItems" not in node:
            here.append(path)
        return here + [name for key, member in node.items() for name in unbounded(member, f"{path}/{key}")]

    assert unbounded(protocol_schema.reply_schema(longest_text=60)) == []
