# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C to bytecode, by BCC. Private to the collection.

BCC is used as a compiler only: what comes out is bytecode and map definitions, which `loader` turns into programs
without BCC. It runs in a process of its own, so that the memory of LLVM goes away with it and a crash of LLVM is a
sentence. Compiling one of our programs costs 0.3 s to 1 s on an ordinary machine. Hosts seldom do it, see `programs`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import platform
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from .bytecode import Object, digest
from .errors import HostError
from .kernel import MapDefinition, map_definition

_LD_IMM64 = 0x18
_PSEUDO_MAP_FD = 1
_LOOK_SECONDS = 0.2  # how often a compile sees whether it is still wanted
_WITHOUT_BCC = 77  # the status of a child whose Python cannot import it
_SECONDS = 300  # an emulated machine takes a hundred for the largest of our programs; a real one three
_HEADERS_HINT = "No kernel headers were found; run the playbook nannyapi.diagnostics.setup."
NO_BCC = "No Python of this host can import BCC, which compiles eBPF programs."
_INSTALL = "Run the playbook nannyapi.diagnostics.setup, or install python3-bpfcc (Debian, Ubuntu)."
_ARCHIVE = Path("/sys/kernel/kheaders.tar.xz")
STAND_IN_HEADERS = Path("/opt/nannyapi/diagnostics/headers")


class Headers(NamedTuple):
    """Kernel headers for BCC's prelude. `kind`: named (BCC_KERNEL_SOURCE), kernel, archive, stand-in."""

    path: Path
    kind: str


def kernel_headers() -> Optional[Headers]:
    """The headers that BCC's prelude is compiled with, or None where there are none.

    In this order: what BCC_KERNEL_SOURCE names; those of the running kernel, as a package (Debian keeps the larger
    part of them in `source` beside `build`) or in the kernel itself (CONFIG_IKHEADERS); the stand-in that the role
    kernel_headers made (our types come from no header, so another version's serve).
    """
    named = os.environ.get("BCC_KERNEL_SOURCE")
    if named and _is_tree(Path(named)):
        return Headers(Path(named), "named")
    modules = Path("/lib/modules", platform.release())
    if (modules / "build").exists() and (_is_tree(modules / "build") or _is_tree(modules / "source")):
        return Headers(modules / "build", "kernel")
    if _ARCHIVE.exists():
        return Headers(_ARCHIVE, "archive")
    return Headers(STAND_IN_HEADERS, "stand-in") if _is_tree(STAND_IN_HEADERS) else None


def _is_tree(path: Path) -> bool:
    return (path / "include" / "linux" / "kconfig.h").exists()


_STOPPED = "The trace was stopped before its programs were compiled."


def compile_programs(
    texts: Mapping[str, tuple[str, tuple[str, ...]]], stop: Optional[threading.Event] = None
) -> tuple[dict[str, Object], str]:
    """Compiles texts, of which the functions are told, and says what compiled them; both by name, in one child.

    Raises HostError with the first lines of what the compiler said, and where `stop` is set meanwhile.
    """
    answer = json.loads(_compiled({"texts": texts}, stop).stdout)
    return {name: Object.from_json(compiled) for name, compiled in answer["objects"].items()}, answer["compiler"]


def record_layouts(text: str, stop: Optional[threading.Event] = None) -> str:
    """How the structs are laid out of which a text takes the size, in clang's words. Raises HostError likewise."""
    return _compiled({"texts": {"": (text, ())}, "flags": ["-Xclang", "-fdump-record-layouts"]}, stop).stderr


def _compiled(request: dict[str, Any], stop: Optional[threading.Event] = None) -> subprocess.CompletedProcess[str]:
    """A child that has compiled what is asked for. Raises HostError."""
    headers = kernel_headers()
    # The other interpreter finds this package where it is here (a folder, or Ansible's zip), and nothing else of ours.
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[__name__.count(".")]))
    if headers is not None and headers.kind in ("named", "stand-in"):
        environment["BCC_KERNEL_SOURCE"] = str(headers.path)  # the others it finds itself, `source` among them
    child = _child(json.dumps(request), environment, stop)
    if child.returncode == 0:
        return child
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    # Among layouts, errors would not be found.
    said = " ".join([line for line in lines if "error:" in line] if request.get("flags") else lines)
    hint = "" if headers is not None else f" {_HEADERS_HINT}"
    raise HostError(f"BCC could not compile an eBPF program: {said[:600] or f'status {child.returncode}'}{hint}")


# Whether there is BCC is seen first: an account that owns nothing may not even read this package. An empty folder of
# that name has no origin.
_CHILD = (
    "import importlib.util, sys; found = importlib.util.find_spec('bcc')\n"
    f"if not (found and found.origin): sys.exit({_WITHOUT_BCC})\n"
    f"importlib.import_module({__name__!r}).main()"
)


def _child(said: str, environment: dict[str, str], stop: Optional[threading.Event]) -> subprocess.CompletedProcess[str]:
    """The child of the first Python that can import BCC: to ask that of each before takes as long as the import."""
    for python in _pythons():
        command = [python, "-c", _CHILD]
        with contextlib.suppress(FileNotFoundError, PermissionError):  # there is no such interpreter
            child = _run(command, said, environment, stop)
            if child.returncode != _WITHOUT_BCC:
                return child
    raise HostError(f"{NO_BCC} {_INSTALL}")


