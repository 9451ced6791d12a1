# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions and types as a kernel's headers tell them, for kernels without type information. Private to the collection.

Where members are, the compiler says (`header_layouts`), in one go for all structs that the wanted functions need. What
parameters a function has, its declaration says where a header has one; but many have none, and most name no parameter.
So the prototypes that were recorded from kernels (`bpf/types/functions.json`) give the names, and stand for functions
without a declaration where the recorded kernels before and after this one agree. What neither knows is not guessed.
"""

from __future__ import annotations

import platform
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from . import c_declarations
from .bundle import Bundle
from .compiler import Headers, record_layouts
from .errors import HostError, RequestError
from .header_layouts import Layouts
from .kernel_types import KernelTypes, Nested
from .programs import Programs
from .struct_path import Location
from .type_source import Argument, CType, Signature

_LACKING = re.compile(r"incomplete type '(?:struct|union) (\w+)'")
_DECLARING = ("include/linux", "include/net")
_OWN_HEADER, _CONFIGURATION = "include/uapi/linux/bpf.h", "include/generated/autoconf.h"
_RANDOM = re.compile(r"^#define CONFIG_(?:GCC_PLUGIN_)?RANDSTRUCT(?:_FULL|_PERFORMANCE)? 1$", re.MULTILINE)
_RELEASE = re.compile(r'^#define UTS_RELEASE "([^"]+)"', re.MULTILINE)


class HeaderSource:
    """A `TypeSource` on the headers of the running kernel. Compiles when it must (seconds), and what it must only."""

    def __init__(
        self,
        bundle: Bundle,
        headers: Optional[Headers],
        release: Optional[str] = None,
        programs: Optional[Programs] = None,
        stop: Optional[threading.Event] = None,
    ) -> None:
        """`release`: of the kernel whose headers these must be; by default the running one. Raises HostError.

        `stop`: nothing is compiled any more once it is set.
        """
        self._programs = programs or Programs(bundle)
        self._stop = stop
        self._release = release or platform.release()
        self._folders = _folders(headers, self._release)
        self._archive = headers.path if headers is not None and headers.kind == "archive" else None
        self._types = KernelTypes(bundle.data("kernel_types.json"))
        self._known = bundle.data("headers.json")
        self._recorded = bundle.data("functions.json")
        self._declared: dict[str, list[str]] = {}
        self._functions: dict[str, Optional[Signature]] = {}
        self._layouts: dict[int, Layouts] = {}  # by group
        self._failed: dict[int, HostError] = {}  # what cannot be compiled is not tried again: it takes long

    def prepare(self, functions: Sequence[str]) -> None:
        """Reads and compiles in one go what plans for some functions need. Raises HostError."""
        new = [name for name in functions if name not in self._functions]
        self._declared.update(_declarations(self._folders, new))
        self._functions.update({name: self._signature(name) for name in new})
        wanted = set(_structs(self._functions[name] for name in functions))
        while True:  # types lead to types: a request to its block device
            more = {nested for struct in wanted for nested in _nested(self._types, struct)} - wanted
            if not more:
                break
            wanted |= more
        self._compile([index for index, group in enumerate(self._known["groups"]) if wanted & set(group["types"])])

    def function(self, name: str) -> Optional[Signature]:
        """A function, or None where neither the headers nor what was recorded of other kernels tell of it."""
        if name not in self._functions:
            try:
                self.prepare([name])
            except HostError as error:
                # Its prototype and what is passed by value are known all the same.
                known = self._functions[name]
                note = f"Of what arguments point at, some or all is not shown: {error}"
                self._functions[name] = replace(known, notes=(*known.notes, note)) if known is not None else None
        return self._functions[name]

    def locate(self, struct: str, path: str) -> Location:
        """Where a member is. Raises RequestError, also where what would tell could not be compiled."""
        private = self._known["private"].get(struct, {})
        if path in private:
            offset, size = private[path]
            return Location((offset,), size, False, 0)
        groups = [index for index, group in enumerate(self._known["groups"]) if struct in group["structs"]]
        try:
            self._compile(groups[:1] if not set(groups) & set(self._layouts) else [])
        except HostError as error:
            raise RequestError(f"Where {path} of struct {struct} is, is not known: {error}") from error
        known = [self._layouts[index] for index in groups if index in self._layouts]
        return (known or [Layouts("", {})])[0].locate(struct, path)

    def enumerators(self, enum: str) -> dict[int, str]:
        """None: values are shown by the names that are data."""
        return {}

    def _compile(self, groups: Sequence[int]) -> None:
        """Asks the compiler for the structs of some groups that it was not asked for yet."""
        new = [index for index in groups if index not in self._layouts and index not in self._failed]
        try:
            self._compile_together(new)
        except HostError as error:
            self._failed.update(dict.fromkeys(new, error))
            # One that cannot be compiled does not cost the others; where there is no compiler, or no time, none can.
            if len(new) > 1 and "error:" in str(error) and not (self._stop and self._stop.is_set()):
                self._compile_each(new)
        for index in groups:
            if index in self._failed:
                raise self._failed[index]

    def _compile_each(self, groups: Sequence[int]) -> None:
        """Each by itself; what failed together fails, where it does, for a reason of its own."""
        for index in groups:
            try:
                self._compile_together([index])
                del self._failed[index]
            except HostError as error:
                self._failed[index] = error

    def _compile_together(self, new: Sequence[int]) -> None:
        """Raises HostError; nothing is known of any of them then."""
        if not new:
            return
        chosen = [self._known["groups"][index] for index in new]
        includes = list(dict.fromkeys(header for group in chosen for header in group["include"]))
        structs = list(dict.fromkeys(struct for group in chosen for struct in group["structs"]))
        said = self._programs.layouts(program(includes, structs), lambda: self._laid_out(includes, structs))
        self._layouts.update(dict.fromkeys(new, Layouts(said, self._known["scalars"])))

    def _laid_out(self, includes: list[str], structs: list[str]) -> str:
        """What the compiler says of some structs, in as many tries as it takes. Raises HostError.

        Those that this kernel does not have are left out. BCC brings a `uapi/linux/bpf.h` of its own: where it is older
        than the kernel, what that lacks and other headers measure is taken from the kernel's.
        """
        lacking: set[str] = set()
        text = program(includes, structs)
        while True:
            try:
                return record_layouts(text, self._stop)
            except HostError as error:
                lacking.update(_LACKING.findall(str(error)))
                wanted = [struct for struct in structs if struct not in lacking]
                tried, text = text, program(includes, wanted, self._defined(lacking - set(structs)))
                if text == tried:
                    raise

    def _defined(self, structs: Iterable[str]) -> str:
        """The definitions of some structs in the kernel's own header of eBPF; none of what it does not define."""
        if not structs:
            return ""
        text = "".join(_text(folder / _OWN_HEADER) for folder in self._folders)
        if self._archive is not None:
            text = _archived(self._archive, _OWN_HEADER)
        return "".join(c_declarations.definition(text, struct) for struct in sorted(structs))

    def _signature(self, name: str) -> Optional[Signature]:
        recorded = self._agreed(name)
        found = [c_declarations.signature(text, self._known["scalars"]) for text in self._declared.get(name, [])]
        declared = [each for each in found if each is not None]
        if not declared:
            return recorded
        kinds = {_kinds(each): each for each in declared}
        if len(kinds) > 1:  # the configuration chooses one: it may be the one that is known
            return recorded if recorded is not None and _kinds(recorded) in kinds else None
        named = max(declared, key=lambda each: sum(bool(argument.name) for argument in each.arguments))
        return _with_names(named, recorded)

    def _agreed(self, name: str) -> Optional[Signature]:
        """What the recorded kernels around this one have in common; None where one of them lacks the function."""
        kernels, by_text = self._recorded["kernels"], self._recorded["functions"].get(name, {})
        around = _around(self._release, kernels)
        texts = [text for kernel in around for text, having in by_text.items() if kernel in having]
        if not around or len(texts) < len(around):
            return None
        found = [c_declarations.signature(text, self._known["scalars"]) for text in dict.fromkeys(texts)]
        signatures = [each for each in found if each is not None]
        return signatures[0] if len(signatures) == 1 else _common(signatures) if signatures else None


