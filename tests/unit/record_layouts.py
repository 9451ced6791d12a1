# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records how a kernel's headers lay out its structs, as far as bpf/types/headers.json asks for them.

BCC_KERNEL_SOURCE=… PYTHONPATH=.cache/src python tests/unit/record_layouts.py debian-6.1
"""

from __future__ import annotations

import base64
import json
import re
import sys
import zlib
from pathlib import Path

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.compiler import record_layouts
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.header_source import program

RECORDS = Path(__file__).parent / "cases" / "layouts"
HEADERS = Path(__file__).parents[2] / "bpf" / "types" / "headers.json"
BLOCK = re.compile(r"\*\*\* Dumping AST Record Layout\n +0 \| (?:struct|union) (\w+)\n(?:.*\n)*?.*\[sizeof=.*\n")
INSIDE = ("in6_addr", "upid")  # structs inside of others, whose size counts


def read_layouts(name: str) -> str:
    """What was recorded under a name."""
    return zlib.decompress(base64.b64decode((RECORDS / f"{name}.txt").read_text(encoding="ascii"))).decode("ascii")


def main(name: str) -> None:
    """Compiles with the headers that BCC finds, and keeps the structs that are asked for."""
    groups = json.loads(HEADERS.read_text(encoding="utf-8"))["groups"]
    wanted = [struct for group in groups for struct in group["structs"]]
    dump = record_layouts(program([header for group in groups for header in group["include"]], wanted))
    blocks = {match[1]: match[0] for match in BLOCK.finditer(dump)}
    text = "\n".join(blocks[struct] for struct in (*wanted, *INSIDE))
    packed = base64.encodebytes(zlib.compress(text.encode("ascii"), 9)).decode("ascii")
    (RECORDS / f"{name}.txt").write_text(packed, encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1])
