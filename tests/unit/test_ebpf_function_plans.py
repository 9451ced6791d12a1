# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a function's prototype to what its calls show: on the type information of three kernels, as data."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from btf_builder import KERNELS, read_excerpt
from kernel_memory import Memory, follow_call, shown

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf_source import BtfSource
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.function_plan import plan_function
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.function_probe import FunctionProbe
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.function_types import PlannedFunction
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.functions import FunctionTarget
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_types import KernelTypes
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.request import Filters, ProgramRequest

ROOT = Path(__file__).parents[2]
CASES = [
    pytest.param(case, id=f"{file.stem}-{number}-{case['functions'][0]}")
    for file in sorted((Path(__file__).parent / "cases" / "calls").glob("*.yml"))
    for number, case in enumerate(yaml.safe_load(file.read_text(encoding="utf-8")))
]


@functools.cache
def source(kernel: str) -> BtfSource:
    return BtfSource(read_excerpt(kernel))


@functools.cache
def types() -> KernelTypes:
    return KernelTypes(json.loads((ROOT / "bpf" / "types" / "kernel_types.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("case", CASES)
def test_a_call_shows_what_it_is_about(case: dict[str, Any], kernel: str) -> None:
    for name in case["functions"]:
        signature = source(kernel).function(name)
        if signature is None:
            continue
        capture = plan_function(source(kernel), types(), name)
        memory = Memory(source(kernel))
        given = {argument.name: memory.value(case["arguments"].get(argument.name)) for argument in signature.arguments}
        missing = set(case["arguments"]) - set(given)
        assert not missing, f"{name} of {kernel} has no argument {missing}"
        result = case.get("result")
        result = memory.value(result) if isinstance(result, dict) else result
        data, key = follow_call(memory, capture, list(given.values())[:6], result)
        assert (
            shown(data, case["data"], {name: None for name in given if name not in case["arguments"]}) == case["data"]
        )
        assert key == case.get("key")
        assert [note for note in capture.notes if "left out" in note] == case.get("left_out", [])


@pytest.mark.parametrize(
    ("name", "returns"),
    [
        ("do_exit", "nothing"),
        ("handle_mm_fault", "a number that is no error"),
        ("vfs_read", None),
        ("tcp_connect", None),
        ("do_filp_open", None),
    ],
)
def test_only_failures_are_asked_of_what_can_fail(name: str, returns: str | None) -> None:
    capture = plan_function(source("debian-6.1"), types(), name)
    planned = PlannedFunction(capture, None, 6, 1)
    target = FunctionTarget(name, name, None, at_return=True)
    wanted = ProgramRequest("test", "kretprobe", name, 10, Filters(errors_only=True))
    if returns is None:
        FunctionProbe(wanted, target, planned)
        return
    with pytest.raises(RequestError, match=f"errors_only is for what returns an error, and {name} returns {returns}"):
        FunctionProbe(wanted, target, planned)
    FunctionProbe(ProgramRequest("test", "kretprobe", name, 10, Filters(min_duration_us=5.0)), target, planned)
