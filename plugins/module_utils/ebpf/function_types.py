# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the functions of this host's kernel, and so what to capture of each. Private to the collection."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Optional, Union

from .btf import VMLINUX, Btf
from .btf_source import BtfSource
from .bundle import Bundle
from .capture_plan import Capture
from .compiler import kernel_headers
from .errors import EbpfError, HostError, RequestError
from .function_plan import plan_function
from .functions import FunctionTarget
from .header_source import HeaderSource
from .kernel_types import KernelTypes
from .path_layout import PathLayout, path_layout
from .programs import Programs
from .struct_path import Location
from .type_source import POINTER, VOID, Argument, CType, Signature, TypeSource

_REGISTERS, _WORD = 6, 8  # bytes of a word
_ADDRESS = CType(POINTER, "unsigned long", 8)


@dataclass(frozen=True)
class PlannedFunction:
    """A function with what to capture of its calls.

    `type_id`: of the function in the kernel's type information, by which fentry attaches; None with `why_no_type_id`.
    """

    capture: Capture
    path: Optional[PathLayout]
    arguments: int  # how many words the function's arguments take
    type_id: Optional[int]
    why_no_type_id: str = ""


class FunctionTypes:
    """Plans captures. Reads the kernel's type information, or else its headers, when it is first needed, and once."""

    def __init__(self, bundle: Bundle, programs: Programs, stop: Optional[threading.Event] = None) -> None:
        """`programs`: makes and keeps what headers are compiled to; nothing is compiled any more once `stop` is set."""
        self._bundle = bundle
        self._programs = programs
        self._stop = stop
        self._types = KernelTypes(bundle.data("kernel_types.json"))
        self._kernel: Optional[Btf] = None
        self._headers: Union[HeaderSource, HostError, None] = None

    def plan(self, target: FunctionTarget) -> PlannedFunction:
        """What to capture of a function; of one whose type is not known the registers. Raises EbpfError."""
        if target.arguments_moved:
            return self._unknown(target, f"{target.name} is a copy that the compiler made, with arguments of its own.")
        try:
            btf = self._btf(target.module)
        except HostError as error:
            return self._by_headers(target, str(error))
        source = BtfSource(btf)
        try:
            capture = plan_function(source, self._types, target.name, with_return=target.at_return)
        except EbpfError as error:
            return self._unknown(target, str(error))
        prototypes = btf.prototypes(target.name)
        words = [max(1, -(-btf.size(parameter.type_id) // _WORD)) for parameter in prototypes[0].parameters]
        planned = PlannedFunction(capture, _path_layout(source), sum(words), prototypes[0].type_id)
        why = ""
        if target.module:
            why = f"{target.name} is of the module {target.module}."
        elif len(prototypes) > 1:
            why = f"the kernel has {len(prototypes)} functions named {target.name}."
        elif sum(words) > len(words):
            why = f"{target.name} has an argument that is no single word."
        elif len(words) > _REGISTERS:
            why = f"{target.name} has more than {_REGISTERS} arguments."
        elif target.hooked is False:
            why = f"{target.name} has no hook for tracing."
        return replace(planned, type_id=None, why_no_type_id=why) if why else planned

    def _btf(self, module: Optional[str]) -> Btf:
        if self._kernel is None:
            self._kernel = Btf.load()
        return Btf.load(VMLINUX.with_name(module), self._kernel) if module else self._kernel

    def _by_headers(self, target: FunctionTarget, why: str) -> PlannedFunction:
        """The same from the kernel's headers, which takes seconds of compiling. `why`: there is no type information."""
        if self._headers is None:
            try:
                self._headers = HeaderSource(self._bundle, kernel_headers(), programs=self._programs, stop=self._stop)
            except HostError as error:
                self._headers = error
        if isinstance(self._headers, HostError):
            return self._unknown(target, f"{why} {self._headers}")
        try:
            capture = plan_function(self._headers, self._types, target.name, with_return=target.at_return)
            signature = self._headers.function(target.name)
        except EbpfError as error:
            return self._unknown(target, f"{why} {error}")
        words = [max(1, -(-each.type.size // _WORD)) for each in signature.arguments] if signature else [_REGISTERS]
        return PlannedFunction(capture, _path_layout(self._headers), sum(words), None, why)

    def _unknown(self, target: FunctionTarget, why: str) -> PlannedFunction:
        capture = plan_function(_Registers(), self._types, target.name, with_return=target.at_return)
        note = f"The registers that arguments of {target.name} are in are shown as they are: {why}"
        return PlannedFunction(replace(capture, notes=(*capture.notes, note)), None, _REGISTERS, None, why)


def _path_layout(source: TypeSource) -> Optional[PathLayout]:
    try:
        return path_layout(source)
    except RequestError:
        return None  # plans that need it have said so


class _Registers:
    """A `TypeSource` that knows nothing: every function has six arguments that are numbers."""

    def function(self, name: str) -> Signature:
        return Signature(name, tuple(Argument("", _ADDRESS) for _each in range(_REGISTERS)), CType(VOID, "void", 0))

    def locate(self, struct: str, path: str) -> Location:
        raise RequestError(f"Where {path} of struct {struct} is, is not known.")

    def enumerators(self, enum: str) -> dict[int, str]:
        return {}
