# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled programs, as they are kept and carried. Private to the collection.

None of the programs reads a struct of the kernel by a place that the compiler chose, so one bytecode serves every
kernel, and every little-endian machine of 64 bits (tried on x86_64 alone). It comes with the collection, in
`bpf/bytecode/`: for each program a JSON object with one instruction a line, which `scripts/bytecode` makes. It holds
for the very text that it was made of and for no other.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any, NamedTuple, Optional

from .bundle import Bundle
from .kernel import MapDefinition

_INSTRUCTION = 8  # bytes
# The program texts of `bpf/`, and the functions that each has.
SOURCES = {
    "trees.c": ("on_fork", "on_exit", "on_free"),
    "syscall.c": ("on_enter", "on_exit"),
    "raw_counter.c": ("on_event",),
    "tracepoint.c": ("on_event",),
    "function.c": ("on_entry", "on_return"),
}


class Object(NamedTuple):
    """Compiled functions; a map reference in the bytecode is an index into `maps`."""

    functions: dict[str, bytes]
    maps: list[MapDefinition]

    def to_json(self) -> dict[str, Any]:
        """Plain data: a list of instructions for each function, each as 16 hexadecimal digits."""
        code = {
            name: [code[at : at + _INSTRUCTION].hex() for at in range(0, len(code), _INSTRUCTION)]
            for name, code in self.functions.items()
        }
        return {"functions": code, "maps": [definition._asdict() for definition in self.maps]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Object:
        """The inverse of `to_json`. Raises ValueError, TypeError, LookupError, AttributeError for anything else."""
        code = {name: bytes.fromhex("".join(lines)) for name, lines in data["functions"].items()}
        return cls(code, [MapDefinition(**definition) for definition in data["maps"]])


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    import hashlib  # brings OpenSSL, 3 MB, and a host that is sent bytecode has no use for it

    return hashlib.sha256(text.encode()).hexdigest()


def file_name(source: str) -> str:
    """Where in `bpf/` the bytecode of a source is."""
    return f"bytecode/{source.rpartition('.')[0]}.json"


def to_entry(text: str, compiler: str, compiled: Object) -> dict[str, Any]:
    """An object with the text that it was made of, by its digest, and what tells whether it is whole."""
    data = compiled.to_json()
    return {"text": digest(text), "compiler": compiler, "checksum": _checksum(data), **data}


def carried(bundle: Bundle, source: str) -> tuple[Optional[Object], str]:
    """The bytecode that came with the collection, or None and why there is none to use."""
    if sys.byteorder != "little" or struct.calcsize("P") != 8:
        return None, "this collection's bytecode is for little-endian machines of 64 bits"
    if file_name(source) not in bundle.files:
        return None, f"this collection came without the bytecode of {source}"
    try:
        entry = json.loads(bundle.files[file_name(source)])
        compiled = Object.from_json(entry)
        if source in bundle.files:  # else `for_host` has compared them, on the controller
            if entry["text"] != digest(bundle.program(source)):
                return None, f"the bytecode of {source} was made of another text than this collection has"
            if entry["checksum"] != _checksum(compiled.to_json()):
                return None, f"the bytecode of {source} is damaged"
        if set(compiled.functions) != set(SOURCES[source]):
            return None, f"the bytecode of {source} is damaged"
    except (ValueError, TypeError, LookupError, AttributeError):
        return None, f"the bytecode of {source} is damaged"
    return compiled, ""


def for_host(bundle: Bundle, compile_there: bool) -> Bundle:
    """What a host needs: the bytecode where it is that of these texts and serves, else the texts."""
    serves = all(carried(bundle, source)[0] for source in bundle.files if source.endswith(".c"))
    left = (".c", ".h") if serves and not compile_there else ("bytecode/",)
    return Bundle(
        {
            name: _short(name, text) if name.endswith(".json") else text
            for name, text in bundle.files.items()
            if not (name.endswith(left) or name.startswith(left))
        }
    )


def _short(name: str, text: str) -> str:
    """The same JSON for a machine to read: no white space, a function's instructions in one line."""
    try:
        data = json.loads(text)
        if name.startswith("bytecode/"):
            data["functions"] = {function: ["".join(lines)] for function, lines in data["functions"].items()}
        return json.dumps(data, separators=(",", ":"))
    except (ValueError, TypeError, LookupError, AttributeError):
        return text  # the host will say what is wrong with it


def _checksum(data: dict[str, Any]) -> str:
    return digest(json.dumps({"functions": data["functions"], "maps": data["maps"]}, sort_keys=True))
