# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: files that cannot be opened or written, from the system calls that were traced."""

from __future__ import annotations

import re

from ..categories import FILES
from ..evidence import Evidence, Failures, Trace, counted, failed_calls, failures_of
from .finding import FAIR, STRONG, WEAK, Finding

_OPEN = "syscalls/sys_enter_openat"
_READ, _WRITE = "syscalls/sys_enter_read", "syscalls/sys_enter_write"
_SEARCHED_OFTEN = 10
_REPEATED = 3

# errno → (what it means, whether one suffices, what to do)
_MEANING: dict[str, tuple[str, bool, str]] = {
    "EMFILE": ("it has reached its limit of open files", True, "Check `ls /proc/{pid}/fd | wc -l` against its limits."),
    "ENFILE": (
        "the host has reached its limit of open files",
        True,
        "Check /proc/sys/fs/file-nr; find who holds them.",
    ),
    "ENOSPC": ("no space is left", True, "Free space or inodes there: `df -h`, `df -i`, `du -xh --max-depth=1`."),
    "EDQUOT": ("the quota is used up", True, "Check the quota of the account that {process} runs as."),
    "EROFS": ("the file system is read-only", True, "See why it is read-only: `dmesg`, `findmnt`, /etc/fstab."),
    "EIO": ("the device reports an error", True, "Check the disk: `dmesg`, `smartctl -a`."),
    "ESTALE": ("the file server does not know it any more", True, "Remount the network file system."),
    "EFBIG": ("the file would become too large", True, "Rotate the file, or raise the limit."),
    "ELOOP": ("its symbolic links lead in a circle", False, "Correct the links: `namei -l {key}`."),
    "EACCES": ("permission is denied", False, "Check owner and mode of every part of the path: `namei -l {key}`."),
    "EPERM": ("it is not permitted", False, "Check attributes (`lsattr`), mount options and LSM rules for {key}."),
    "EBADF": ("it uses a descriptor that is not open", False, "This is an error in {process}; look for an update."),
    "EFAULT": ("it gives the kernel a wrong address", False, "This is an error in {process}; look for an update."),
    "ENOENT": ("it does not exist", False, "Create {key}, or correct the path in the configuration of {process}."),
}

# Where programs look on the way to what they find elsewhere, or do well without.
_SEARCHED = re.compile(
    r"/(proc|sys|dev)/.*|.*\.so(\.[\w.]+)?|/etc/ld\.so\..*|.*/(locale|locale-langpack|gconv|terminfo|zoneinfo)(/.*)?"
    r"|.*\.(py|pyc|pth|pyd|mo|cat|gz|h|hwcap)|.*/(__pycache__|site-packages|dist-packages|glibc-hwcaps|tls)(/.*)?"
    r"|.*/(pyvenv\.cfg|pybuilddir\.txt|\.hidden|\.git(/.*)?)|/usr/lib/.*|/lib/.*|/lib64/.*|/usr/share/.*"
    r"|/etc/(nsswitch\.conf|host\.conf|gai\.conf|resolv\.conf|localtime|suid-debug|krb5\.conf.*|crypto-policies/.*)"
    r"|/etc/(selinux|sysctl\.d|systemd|ssl|pki|hosts\.(allow|deny)|nologin|default/locale)(/.*)?"
    r"|/(var/)?run/(systemd|utmp|user|log|nologin|cloud-init|initctl)(/.*)?|/var/log/[wb]tmp"
    r"|/root/.*|/home/[^/]+/\..*|.*\.(conf|cfg)\.d(/.*)?|\.|"
)


def find(evidence: Evidence) -> list[Finding]:
    """Opens, reads and writes that fail for a reason that somebody has to remove."""
    return [
        finding
        for trace in evidence.traced(_OPEN, _READ, _WRITE)
        for group in failures_of(trace)
        for finding in _judge(trace, group)
    ]


def _judge(trace: Trace, group: Failures) -> list[Finding]:
    if group.error not in _MEANING:
        return []
    meaning, one_suffices, step = _MEANING[group.error]
    if group.error == "ENOENT" and (group.count < _SEARCHED_OFTEN or _SEARCHED.fullmatch(group.key)):
        return []
    if group.error in ("EACCES", "EPERM", "EIO", "EBADF") and group.key.startswith(("/proc/", "/sys/", "/dev/")):
        # Other accounts' processes and devices: asking is how programs find out.
        return []
    strength = STRONG if one_suffices else FAIR if group.count >= _REPEATED else WEAK
    verb = {"openat": "open", "read": "read", "write": "write"}.get(group.syscall, group.syscall)
    what = f" {group.key}" if group.key else " a file"
    return [
        Finding(
            FILES,
            f"{group.who} cannot {verb}{what}: {meaning}"
            f" ({group.error}, {counted(group.count, 'time')} {trace.window})",
            strength,
            group.count,
            traced=[
                f"{trace.key}: {counted(group.count, f'{group.syscall} call')} of {group.who}"
                f"{f' on {group.key}' if group.key else ''} failed with {group.error} {trace.window}."
            ],
            plan=[
                step.format(
                    process=group.process, key=group.key or "the file", pid=group.pids[0] if group.pids else "PID"
                ),
                f"Then see that {group.process} no longer fails: trace {trace.target} again.",
            ],
            subjects=[group.process, group.key, group.key.rpartition("/")[2]],
            pids=group.pids,
        )
    ]


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    verbs = {_OPEN: "open", _READ: "read", _WRITE: "write"}
    sentences = []
    for trace in evidence.traced(*verbs):
        if not any(_judge(trace, group) for group in failures_of(trace)):
            failed = failed_calls(trace)
            ordinary = f", of which {failed} failed in ordinary ways such as a search along a path" if failed else ""
            sentences.append(
                f"no {verbs[trace.target]} failed in a way that matters ({trace.count} calls{ordinary}, {trace.key})"
            )
    return sentences
