# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a program finds the arguments of a function and of a system call. Private to the collection."""

from __future__ import annotations

from typing import NamedTuple

from . import kernel, layout
from .errors import HostError

_WORD = 8


class Convention(NamedTuple):
    """An architecture's calling convention, as byte offsets in its struct pt_regs."""

    arguments: tuple[int, ...]
    returned: int
    stack: int
    return_address: int  # bytes that a call puts on the stack


# x86_64: arch/x86/include/asm/ptrace.h, arguments in di, si, dx, cx, r8, r9; aarch64:
# arch/arm64/include/uapi/asm/ptrace.h, arguments in x0 to x5.
_CONVENTIONS = {
    "x86_64": Convention((112, 104, 96, 88, 72, 64), returned=80, stack=152, return_address=_WORD),
    "aarch64": Convention((0, 8, 16, 24, 32, 40), returned=0, stack=248, return_address=0),
}


# System calls: registers as byte offsets likewise; which bits of which one tell how the caller runs, and what they are
# for one of 64 bits. x86_64: arguments in di, si, dx, r10, r8, r9, the number in orig_ax, the mode by cs (__USER_CS);
# aarch64: x0 to x5, syscallno, pstate (PSR_MODE32_BIT).
_SYSTEM_CALLS = {
    "x86_64": ((112, 104, 96, 56, 72, 64), 120, 136, 0xFFFF, 0x33),
    "aarch64": ((0, 8, 16, 24, 32, 40), 280, 264, 0x10, 0),
}


def system_call() -> layout.CallRegisters:
    """The registers of whoever made a system call. Raises HostError on another architecture."""
    machine = kernel.machine()
    if machine not in _SYSTEM_CALLS:
        raise HostError(f"Where {machine} has a system call's arguments is not known here.")
    arguments, number, mode, bits, wide = _SYSTEM_CALLS[machine]
    places = (*arguments, number, mode)
    start = min(places)
    known = layout.CallRegisters(mode=bits, wide=wide, start=start, length=max(places) + _WORD - start)
    known.mode_at, known.number_at = (mode - start) // _WORD, (number - start) // _WORD
    known.argument[:] = [(place - start) // _WORD for place in arguments]
    return known


def registers() -> layout.ContextLayout:
    """For a kprobe or kretprobe, whose context is the registers. Raises HostError on another architecture."""
    known = _CONVENTIONS.get(kernel.machine())
    if known is None:
        raise HostError(f"Where {kernel.machine()} has a function's arguments is not known here.")
    context = layout.ContextLayout(returned=known.returned, stack=known.stack, above=known.return_address)
    context.argument[:] = known.arguments
    return context


def tracing(arguments: int) -> layout.ContextLayout:
    """For fentry and fexit, whose context is an array of the arguments, with the result behind them."""
    context = layout.ContextLayout(returned=arguments * _WORD, stack=layout.NO_STACK)
    context.argument[:] = [number * _WORD for number in range(len(context.argument))]
    return context