def _run(
    command: list[str], said: str, environment: dict[str, str], stop: Optional[threading.Event]
) -> subprocess.CompletedProcess[str]:
    """Runs a child to its end, or to `stop`. Raises HostError."""
    if stop is not None and stop.is_set():
        raise HostError(_STOPPED)
    pipe, until = subprocess.PIPE, time.monotonic() + _SECONDS
    # A file, for what a pipe has no room for would be forgotten when the first look interrupts the writing.
    with os.fdopen(os.memfd_create("request"), "r+", encoding="utf-8") as request:
        request.write(said)
        request.seek(0)
        child = subprocess.Popen(
            command, stdin=request, stdout=pipe, stderr=pipe, text=True, errors="replace", env=environment
        )
    with child:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, errors = child.communicate(timeout=_LOOK_SECONDS)
                    return subprocess.CompletedProcess(command, child.returncode, output, errors)
                if stop is not None and stop.is_set():
                    raise HostError(_STOPPED)
                if time.monotonic() > until:
                    raise HostError(f"BCC did not finish compiling an eBPF program within {_SECONDS} s.")
        finally:
            child.kill()


def main() -> None:
    """The child: a request as JSON on standard input, the object as JSON on standard output."""
    with contextlib.suppress(OSError):
        # On a host that is short of memory this is what has to go, not what the host is there for.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        from bcc import BPF  # noqa: F401 - seen here; an empty folder of that name can be imported, too
    except Exception as error:
        raise SystemExit(_WITHOUT_BCC) from error
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever LLVM prints is a message, not the answer
    request = json.load(sys.stdin)
    try:
        objects = {
            name: _compile(text, tuple(functions), request.get("flags", [])).to_json()
            for name, (text, functions) in request["texts"].items()
        }
    except Exception as error:
        # BCC raises bare Exceptions; what the compiler said is on standard error already.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error
    with os.fdopen(answer, "w", encoding="ascii") as output:
        json.dump({"objects": objects, "compiler": _name()}, output)


def _compile(text: str, functions: tuple[str, ...], flags: list[str]) -> Object:
    from bcc import BPF

    module = BPF(text=text, cflags=flags)
    maps: list[MapDefinition] = []
    code = {name: _relocatable(module.dump_func(name), maps) for name in functions}
    return Object(code, maps)


def _name() -> str:
    """What compiles in this process: BCC, and the LLVM that it is linked to."""
    import bcc

    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    library = re.search(r"/(libLLVM[\w.+-]*)", mapped)
    return f"BCC {bcc.__version__}" + (f", {library[1]}" if library else "")


def key(text: str) -> dict[str, str]:
    """What a compile of a text depends on: the kernel, the machine, the headers, the compiler and the text itself."""
    kernel, headers = os.uname(), kernel_headers()
    return {
        "release": kernel.release,
        "build": kernel.version,
        "machine": kernel.machine,
        "headers": f"{headers.kind} {headers.path.resolve()}" if headers else "",
        "bcc": _packaged_version(),
        "text": digest(text),
    }


def _pythons() -> list[str]:
    """The interpreters that may have BCC: this one, and the system's, for which distributions build it."""
    system = "/usr/bin/python3"
    same = os.path.realpath(sys.executable) == os.path.realpath(system) and sys.prefix == sys.base_prefix
    return [sys.executable] if same else [sys.executable, system]


@functools.lru_cache(maxsize=1)
def _packaged_version() -> str:
    """The version of BCC by its files, found without importing it, which maps all of LLVM; empty where it is not."""
    for python in _pythons():
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            version = Path(_place(python)).with_name("version.py")
            if version.is_file():
                return version.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _place(python: str) -> str:
    """Where an interpreter has BCC, as a path of its first file; empty where it has none."""
    if python == sys.executable:
        found = importlib.util.find_spec("bcc")
        return (found.origin or "") if found else ""
    told = "import importlib.util as u; found = u.find_spec('bcc'); print(found.origin if found else '')"
    ran = subprocess.run([python, "-c", told], capture_output=True, text=True, check=False, timeout=_SECONDS)
    return ran.stdout.strip()


@functools.lru_cache(maxsize=1)
def bcc_version() -> Optional[str]:
    """The version of BCC on this host, or None. Asked in a child, for importing it maps all of LLVM."""
    for python in _pythons():
        command = [python, "-c", "import bcc; print(bcc.__version__)"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except OSError:
            continue  # there is no such interpreter
        if answer.returncode == 0:
            return answer.stdout.strip()
    return None


def _relocatable(code: bytes, maps: list[MapDefinition]) -> bytes:
    """Replaces the file descriptors of maps in the bytecode by indexes into `maps`, which grows as needed.

    struct bpf_insn: code u8, registers u8 (source in the upper half), offset s16, immediate s32.
    """
    result = bytearray(code)
    for start in range(0, len(code), 8):
        opcode, registers, _offset, immediate = struct.unpack_from("<BBhi", code, start)
        if opcode == _LD_IMM64 and registers >> 4 == _PSEUDO_MAP_FD:
            definition = map_definition(immediate)
            if definition not in maps:
                maps.append(definition)
            struct.pack_into("<i", result, start + 4, maps.index(definition))
    return bytes(result)
