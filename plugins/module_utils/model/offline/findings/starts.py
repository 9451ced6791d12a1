# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: programs that cannot be started, from the execve(2) calls that were traced."""

from __future__ import annotations

from ..categories import PROCESS
from ..evidence import Evidence, Failures, counted, failures_of, name_of
from .finding import FAIR, STRONG, Finding

_EXEC = "syscalls/sys_enter_execve"
_REPEATED = 5
_EXEC_FAULTS = {
    "EACCES": "it may not be executed",
    "EPERM": "it may not be executed",
    "ENOEXEC": "it is not a program for this host",
    "E2BIG": "its arguments are too long",
    "EAGAIN": "the limit of processes is reached",
    "ENOMEM": "there is not enough memory",
    "ETXTBSY": "its file is being written",
    "ELIBBAD": "a library that it needs is corrupt",
}


def find(evidence: Evidence) -> list[Finding]:
    """execve(2) calls that fail for a reason that somebody has to remove."""
    found = []
    for trace in evidence.traced(_EXEC):
        started = {name_of(data.get("filename")).rpartition("/")[2] for data in trace.data() if "error" not in data}
        failed = failures_of(trace)
        for group in failed:
            program = group.key.rpartition("/")[2]
            meaning = _EXEC_FAULTS.get(group.error)
            if group.error == "ENOENT" and group.count >= _REPEATED and program not in started:
                meaning = "it does not exist" if _is_final(group, failed) else None
            if meaning:
                found.append(
                    Finding(
                        PROCESS,
                        f"{group.who} cannot start {group.key or 'a program'}: {meaning} ({group.error},"
                        f" {counted(group.count, 'time')} {trace.window})",
                        STRONG if group.error not in ("ENOENT", "ETXTBSY") and group.count > 1 else FAIR,
                        group.count,
                        traced=[
                            f"{trace.key}: {counted(group.count, 'execve call')} of {group.who} for"
                            f" {group.key or 'an unnamed file'} failed with {group.error} {trace.window}."
                        ],
                        plan=[f"Check {group.key or 'the file'}: that it exists, its mode, owner and interpreter."],
                        subjects=[group.process, group.key, program],
                        pids=group.pids,
                    )
                )
    return found


def _is_final(group: Failures, failed: list[Failures]) -> bool:
    """Whether a program that is missing in this place is missing, and not just found later along PATH."""
    directory, _slash, program = group.key.rpartition("/")
    if not directory.endswith(("bin", "sbin")):
        return True
    tried = {each.key.rpartition("/")[0] for each in failed if each.key.rpartition("/")[2] == program}
    # A search that tried these has tried all that there are, and this is the last of them to be told of.
    return bool(tried & {"/usr/bin", "/bin"}) and bool(tried & {"/usr/sbin", "/sbin"}) and directory == max(tried)


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    if find(evidence):
        return []
    return [
        f"no program failed to start ({counted(trace.count, 'execve call')}, {trace.key})"
        for trace in evidence.traced(_EXEC)
    ]
