# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which functions the running kernel has, and which of them take a probe. Private to the collection.

A kernel has some 50,000 to 150,000 functions: their names are kept as the lines of one text (2 MB to 5 MB) and looked
for in it. Nothing is read before it is asked for, and nothing twice.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Optional

from .errors import HostError
from .kernel_files import KernelFiles

_CODE = re.compile(rb" [tTwW] (.+)")  # a symbol that is code (nm(1); w and W are weak), from its name on
# What stands where a module would, for code that the kernel made while it runs (kernel/kallsyms.c).
_NO_MODULES = (b"\t[bpf]", b"\t[__builtin__")
# What the compiler and the kernel's build make beside the functions that somebody wrote.
_MADE = re.compile(
    r"(?:__pfx_|__cfi_|__traceiter_|__probestub_|__bpf_trace_|perf_trace_|trace_event_|trace_raw_output_|__SC[TK]__)"
)
_CLONE = re.compile(r"\.(?:isra|constprop|part|cold|llvm)\b")
RARE = ".cold"  # in the name of what the compiler moved out of a function because it rarely runs
_CANDIDATES = 800  # names that are compared letter by letter: some 50 ms
_ALIKE = 0.75  # how alike names are that are worth proposing (difflib's ratio)
_SHORT = 3


class Symbols:
    """The kernel's functions by name; a home is the module that has one, or None for the kernel itself."""

    def __init__(self, files: KernelFiles) -> None:
        self._files = files

    def homes(self, name: str) -> list[Optional[str]]:
        """Where functions of exactly this name are: several where files or modules have one each. Raises HostError."""
        return [
            line.partition(b"\t")[2].decode("ascii", "replace") or None
            for line in self._lines(name)
            if line[len(name) : len(name) + 1] in (b"", b"\t")
        ]

    def clones(self, name: str) -> list[str]:
        """What the compiler made of a function and calls instead, such as `name.isra.0`. Raises HostError."""
        lines = [line for line in self._lines(name) if line[len(name) : len(name) + 1] == b"."]
        return sorted({line.partition(b"\t")[0].decode("ascii", "replace") for line in lines})

    def _lines(self, beginning: str) -> Iterator[bytes]:
        needle = b"\n" + beginning.encode()
        at = self._code.find(needle)
        while at >= 0:
            end = self._code.index(b"\n", at + 1)
            yield self._code[at + 1 : end]
            at = self._code.find(needle, end)

    def has_module(self, module: str) -> bool:
        """Whether any function is in a loaded module of that name. Raises HostError."""
        return b"\t" + module.encode() + b"\n" in self._code

    def blacklisted(self, name: str) -> bool:
        """Whether the kernel says that it refuses a kprobe there; False also where it does not say.

        A copy is refused where its original is (kernel/kprobes.c: within_kprobe_blacklist).
        """
        return self._blacklist is not None and not self._blacklist.isdisjoint((name, name.partition(".")[0]))

    def hooked(self, name: str) -> Optional[bool]:
        """Whether ftrace has a hook in a function, None where that cannot be read.

        Without one the kernel refuses kprobes of its event interface as well (kernel/trace/trace_kprobe.c:
        within_notrace_func, which asks for a clone's original where the clone itself has none).
        """
        if self._hooked is None:
            return None
        names = {name.encode(), name.partition(".")[0].encode()}
        return any(b"\n" + one + end in self._hooked for one in names for end in (b"\n", b" ["))

    def takes_probe(self, name: str) -> bool:
        """Whether a probe on the name would be accepted and mean one function. Raises HostError."""
        allowed = RARE not in name and not self.blacklisted(name) and self.hooked(name) is not False
        return allowed and len(self.homes(name)) == 1

    def matching(self, pattern: str, limit: int) -> list[str]:
        """The first functions, in order of their names, that match a pattern of `*`, `?`, `[…]` and take a probe."""
        try:
            expression = re.compile(fnmatch.translate(pattern))
        except re.error:
            return []
        found: list[str] = []
        for name in sorted(filter(expression.match, self._names())):
            if self._is_written(name) and self.takes_probe(name):
                found.append(name)
                if len(found) == limit:
                    break
        return found

    def close(self, wanted: str, limit: int) -> list[str]:
        """Functions of similar names that take a probe, the closest first. Raises HostError."""
        ranked = close_names(wanted, self._names(), 4 * limit)
        return [name for name in ranked if name != wanted and self._is_written(name) and self.takes_probe(name)][:limit]

    @staticmethod
    def _is_written(name: str) -> bool:
        return not _MADE.match(name) and not _CLONE.search(name)

    def _names(self) -> list[str]:
        """All names that may be proposed."""
        if self._hooked is not None:
            lines, end = self._hooked, " "
        else:
            lines, end = self._code, "\t"
        return [line.partition(end)[0] for line in lines.decode("ascii", "replace").split("\n") if line]

    @cached_property
    def _code(self) -> bytes:
        """A line for each function: its name, and its module behind a tab; a newline before the first as well."""
        kept = [b""]
        try:
            for piece in self._files.symbols():
                lines = _CODE.findall(piece)
                if any(made in piece for made in _NO_MODULES):
                    lines = [line for line in lines if not any(made in line for made in _NO_MODULES)]
                kept += [b"\n".join(lines)] if lines else []
        except OSError as error:
            raise HostError(
                f"The names of the kernel's functions at /proc/kallsyms could not be read: {error.strerror}. Without"
                " them no function can be probed; ask for a tracepoint."
            ) from error
        return re.sub(rb"\t\[(\w+)\](?=\n)", rb"\t\1", b"\n".join([*kept, b""]))

    @cached_property
    def _hooked(self) -> Optional[bytes]:
        listed = self._files.filter_functions()
        return b"\n" + listed if listed else None

    @cached_property
    def _blacklist(self) -> Optional[frozenset[str]]:
        return self._files.blacklist()


def close_names(wanted: str, names: list[str], limit: int) -> list[str]:
    """Those of many names that are most like the wanted one, the closest first.

    Only names that share a word with it, its beginning, or its first letter and about its length are compared letter
    by letter: 100,000 names take less than 0.2 s.
    """
    bare = wanted.strip("_").lower()
    if not bare:
        return []
    words = [word for word in re.split(r"[_.:/ ]+", bare) if len(word) >= _SHORT]
    spread = max(4, len(bare) // 3)
    about = [name for name in names if abs(len(name) - len(wanted)) <= spread]
    near = {name for word in words for name in about if word in name}
    near.update(name for name in about if name.lstrip("_").startswith(bare[:_SHORT]))
    if len(near) < limit:
        near.update(name for name in about if name.lstrip("_")[:1] == bare[:1])
    compared = sorted(near, key=lambda name: (abs(len(name) - len(wanted)), name))[:_CANDIDATES]
    # What was renamed often has its old name in the new one, whole: pipe_read is anon_pipe_read now.
    whole = [name for name in names if bare in name and f"_{bare}_" in f"_{name.strip('_')}_"]
    ranked = sorted(whole, key=lambda name: (len(name), name))[: limit // 2]
    ranked += difflib.get_close_matches(wanted, compared, n=limit, cutoff=_ALIKE)
    if len(bare) >= _SHORT:
        ranked += sorted((name for name in names if bare in name), key=lambda name: (len(name), name))[:limit]
    return list(dict.fromkeys(ranked))[:limit]
