# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What eBPF this host can do, found out by trying where trying leaves no trace. Private to the collection.

Every answer has the shape `{"available": bool, "reason": str or null, "remedy": str or null}`, and may carry more.
"""

from __future__ import annotations

import os
import platform
import struct
from pathlib import Path
from typing import Any, Optional

from . import kernel, tracefs
from .compiler import NO_BCC, STAND_IN_HEADERS, bcc_version, kernel_headers
from .errors import HostError
from .functions import NO_KPROBES, SWITCHED_OFF
from .kernel_files import KernelFiles

_BTF = Path("/sys/kernel/btf/vmlinux")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_CARRIED = "the programs come as bytecode, and this kernel describes its types"
_SETUP = "Run the playbook nannyapi.diagnostics.setup on this host."
# Numbers of the capabilities that tracing may use (include/uapi/linux/capability.h).
_CAPABILITIES = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYSLOG": 34,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
_SETTINGS = ("perf_event_paranoid", "unprivileged_bpf_disabled", "kptr_restrict")
_STAND_INS = "Ask all the same: where a tracepoint can stand in for the function, it is traced and the result says so."
_SWITCH_ON = "Switch them on (echo 1 > /sys/kernel/debug/kprobes/enabled)."
# `r0 = 1; exit`: the smallest program that leaves a tracepoint to its other users.
_NOTHING = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 1, 0x95, 0, 0, 0)
_RARE_TRACEPOINT = ("sched", "sched_process_exit")


def _answer(reason: Optional[str] = None, remedy: Optional[str] = None, **more: Any) -> dict[str, Any]:
    return {"available": reason is None, "reason": reason, "remedy": remedy, **more}


def survey(attach: bool = True) -> dict[str, Any]:
    """Everything that decides what can be traced here.

    `attach`: find out whether the kernel takes programs by attaching an empty one for an instant, else do not try.
    """
    surveyed: dict[str, Any] = {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "btf": _btf(),
        "headers": _headers(),
        "tracefs": _tracefs(),
        "lockdown": _lockdown(),
        "capabilities": _held_capabilities(),
        "settings": {name: _setting(name) for name in _SETTINGS},
        "bcc": _bcc(),
    }
    tracepoint = _tracepoint(surveyed, attach)
    function = function_probe(surveyed, tracepoint)
    surveyed["probe_types"] = {"tracepoint": tracepoint, "kprobe": function, "kretprobe": dict(function)}
    return surveyed


def _btf() -> dict[str, Any]:
    if _BTF.exists():
        return _answer(path=str(_BTF))
    return _answer(
        f"There is no {_BTF}: the kernel was built without CONFIG_DEBUG_INFO_BTF.",
        "Tracepoints need none. The arguments of kernel functions are shown by name where BCC and the headers of this"
        f" kernel are installed. {_SETUP}",
        path=None,
    )


def _headers() -> dict[str, Any]:
    found = kernel_headers()
    if found is None:
        return _answer(
            f"No kernel headers were found for {platform.release()}, and no stand-in at {STAND_IN_HEADERS}.",
            _remedy(),
            path=None,
            kind=None,
        )
    return _answer(path=str(found.path), kind=found.kind)


def _tracefs() -> dict[str, Any]:
    path = tracefs.mount_point()
    if path is not None:
        return _answer(path=path)
    reason = "No tracefs is readable at /sys/kernel/tracing."
    held = _held_capabilities()
    if os.geteuid() != 0 and not held["CAP_DAC_READ_SEARCH"]:
        return _answer(reason, "Run the task with become: true.", path=None)
    return _answer(
        reason, "Mount it: mount -t tracefs tracefs /sys/kernel/tracing (the setup playbook does).", path=None
    )


def _lockdown() -> dict[str, Any]:
    """`mode` is none, integrity or confidentiality; null where the host does not say."""
    try:
        text = _LOCKDOWN.read_text(encoding="ascii")
    except OSError:
        return {**_answer(mode=None), "reason": f"{_LOCKDOWN} is not readable, so the mode is not known."}
    mode = text.partition("[")[2].partition("]")[0] or "none"
    if mode == "confidentiality":
        return _answer(
            "The kernel is locked down for confidentiality: programs may not read its memory.",
            "Boot without lockdown=confidentiality.",
            mode=mode,
        )
    return _answer(mode=mode)


def _held_capabilities() -> dict[str, bool]:
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return {name: bool(mask >> number & 1) for name, number in _CAPABILITIES.items()}


def _setting(name: str) -> Optional[int]:
    try:
        return int(Path("/proc/sys/kernel", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _bcc() -> dict[str, Any]:
    version = bcc_version()
    return _answer(version=version) if version else _answer(NO_BCC, _remedy(), version=None)


def _remedy() -> str:
    """What to do where there is nothing to compile with."""
    if _BTF.exists():
        return f"None is needed: {_CARRIED}. To compile all the same, set nannyapi_compiler to always. {_SETUP}"
    return _SETUP


def _tracepoint(surveyed: dict[str, Any], attach: bool) -> dict[str, Any]:
    """Whether a program could be loaded and attached just now."""
    if not surveyed["tracefs"]["available"]:
        return _answer(surveyed["tracefs"]["reason"], surveyed["tracefs"]["remedy"])
    try:
        if attach:
            _attach_nothing()
    except HostError as error:
        held = surveyed["capabilities"]
        privileged = held["CAP_SYS_ADMIN"] or (held["CAP_BPF"] and held["CAP_PERFMON"])
        remedy = surveyed["lockdown"]["remedy"] if privileged else "Run the task with become: true."
        return _answer(str(error), remedy)
    return _answer()


def _attach_nothing() -> None:
    """Attaches an empty program both ways that tracing needs, and detaches it. Raises HostError."""
    form = tracefs.read_format(*_RARE_TRACEPOINT)
    if form is None:
        raise HostError(f"The kernel has no tracepoint {'/'.join(_RARE_TRACEPOINT)}, which every kernel has.")
    for kind in (kernel.PROG_TRACEPOINT, kernel.PROG_RAW_TRACEPOINT):
        program = kernel.load_program(kind, "preflight", _NOTHING)
        try:
            if kind == kernel.PROG_TRACEPOINT:
                os.close(kernel.open_tracepoint(form.identifier, program))
            else:
                os.close(kernel.open_raw_tracepoint(form.event, program))
        except OSError as error:
            raise kernel.explain(error, f"attach a program to {'/'.join(_RARE_TRACEPOINT)}") from error
        finally:
            os.close(program)


def function_probe(
    surveyed: dict[str, Any], tracepoint: dict[str, Any], files: Optional[KernelFiles] = None
) -> dict[str, Any]:
    """Whether functions can be probed; `kernel_support` says whether the kernel itself could.

    `tracepoint`: the answer for tracepoints, which take the same programs and at most the same privileges.
    """
    files = files or KernelFiles()
    if not files.has_kprobes():
        return _answer(
            f"{NO_KPROBES[0].upper()}{NO_KPROBES[1:]}, so no function can be probed.", _STAND_INS, kernel_support=False
        )
    if files.switched_off():
        remedy = f"{_SWITCH_ON} {_STAND_INS}"
        return _answer(f"{SWITCHED_OFF[0].upper()}{SWITCHED_OFF[1:]}.", remedy, kernel_support=True)
    if not files.may_probe():
        return _answer(
            "Probing a function takes CAP_SYS_ADMIN, or both CAP_BPF and CAP_PERFMON.",
            "Run the task with become: true.",
            kernel_support=True,
        )
    lockdown = surveyed["lockdown"]
    if lockdown["mode"] == "confidentiality":
        return _answer(lockdown["reason"], lockdown["remedy"], kernel_support=True)
    return {**tracepoint, "kernel_support": True}
