# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which function of this kernel a request means, and whether it takes a probe. Private to the collection."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from .errors import HostError, RequestError
from .kernel_files import KernelFiles
from .symbols import RARE, Symbols

LISTED = 5  # names that a sentence proposes
NO_KPROBES = "this kernel was built without CONFIG_KPROBES"
NOT_ALLOWED = (
    "probing a kernel function needs root, or the capabilities BPF and PERFMON. Run the task with become: true."
)
LOCKED_DOWN = (
    "the kernel is locked down for confidentiality, in which it takes no probes on its functions. Boot without"
    " lockdown=confidentiality."
)
SWITCHED_OFF = (
    "all kprobes of this kernel are switched off (/sys/kernel/debug/kprobes/enabled is 0), so one would never fire"
)
BLACKLISTED = (
    "is on the kernel's own blacklist (/sys/kernel/debug/kprobes/blacklist): a probe there could bring the kernel down,"
    " so it refuses one"
)
RUN_BY_PROGRAMS = (
    "is run by eBPF programs themselves, or under the locks that they take: a probe there could bring the host down,"
    " so none is attached"
)
NOTRACE = (
    "is notrace: it was compiled without the hook for tracing, as all that is declared inline, so the kernel refuses a"
    " probe there"
)
_LONGEST = 511  # KSYM_NAME_LEN of kernels from 6.1, less its end

# How other tools begin a probe's target.
_PREFIX = re.compile(r"(?:kprobes?|kretprobes?|kfunc|kretfunc|fentry|fexit|kr|[pkfr])[:/]\s*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_$][\w.$]*", re.ASCII)
_OFFSET = re.compile(r"\+\s*(0[xX][0-9a-fA-F]+|[0-9]+)$")
_ITSELF = frozenset(("vmlinux", "kernel"))  # as modules: the kernel itself


@dataclass(frozen=True)
class AskedFunction:
    """A function as a request spells it. `module`: None where any will do, empty for the kernel itself."""

    name: str
    module: Optional[str] = None

    def __str__(self) -> str:
        return f"{self.module}:{self.name}" if self.module else self.name


@dataclass(frozen=True)
class FunctionTarget:
    """A function of this kernel that takes a probe, as far as its own files tell."""

    requested: str
    name: str  # the symbol, after aliases
    module: Optional[str]  # None for the kernel itself
    at_return: bool
    note: Optional[str] = None  # why it differs from what was asked, and what its events leave out
    arguments_moved: bool = (
        False  # a copy that the compiler made: its arguments may not be where the prototype has them
    )
    only_one: bool = field(default=False, compare=False)  # no other module, nor the kernel, has a function of the name
    hooked: Optional[bool] = field(default=None, compare=False)  # whether ftrace, and so fentry, can attach; or unknown

    @property
    def symbol(self) -> str:
        """The name as kprobes take it: `module:name` for a function of a module."""
        return f"{self.module}:{self.name}" if self.module else self.name


class NotProbed(RequestError):
    """No function that was meant takes a probe: `reason`, a sentence without its end, and `close` names that do."""

    def __init__(self, requested: str, reason: str, close: list[str]) -> None:
        self.reason, self.close = reason, close
        super().__init__(f"{requested}: {reason}.{works(close)}")


def works(names: list[str]) -> str:
    """A sentence that names what can be asked for instead; empty for no names."""
    return f" What works here: {', '.join(names[:LISTED])}." if names else ""


def parse_function(target: str) -> AskedFunction:
    """Reads a function's name in the spellings of other tools. Raises RequestError."""
    text = target.strip()
    bare = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    bare = re.sub(r"(?:%return|\(\s*\))$", "", bare).strip()
    offset = _OFFSET.search(bare)
    if offset:
        if int(offset[1], 0 if offset[1][:2].lower() == "0x" else 10) != 0:
            raise RequestError(
                f"{text:.80}: a probe inside of a function is not possible, at its entry (kprobe) and its return"
                f" (kretprobe) only; ask for {bare[: offset.start()].strip():.80}."
            )
        bare = bare[: offset.start()].strip()
    module, colon, name = bare.rpartition(":")
    if len(bare) > _LONGEST or not _NAME.fullmatch(name) or (colon and not re.fullmatch(r"[\w-]+", module, re.ASCII)):
        raise RequestError(_misspelt(text))
    if not colon:
        return AskedFunction(name)
    return AskedFunction(name, "" if module in _ITSELF else module.replace("-", "_"))


