# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that stands for `/` of a host, with the files from which is told which functions can be probed."""

from __future__ import annotations

import shutil
from pathlib import Path

CASES = Path(__file__).parent / "cases" / "functions"
TRACEFS, KPROBES = "sys/kernel/tracing", "sys/kernel/debug/kprobes"
_PLACES = {
    "kallsyms": "proc/kallsyms",
    "available_filter_functions": f"{TRACEFS}/available_filter_functions",
    "available_events": f"{TRACEFS}/available_events",
    "blacklist": f"{KPROBES}/blacklist",
}
_FORMAT = """name: {name}
ID: {number}
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:int value;\toffset:8;\tsize:4;\tsigned:1;

print fmt: "%d", REC->value
"""
ROOT, NOBODY, TRACER = (1 << 41) - 1, 0, 1 << 38 | 1 << 39  # masks of capabilities


class KernelFolder:
    """The files of a host under `root`; a kernel with kprobes, this process all-powerful, nothing locked down."""

    def __init__(self, root: Path, kernel: str = "debian-6.1") -> None:
        self.root = root
        for name, place in _PLACES.items():
            self.write(place, "")
            shutil.copy(CASES / kernel / name, root / place)
        (root / "sys/bus/event_source/devices/kprobe").mkdir(parents=True)
        self.write(f"{KPROBES}/enabled", "1\n")
        self.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.capabilities(ROOT)
        events = (root / TRACEFS / "available_events").read_text().split()
        for number, event in enumerate(events, 1):
            category, _colon, name = event.partition(":")
            self.write(f"{TRACEFS}/events/{category}/{name}/format", _FORMAT.format(name=name, number=number))

    def write(self, place: str, text: str) -> None:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def add(self, place: str, text: str) -> None:
        with (self.root / place).open("a") as file:
            file.write(text)

    def remove(self, place: str) -> None:
        path = self.root / place
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def capabilities(self, mask: int) -> None:
        self.write("proc/self/status", f"Name:\tpython3\nCapEff:\t{mask:016x}\n")

    def without_kprobes(self) -> None:
        self.remove("sys/bus/event_source/devices/kprobe")
        self.remove(KPROBES)