def program(includes: list[str], structs: list[str], definitions: str = "") -> str:
    """A program that needs to know how large some structs are, of some headers as far as there are such."""
    lines = [f"#if __has_include(<{header}>)\n#include <{header}>\n#endif" for header in includes]
    sizes = "".join(f"\n\t\t+ sizeof(struct {struct})" for struct in structs)
    first = f"#include <linux/types.h>\n{definitions}" if definitions else ""
    return first + "\n".join(lines) + f"\nint sizes(void *ctx)\n{{\n\treturn 0{sizes};\n}}\n"


def _folders(headers: Optional[Headers], release: str) -> list[Path]:
    """Where the running kernel's headers are. Raises HostError where they are another's, or do not tell its layout."""
    if headers is None or headers.kind == "stand-in":
        raise HostError(
            f"This kernel has no type information, and there are no headers of {release} on this host: what functions"
            " take is shown as numbers. Install its headers (Debian: linux-headers-$(uname -r))."
        )
    folders = [headers.path, headers.path.parent / "source"] if headers.kind == "kernel" else [headers.path]
    folders = [folder for folder in folders if folder.is_dir()]  # an archive is for BCC to unpack
    if headers.kind == "archive":
        configured = _archived(headers.path, _CONFIGURATION)
        if not configured:
            raise HostError(f"{headers.path} does not tell how this kernel was configured, and so not its structs.")
        _refuse_random(configured)
    for folder in folders:
        found = _RELEASE.search(_text(folder / "include/generated/utsrelease.h"))
        if found is not None and found[1] != release:
            raise HostError(
                f"The headers in {folder} are those of {found[1]}, and the kernel is {release}: what functions take is"
                " shown as numbers."
            )
        _refuse_random(_text(folder / _CONFIGURATION))
    return folders


