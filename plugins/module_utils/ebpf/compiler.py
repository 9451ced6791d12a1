# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C to bytecode, by BCC. Private to the collection.

BCC is used as a compiler only: what comes out is bytecode and map definitions, which `loader` turns into programs
without BCC. It runs in a process of its own, so that the memory of LLVM goes away with it and a crash of LLVM is a
sentence. Compiling one of our programs costs 0.3 s to 1 s on an ordinary machine.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import platform
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from .errors import HostError
from .kernel import MapDefinition, map_definition

_LD_IMM64 = 0x18
_PSEUDO_MAP_FD = 1
_SECONDS = 300  # an emulated machine takes a hundred for the largest of our programs; a real one three
_HEADERS_HINT = "No kernel headers were found; run the playbook nannyapi.diagnostics.setup."
_ARCHIVE = Path("/sys/kernel/kheaders.tar.xz")
STAND_IN_HEADERS = Path("/opt/nannyapi/diagnostics/headers")


@dataclass(frozen=True)
class Object:
    """Compiled functions; a map reference in the bytecode is an index into `maps`."""

    functions: dict[str, bytes]
    maps: list[MapDefinition]

    def to_json(self) -> dict[str, Any]:
        """Plain data, bytecode in base64."""
        code = {name: base64.b64encode(code).decode() for name, code in self.functions.items()}
        return {"functions": code, "maps": [asdict(definition) for definition in self.maps]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Object:
        """The inverse of `to_json`."""
        code = {name: base64.b64decode(text) for name, text in data["functions"].items()}
        return cls(code, [MapDefinition(**definition) for definition in data["maps"]])


@dataclass(frozen=True)
class Headers:
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


def compile_programs(text: str, functions: tuple[str, ...]) -> Object:
    """Compiles a program text. Raises HostError with the first lines of what the compiler said."""
    return Object.from_json(json.loads(_compiled({"text": text, "functions": functions}).stdout))


def record_layouts(text: str) -> str:
    """How the structs are laid out of which a text takes the size, in clang's words. Raises HostError likewise."""
    return _compiled({"text": text, "functions": [], "flags": ["-Xclang", "-fdump-record-layouts"]}).stderr


def _compiled(request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """A child that has compiled what is asked for. Raises HostError."""
    python, headers = bcc_python(), kernel_headers()
    if python is None:
        raise HostError(install_hint())
    # The other interpreter finds this package where it is here (a folder, or Ansible's zip), and nothing else of ours.
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[__name__.count(".")]))
    if headers is not None and headers.kind in ("named", "stand-in"):
        environment["BCC_KERNEL_SOURCE"] = str(headers.path)  # the others it finds itself, `source` among them
    try:
        child = subprocess.run(
            [python, "-c", f"import importlib; importlib.import_module({__name__!r}).main()"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"BCC did not finish compiling an eBPF program within {_SECONDS} s.") from None
    if child.returncode == 0:
        return child
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    # Among layouts, errors would not be found.
    said = " ".join([line for line in lines if "error:" in line] if request.get("flags") else lines)
    hint = "" if headers is not None else f" {_HEADERS_HINT}"
    raise HostError(f"BCC could not compile an eBPF program: {said[:600] or f'status {child.returncode}'}{hint}")


def main() -> None:
    """The child: a request as JSON on standard input, the object as JSON on standard output."""
    with contextlib.suppress(OSError):
        # On a host that is short of memory this is what has to go, not what the host is there for.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever LLVM prints is a message, not the answer
    request = json.load(sys.stdin)
    try:
        compiled = _compile(request["text"], tuple(request["functions"]), request.get("flags", []))
    except Exception as error:
        # BCC raises bare Exceptions; what the compiler said is on standard error already.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error
    with os.fdopen(answer, "w", encoding="ascii") as output:
        json.dump(compiled.to_json(), output)


def _compile(text: str, functions: tuple[str, ...], flags: list[str]) -> Object:
    from bcc import BPF

    module = BPF(text=text, cflags=flags)
    maps: list[MapDefinition] = []
    code = {name: _relocatable(module.dump_func(name), maps) for name in functions}
    return Object(code, maps)


def install_hint() -> str:
    """What to do where no Python of this host has BCC."""
    return (
        f"BCC, which compiles the eBPF programs, is not importable by {' or '.join(_pythons())}: run the playbook"
        " nannyapi.diagnostics.setup, or install python3-bpfcc (Debian, Ubuntu)."
    )


def _pythons() -> list[str]:
    """The interpreters that may have BCC: this one, and the system's, for which distributions build it."""
    return list(dict.fromkeys([sys.executable, "/usr/bin/python3"]))


def bcc_version() -> Optional[str]:
    """The version of BCC on this host, or None. Asked in a child, for importing it maps all of LLVM."""
    return _found()[1]


def bcc_python() -> Optional[str]:
    """The interpreter that can import BCC, or None."""
    return _found()[0]


@functools.lru_cache(maxsize=1)
def _found() -> tuple[Optional[str], Optional[str]]:
    for python in _pythons():
        command = [python, "-c", "import bcc; print(bcc.__version__)"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except OSError:
            continue  # there is no such interpreter
        if answer.returncode == 0:
            return python, answer.stdout.strip()
    return None, None


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
