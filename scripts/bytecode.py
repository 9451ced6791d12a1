# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the eBPF programs to the bytecode that the collection carries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import bytecode
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.compiler import compile_programs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import EbpfError

BPF = Path(__file__).resolve().parents[1] / "bpf"


def entries(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """What belongs into each file. Raises HostError."""
    objects, compiler = compile_programs(
        {source: (bundle.program(source), functions) for source, functions in bytecode.SOURCES.items()}
    )
    return {
        bytecode.file_name(source): bytecode.to_entry(bundle.program(source), compiler, compiled)
        for source, compiled in objects.items()
    }


def stale(bundle: Bundle) -> list[str]:
    """Why the bytecode that is there cannot be used."""
    return [why for why in (bytecode.carried(bundle, source)[1] for source in bytecode.SOURCES) if why]


def main() -> int:
    bundle = Bundle.from_directory(BPF)
    if "--check" in sys.argv[1:]:
        problems = stale(bundle)
        print("\n".join(problems) or "The bytecode is of these texts.")
        return 1 if problems else 0
    try:
        made = entries(bundle)
    except EbpfError as error:
        print(error, file=sys.stderr)
        return 1
    (BPF / "bytecode").mkdir(exist_ok=True)
    for name, entry in made.items():
        (BPF / name).write_text(json.dumps(entry, indent=1) + "\n", encoding="ascii")
        print(f"bpf/{name}: {sum(map(len, entry['functions'].values()))} instructions, by {entry['compiler']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