def _refuse_random(configured: str) -> None:
    if _RANDOM.search(configured):
        raise HostError("This kernel was built with its structs in random order, which its headers do not tell.")


def _archived(archive: Path, name: str) -> str:
    """A file of an archive of headers (as kernel/gen_kheaders.sh of Linux packs them); empty where it is not in there.

    Empty, too, of an archive that cannot be read.
    """
    import tarfile  # seldom needed, and of much code

    try:
        with tarfile.open(archive) as members:
            for member in members:
                if member.name in (name, f"./{name}"):
                    file = members.extractfile(member)
                    return file.read().decode("utf-8", "replace") if file is not None else ""
    except Exception:  # what is damaged raises what its way of packing does, and this Python may not know that way
        return ""
    return ""


def _declarations(folders: list[Path], functions: Sequence[str]) -> dict[str, list[str]]:
    """What the headers say of some functions: each declaration as text."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for file in (file for part in _DECLARING for file in sorted((folder / part).rglob("*.h"))):
            text = _text(file)
            for name in functions:
                if f"{name}(" in text:
                    found.setdefault(name, []).extend(c_declarations.find(text, name))
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _version(release: str) -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def _around(release: str, kernels: list[str]) -> list[str]:
    """The recorded kernel of this version, or those before and after it; none where there is nothing on one side."""
    wanted = _version(release)
    before = [kernel for kernel in kernels if _version(kernel) <= wanted]
    after = [kernel for kernel in kernels if _version(kernel) >= wanted]
    if not before or not after:
        return []
    return list(dict.fromkeys((max(before, key=_version), min(after, key=_version))))


def _common(signatures: list[Signature]) -> Signature:
    """The parameters in which functions agree, up to the first in which they do not."""
    agreed = []
    for same in zip(*(each.arguments for each in signatures)):
        if len(set(same)) > 1:
            break
        agreed.append(same[0])
    first = signatures[0]
    notes = (f"What else {first.name} takes differs between kernels, and this one's headers do not tell.",)
    same_result = len({each.returns for each in signatures}) == 1
    returns = first.returns if same_result else CType("other", "unknown", 8)
    return Signature(first.name, tuple(agreed), returns, notes)


def _kinds(signature: Signature) -> tuple[object, ...]:
    """What a function takes and returns, but for the names and the words."""
    types = [argument.type for argument in signature.arguments] + [signature.returns]
    return tuple((each.kind, each.size, each.signed, each.struct) for each in types)


def _with_names(declared: Signature, recorded: Optional[Signature]) -> Signature:
    """A declaration with the names that the function itself has, where it is the one that was recorded."""
    if recorded is None or _kinds(declared) != _kinds(recorded):
        return declared
    arguments = (Argument(other.name, own.type) for own, other in zip(declared.arguments, recorded.arguments))
    return Signature(declared.name, tuple(arguments), declared.returns, declared.notes)


def _structs(signatures: Iterable[Optional[Signature]]) -> Iterator[str]:
    for signature in signatures:
        if signature is not None:
            yield signature.returns.struct
            yield from (argument.type.struct for argument in signature.arguments)


def _nested(types: KernelTypes, struct: str) -> Iterator[str]:
    """The types that are shown as a part of another."""
    entry: Any = types.type(struct)
    if entry is not None:
        yield types.struct(struct)
        yield from (value.type for value in (*entry.values, *entry.key) if isinstance(value, Nested))
