# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytecode in the repository is what the compiler makes; tracing with it maps no compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import compiler
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import SOURCES, file_name, to_entry

WARM = f"""
import pathlib, re, resource
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer
programs = [{{"type": "tracepoint", "target": target, "duration": 1}} for target in
            ("sched/sched_switch", "syscalls/sys_enter_openat", "syscalls/sys_enter_*")]
results = Tracer(Bundle.from_directory(pathlib.Path({str(REPOSITORY / "bpf")!r}))).run(programs)
assert not any("error" in result for result in results.values()), results
print(re.findall(r"/\\S*(?:LLVM|clang|bcc)\\S*", pathlib.Path("/proc/self/maps").read_text()))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_the_bytecode_is_what_this_compiler_makes(bundle: Bundle) -> None:
    texts = {source: (bundle.program(source), functions) for source, functions in SOURCES.items()}
    made, by = compiler.compile_programs(texts)
    carried = {source: json.loads(bundle.files[file_name(source)]) for source in texts}
    if any(entry["compiler"] != by for entry in carried.values()):
        pytest.skip(f"the bytecode was made by {carried['trees.c']['compiler']}, and {by} is here")
    for source, compiled in made.items():
        assert to_entry(bundle.program(source), by, compiled) == carried[source], source


def test_a_trace_maps_no_compiler_and_starts_none() -> None:
    traced = subprocess.run(
        [sys.executable, "-c", WARM],
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY / ".cache" / "src")),
        capture_output=True,
        text=True,
        check=True,
    )
    assert traced.stdout.split() == ["[]", "0"]
