# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytecode that the collection carries is that of its texts; where it is not, it is not used."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import (
    bytecode,
    calling,
    compiler,
    kernel,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import SOURCES, Object, for_host
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import HostError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import (
    ALWAYS,
    NEEDED,
    NEVER,
    Programs,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.store import Store

BUNDLE = Bundle.from_directory(Path(__file__).resolve().parents[2] / "bpf")
NEW = ["raw_counter.c"]


def compiled(functions: tuple[str, ...]) -> Object:
    """What the stand-in for the compiler makes: `r0 = 0; exit`."""
    return Object(dict.fromkeys(functions, bytes.fromhex("b7000000000000009500000000000000")), [])


COMPILED = compiled(("on_event",))


def changed(**files: str) -> Bundle:
    return Bundle({**BUNDLE.files, **{name.replace("__", "."): text for name, text in files.items()}})


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The compiler answers with an empty program; what it was asked for is kept."""
    asked: list[str] = []

    def answer(texts: Any, stop: Any = None) -> tuple[dict[str, Object], str]:
        asked.extend(texts)
        return {source: compiled(functions) for source, (_text, functions) in texts.items()}, "a compiler"

    monkeypatch.setattr(compiler, "compile_programs", answer)
    return asked


@pytest.mark.parametrize("source", SOURCES)
def test_the_bytecode_is_there_and_of_these_texts(source: str) -> None:
    found, why = bytecode.carried(BUNDLE, source)
    assert (found is not None, why) == (True, ""), "run scripts/bytecode after a change of bpf/"


def test_every_program_has_its_bytecode() -> None:
    assert {name for name in BUNDLE.files if name.endswith(".c")} == set(SOURCES)
    assert {name for name in BUNDLE.files if name.startswith("bytecode/")} == set(map(bytecode.file_name, SOURCES))


@pytest.mark.parametrize("source", SOURCES)
def test_no_program_depends_on_the_machine_that_compiled_it(source: str) -> None:
    text = BUNDLE.program(source)
    assert "__x86_64__" not in text
    assert "__aarch64__" not in text
    assert "PT_REGS" not in text
    assert "#include" not in text  # of a kernel's headers nothing, so no struct of theirs


@pytest.mark.parametrize(
    ("machine", "number", "mode", "arguments"),
    [("x86_64", 120, 136, [112, 104, 96, 56, 72, 64]), ("aarch64", 280, 264, [0, 8, 16, 24, 32, 40])],
)
def test_registers_are_where_each_machine_keeps_them(
    monkeypatch: pytest.MonkeyPatch, machine: str, number: int, mode: int, arguments: list[int]
) -> None:
    monkeypatch.setattr(kernel, "machine", lambda: machine)
    known = calling.system_call()
    assert [known.start + 8 * word for word in known.argument] == arguments
    assert (known.start + 8 * known.number_at, known.start + 8 * known.mode_at) == (number, mode)
    assert known.length <= 64 * 8


def test_a_changed_text_is_compiled_and_not_its_old_bytecode_used(tmp_path: Path, compiles: list[str]) -> None:
    bundle = changed(raw_counter__c=BUNDLE.files["raw_counter.c"] + "\n")
    programs = Programs(bundle, NEEDED, Store(tmp_path / "store"))
    assert programs.provide(NEW) == {"raw_counter.c": COMPILED}
    assert compiles == ["raw_counter.c"]
    assert "bytecode/syscall.json" not in for_host(bundle, compile_there=False).files


def test_a_header_that_changed_makes_the_bytecode_of_its_programs_old() -> None:
    bundle = changed(count_and_sample__h=BUNDLE.files["count_and_sample.h"] + "\n")
    assert "another text" in bytecode.carried(bundle, "syscall.c")[1]


def spoil(**changes: Any) -> Bundle:
    name = "bytecode/raw_counter.json"
    return Bundle({**BUNDLE.files, name: json.dumps({**json.loads(BUNDLE.files[name]), **changes})})


@pytest.mark.parametrize(
    "bundle",
    [
        Bundle({**BUNDLE.files, "bytecode/raw_counter.json": BUNDLE.files["bytecode/raw_counter.json"][:-100]}),
        Bundle({**BUNDLE.files, "bytecode/raw_counter.json": "[]"}),
        spoil(functions={}),
        spoil(functions={"on_event": ["9500000000000000"]}),
        spoil(functions={"on_event": "no"}),
        spoil(functions=None),
        spoil(maps=[]),
        spoil(maps=[{"name": "plan"}]),
        spoil(checksum=""),
        spoil(text=""),
    ],
)
def test_damaged_bytecode_is_compiled_anew(bundle: Bundle, tmp_path: Path, compiles: list[str]) -> None:
    assert Programs(bundle, NEEDED, Store(tmp_path / "store")).provide(NEW) == {"raw_counter.c": COMPILED}
    with pytest.raises(HostError, match=r"Nothing may be compiled on this host .*the bytecode of raw_counter.c"):
        Programs(bundle, NEVER, Store(tmp_path / "store")).provide(NEW)
    assert compiles == ["raw_counter.c"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "not json", '{"text": 3}'])
def test_texts_are_sent_where_their_bytecode_is_damaged(text: str) -> None:
    bundle = Bundle({**BUNDLE.files, "bytecode/raw_counter.json": text})
    assert "raw_counter.c" in for_host(bundle, compile_there=False).files


def test_a_compiler_that_begins_late_gets_all_that_it_is_to_compile() -> None:
    late = "import sys, time; time.sleep(0.5); print(len(sys.stdin.read()))"
    said = compiler._run([sys.executable, "-c", late], "x" * 300_000, dict(os.environ), None)
    assert said.stdout == "300000\n"


def test_a_trace_that_is_stopped_does_not_wait_for_the_compiler() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(HostError, match="stopped before its programs were compiled"):
        compiler._run([sys.executable, "-c", "import time; time.sleep(600)"], "", dict(os.environ), stop)


def test_the_first_python_that_has_a_compiler_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pythons = [tmp_path / name for name in ("not_there", "not_executable", "without", "with")]
    for path, text in zip(pythons[1:], ["", f"exit {compiler._WITHOUT_BCC}", "echo compiled"]):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755 if text else 0o644)
    monkeypatch.setattr(compiler, "_pythons", lambda: list(map(str, pythons)))
    assert compiler._child("{}", dict(os.environ), None).stdout == "compiled\n"
    monkeypatch.setattr(compiler, "_pythons", lambda: list(map(str, pythons[:-1])))
    with pytest.raises(HostError, match="No Python of this host can import BCC"):
        compiler._child("{}", dict(os.environ), None)


def test_a_machine_of_another_byte_order_compiles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compiles: list[str]
) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    assert Programs(BUNDLE, NEEDED, Store(tmp_path / "store")).provide(NEW) == {"raw_counter.c": COMPILED}


@pytest.mark.parametrize("choice", [NEEDED, NEVER])
def test_nothing_is_compiled_where_the_bytecode_serves(choice: str, tmp_path: Path, compiles: list[str]) -> None:
    sent = Bundle.unpack(for_host(BUNDLE, compile_there=False).pack())
    assert not any(name.endswith((".c", ".h")) for name in sent.files)
    provided = Programs(sent, choice, Store(tmp_path / "store")).provide(SOURCES)
    assert provided == {source: bytecode.carried(BUNDLE, source)[0] for source in SOURCES}
    assert compiles == []
    assert not (tmp_path / "store").exists()


def test_who_compiles_always_does_so_once(tmp_path: Path, compiles: list[str]) -> None:
    sent = Bundle.unpack(for_host(BUNDLE, compile_there=True).pack())
    for _again in range(2):
        programs = Programs(sent, ALWAYS, Store(tmp_path / "store"))
        assert programs.provide(SOURCES) == {source: compiled(functions) for source, functions in SOURCES.items()}
        assert programs.provide(NEW) == {"raw_counter.c": COMPILED}
    assert sorted(compiles) == sorted(SOURCES)


@pytest.mark.parametrize("value", [[], {}, {"functions": {"on_event": 3}, "maps": []}, {"functions": {}, "maps": 1}])
def test_what_was_kept_and_is_no_program_is_compiled_anew(value: Any, tmp_path: Path, compiles: list[str]) -> None:
    store = Store(tmp_path / "store")
    store.write(compiler.key(BUNDLE.program("raw_counter.c")), value)
    assert Programs(BUNDLE, ALWAYS, store).provide(NEW) == {"raw_counter.c": COMPILED}
    assert compiles == ["raw_counter.c"]


@pytest.mark.parametrize("compile_there", [False, True])
def test_what_a_host_gets_is_small_enough_to_pass_on(compile_there: bool) -> None:
    # The module diagnose starts anew under another Python, and passes its arguments through a pipe of 64 KiB.
    assert len(for_host(BUNDLE, compile_there).pack()) < 50_000