def _misspelt(text: str) -> str:
    shown = f"{text:.80}"
    if re.match(r"0[xX][0-9a-fA-F]+$|[0-9]+$", text):
        return f"{shown} is an address; a function is asked for by its name, such as tcp_connect."
    if text.startswith("/"):
        return f"{shown} is a path; functions of programs in user space are not traced, those of the kernel are."
    if re.match(r"\S+[,; ]\s*\S+", text):
        return f"{shown} is more than one name: ask for each function in a program of its own."
    return f"{shown!r} is no function's name, which is one word such as tcp_connect or module:function."


class Functions:
    """Finds functions on this host. Reads the kernel's files at most once for each instance."""

    def __init__(self, known: dict[str, Any], files: Optional[KernelFiles] = None) -> None:
        """`known`: what targets.json says."""
        self._files = files or KernelFiles()
        self._symbols = Symbols(self._files)
        self._renamed: list[list[str]] = known["functions"]
        self._behind: dict[str, str] = known["behind"]
        self._inlined: dict[str, list[str]] = known["inlined"]
        self._run_by_programs: list[str] = known["run_by_programs"]

    def require_privilege(self) -> None:
        """Raises HostError where this process may not, or this kernel will not, probe any function."""
        if not self._files.may_probe():
            raise HostError(f"No function was probed: {NOT_ALLOWED}")
        if self._files.lockdown() == "confidentiality":
            raise HostError(f"No function was probed: {LOCKED_DOWN}")

    def obstacle(self) -> Optional[str]:
        """Why this kernel probes no function at all, as part of a sentence; None where it does."""
        if not self._files.has_kprobes():
            return NO_KPROBES
        return SWITCHED_OFF if self._files.switched_off() else None

    def names(self, name: str) -> list[str]:
        """A function's name, then what it was called in later kernels, then in earlier ones."""
        names = [name]
        for chain in self._renamed:
            if name in chain:
                at = chain.index(name)
                names += chain[at + 1 :] + chain[:at][::-1]
        names.append(name.partition(".")[0])  # a copy made by the compiler has another number in each build
        names.append(f"{name}_noprof")  # from 6.10, where allocations are accounted for
        return list(dict.fromkeys(names))

    def resolve(self, requested: str, asked: AskedFunction, at_return: bool) -> FunctionTarget:
        """The function to attach to. Raises NotProbed with the reason and what works, or HostError."""
        refusals: list[str] = []
        for name in self.names(asked.name):
            found = self._find(requested, AskedFunction(name, asked.module), at_return)
            if isinstance(found, FunctionTarget):
                if "." in asked.name and found.name != asked.name:
                    found = _noted(found, f"{asked.name} takes no probe in this kernel; {found.name} was traced.")
                elif name != asked.name:
                    found = _noted(found, f"{asked.name} is called {found.name} in this kernel.")
                return self._in_full(found)
            if found:
                refusals.append(found)
        reason = refusals[0] if refusals else self._absence(asked)
        raise NotProbed(requested, reason, self._close(asked.name))

    def _close(self, name: str) -> list[str]:
        proposed = [other for other in self._inlined.get(name, []) if self._symbols.takes_probe(other)]
        return list(dict.fromkeys(proposed + self._symbols.close(name, LISTED)))[:LISTED]

    def matching(self, pattern: str) -> list[str]:
        """Up to five functions that match a pattern of `*`, `?`, `[…]` and take a probe. Raises HostError."""
        return self._symbols.matching(pattern, LISTED)

    def _find(self, requested: str, asked: AskedFunction, at_return: bool) -> FunctionTarget | str | None:
        """The function of exactly that name, or why it takes no probe; None where there is none."""
        name, notes = asked.name, []
        clones = self._symbols.clones(name)
        entries = [clone for clone in clones if RARE not in clone]
        homes = self._symbols.homes(name)
        if not homes:
            if len(entries) != 1:
                return _only_copies(name, clones, entries)
            name = entries[0]
            homes = self._symbols.homes(name)
        elif entries:
            notes.append(f"The compiler made {' and '.join(entries[:3])} of it as well, whose calls are not counted.")
        if "." in name:
            notes.append(_about_copy(name))
        if asked.module is not None:
            wanted = asked.module or None
            if wanted not in homes and homes != [None]:
                return f"{name} is in {_listed(homes)}, not in {wanted or 'the kernel itself'}"
            if wanted not in homes:
                notes.append(f"{name} is built into this kernel, not in a module {wanted}.")
            homes = [home for home in homes if home == wanted] or homes
        refusal = self._refusal(name, homes)
        if refusal:
            return refusal
        return FunctionTarget(
            requested,
            name,
            homes[0],
            at_return,
            " ".join(notes) or None,
            arguments_moved="." in name,
            only_one=len(self._symbols.homes(name)) == 1,
            hooked=self._symbols.hooked(name),
        )

    def _refusal(self, name: str, homes: list[Optional[str]]) -> Optional[str]:
        """Why the kernel would refuse a probe on a function that it has."""
        if RARE in name:
            return f"{name} is the rare path of {name.partition('.')[0]}, which no call enters; ask for that one"
        if len(homes) > 1:
            return _ambiguous(name, homes)
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self._run_by_programs):
            return f"{name} {RUN_BY_PROGRAMS}"
        if self._symbols.blacklisted(name):
            return f"{name} {BLACKLISTED}"
        return f"{name} {NOTRACE}" if self._symbols.hooked(name) is False else None

    def _in_full(self, found: FunctionTarget) -> FunctionTarget:
        """What does the work behind a function that callers may also go around, where this kernel has that."""
        behind = self._behind.get(found.name)
        inner = self._find(found.requested, AskedFunction(behind), found.at_return) if behind else None
        if not isinstance(inner, FunctionTarget) or inner.arguments_moved:
            return found
        told = f"In this kernel {found.name} only calls {inner.name}, to which others go directly: that was traced."
        return _noted(inner, f"{found.note} {told}" if found.note else told)

    def _absence(self, asked: AskedFunction) -> str:
        if asked.module and not self._symbols.has_module(asked.module):
            return f"no module {asked.module} is loaded, and the kernel itself has no function {asked.name}"
        if asked.name in self._inlined:
            return (
                f"{asked.name} is inlined: the compiler puts it into each of its callers, so there is no function to"
                " probe"
            )
        return (
            f"this kernel has no function {asked.name}: it may be called otherwise in this version, inlined into its"
            " callers, or in a module that is not loaded"
        )


