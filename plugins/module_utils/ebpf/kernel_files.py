# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's own files say about probing it. Private to the collection.

A file that is absent or not ours to read gives None: what it would say is then not known, which is no error here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

_CHUNK = 1 << 20
# Numbers of capabilities (include/uapi/linux/capability.h). Probing takes the first, or both others (since 5.8).
_SYS_ADMIN, _PERFMON, _BPF = 21, 38, 39


class KernelFiles:
    """The files below `root`, which a test may have made; each is read when it is asked for."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._debugfs = root / "sys/kernel/debug"

    def symbols(self) -> Iterator[bytes]:
        """/proc/kallsyms in pieces of whole lines: address, type, name, and the module behind a tab. Raises OSError."""
        rest = b""
        with (self._root / "proc/kallsyms").open("rb") as file:
            for piece in iter(lambda: file.read(_CHUNK), b""):
                whole, newline, begun = (rest + piece).rpartition(b"\n")
                yield whole + newline
                rest = begun
        yield rest

    def filter_functions(self) -> Optional[bytes]:
        """What ftrace has a hook in: a name on each line, with ` [module]` behind it where it is in one."""
        for mount in ("sys/kernel/tracing", "sys/kernel/debug/tracing"):
            try:
                return (self._root / mount / "available_filter_functions").read_bytes()
            except OSError:
                continue
        return None

    def blacklist(self) -> Optional[frozenset[str]]:
        """The functions on which the kernel itself refuses a kprobe."""
        text = self._text(self._debugfs / "kprobes/blacklist")
        return None if text is None else frozenset(line.split()[-1] for line in text.splitlines() if line.strip())

    def has_kprobes(self) -> bool:
        """Whether the kernel was built with CONFIG_KPROBES, and with the events that programs attach to."""
        events = (f"sys/kernel/{mount}/kprobe_events" for mount in ("tracing", "debug/tracing"))
        for path in ("sys/bus/event_source/devices/kprobe", *events):
            try:
                if (self._root / path).exists():
                    return True
            except OSError:
                continue
        return False

    def switched_off(self) -> bool:
        """Whether somebody disarmed all kprobes: they attach then, and never fire."""
        return (self._text(self._debugfs / "kprobes/enabled") or "").strip() == "0"

    def lockdown(self) -> Optional[str]:
        """`none`, `integrity` or `confidentiality`."""
        text = self._text(self._root / "sys/kernel/security/lockdown")
        return None if text is None else text.partition("[")[2].partition("]")[0] or "none"

    def has_requests_of_io_uring(self) -> bool:
        """Whether there are some, or there is still room for those that there were; False where that is not told."""
        table = self._text(self._root / "proc/slabinfo") or ""
        return re.search(r"^io_kiocb +[1-9]", table, re.MULTILINE) is not None

    def may_probe(self) -> bool:
        """Whether this process has the capabilities that probing a function takes."""
        status = self._text(self._root / "proc/self/status") or ""
        masks = [line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")]
        held = int(masks[0], 16) if masks else 0
        return bool(held >> _SYS_ADMIN & 1 or (held >> _PERFMON & 1 and held >> _BPF & 1))

    @staticmethod
    def _text(path: Path) -> Optional[str]:
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
