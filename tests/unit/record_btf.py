# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records the excerpt of a kernel's BTF that the tests plan functions on.

    PYTHONPATH=.cache/src:tests/unit python tests/unit/record_btf.py /sys/kernel/btf/vmlinux debian-6.1

What is in it: the functions in cases/btf/functions.txt, the types that bpf/types/kernel_types.json knows, and what the
paths in there lead through. The prototypes in bpf/types/functions.json are written anew from all excerpts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from btf_builder import EXCERPTS, KERNELS, Excerpt, read_excerpt

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf

DATA = Path(__file__).parents[2] / "bpf" / "types"
BETWEEN = (
    "mount",
    "vfsmount",
    "kernfs_node",
    "file_system_type",
    "backing_dev_info",
    "sockaddr_in",
    "sockaddr_in6",
    "sockaddr_un",
)


def main(kernel: Path, name: str) -> None:
    """Writes the excerpt of a kernel under a name."""
    known = json.loads((DATA / "kernel_types.json").read_text(encoding="utf-8"))
    enums = {enum for names in known["names"].values() for enum in names.get("enum", [])}
    functions = (EXCERPTS / "functions.txt").read_text(encoding="ascii").split()
    excerpt = Excerpt(Btf.load(kernel), functions, [*known["types"], *BETWEEN], sorted(enums))
    (EXCERPTS / f"{name}.txt").write_text(excerpt.as_text(), encoding="ascii")
    record_prototypes()


def record_prototypes() -> None:
    """Writes which kernel has which prototype of a function, one function a line."""
    kernels = [kernel.partition("-")[2] for kernel in KERNELS]
    found: dict[str, dict[str, list[str]]] = {}
    for excerpt, kernel in zip(KERNELS, kernels):
        btf = read_excerpt(excerpt)
        for name in btf.functions():
            texts = {btf.describe(prototype.type_id) for prototype in btf.prototypes(name)}
            if len(texts) == 1:
                found.setdefault(name, {}).setdefault(texts.pop(), []).append(kernel)
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found))
    about = json.dumps(json.loads((DATA / "functions.json").read_text(encoding="utf-8"))["about"])
    text = f'{{\n  "about": {about},\n  "kernels": {json.dumps(kernels)},\n  "functions": {{\n{lines}\n  }}\n}}\n'
    (DATA / "functions.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
