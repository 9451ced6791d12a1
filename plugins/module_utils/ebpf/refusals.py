# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the kernel refused a probe on a function after all. Private to the collection."""

from __future__ import annotations

import errno
import os
from typing import Optional

from .functions import BLACKLISTED, LOCKED_DOWN, NO_KPROBES, NOT_ALLOWED, NOTRACE
from .kernel_files import KernelFiles
from .symbols import Symbols

_NOT_SUPPORTED = 524  # ENOTSUPP, which is the kernel's own and has no name in user space
_CAUSES = {
    errno.EADDRNOTAVAIL: "several functions have this name, and a probe cannot tell which of them is meant",
    errno.ENODEV: f"{NO_KPROBES}, or without their use by perf events (CONFIG_KPROBE_EVENTS)",
    errno.ENXIO: "the module that the function is in is being unloaded",
    errno.EILSEQ: "the function does not begin with an instruction that can be replaced by a probe",
    errno.EBUSY: "another tool changes or traces this function in a way that allows nobody beside it",
    errno.E2BIG: "as many programs as the kernel allows are attached to this function",
    errno.ENOMEM: "the host is short of memory, or the limit for locked memory (ulimit -l) is too low",
    errno.EMFILE: "this process has as many open files as its limit (ulimit -n) allows",
    errno.ENFILE: "the host has as many open files as it can have",
    errno.EOPNOTSUPP: "this kernel or machine cannot attach programs in this way",
    _NOT_SUPPORTED: "this kernel or machine cannot attach programs in this way",
}


def explain_refusal(symbol: str, os_error: OSError, files: Optional[KernelFiles] = None) -> str:
    """A sentence for the error with which attaching to a function (`module:name` or `name`) ended."""
    code = os_error.errno or 0
    known = errno.errorcode.get(code) or ("ENOTSUPP" if code == _NOT_SUPPORTED else f"error {code}")
    said = f"{os.strerror(code)} ({known})" if code != _NOT_SUPPORTED else "not supported (ENOTSUPP)"
    cause = _cause(symbol.rpartition(":")[2], code, files or KernelFiles())
    return f"The kernel refused a probe on {symbol}: {said}{': ' + cause if cause else ''}".rstrip(".") + "."


def _cause(name: str, code: int, files: KernelFiles) -> str:
    if code in (errno.EPERM, errno.EACCES):
        if not files.may_probe():
            return NOT_ALLOWED
        if files.lockdown() == "confidentiality":
            return LOCKED_DOWN
        return (
            "this process has the capabilities that it takes, so something else forbids it: a security module, a"
            " container's seccomp filter, or kernel.perf_event_paranoid above 2, which some distributions let only"
            " CAP_SYS_ADMIN override"
        )
    if code == errno.EINVAL:
        return _cause_of_invalid(name, Symbols(files))
    if code == errno.ENOENT:
        return f"this kernel has no function {name}, or no longer: the module that it was in may have been unloaded"
    return _CAUSES.get(code, "")


def _cause_of_invalid(name: str, symbols: Symbols) -> str:
    """The kernel says EINVAL for all of these (register_kprobe, __register_trace_kprobe)."""
    if symbols.blacklisted(name):
        return f"{name} {BLACKLISTED}"
    if symbols.hooked(name) is False:
        return f"{name} {NOTRACE}"
    return f"{name} is notrace or on the kernel's own blacklist of functions that take no probe"