def _noted(found: FunctionTarget, text: str) -> FunctionTarget:
    return replace(found, note=f"{text} {found.note}" if found.note else text)


def _only_copies(name: str, clones: list[str], entries: list[str]) -> Optional[str]:
    """Why a function takes no probe of which the compiler left something else; None where it left nothing."""
    if entries:
        return (
            f"the compiler left no function {name}, only copies of it for some of its callers"
            f" ({', '.join(entries[:LISTED])}); ask for one of these"
        )
    if clones:
        return f"{name} was inlined by the compiler into its callers; only its rare path is left, as {clones[0]}"
    return None


def _about_copy(copy: str) -> str:
    name = copy.partition(".")[0]
    if ".part." in copy:
        return (
            f"The compiler put the beginning of {name} into its callers and left the rest as {copy}: calls that end"
            " early are not counted, and arguments may be others than in the source."
        )
    return (
        f"{copy} is what the compiler made of {name}: arguments may be missing or in other places than in the source."
    )


def _listed(homes: list[Optional[str]]) -> str:
    return " and ".join(sorted({f"the module {home}" if home else "the kernel itself" for home in homes}))


def _ambiguous(name: str, homes: list[Optional[str]]) -> str:
    if len(set(homes)) == len(homes) and all(homes):
        asked = [f"{home}:{name}" for home in sorted(filter(None, homes))]
        return f"{len(homes)} modules have a function {name}; ask for one of them, such as {', '.join(asked[:LISTED])}"
    return (
        f"{len(homes)} functions are called {name}, in {_listed(homes)}, and a probe cannot tell which of them is meant"
    )
