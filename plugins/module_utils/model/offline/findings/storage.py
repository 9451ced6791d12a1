# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: file systems that are full or read-only, disks with errors, and the limit of files."""

from __future__ import annotations

import re

from ..categories import FILES
from ..evidence import Evidence, name_of, number
from .finding import FAIR, STRONG, WEAK, Finding

_FULL, _NEARLY_FULL = 99, 95  # percent
_RECENT_SECONDS = 3600.0
# Images that are full by nature, and file systems that hold nothing.
_NOT_FILLED = (
    "squashfs",
    "iso9660",
    "udf",
    "erofs",
    "cramfs",
    "devtmpfs",
    "efivarfs",
    "fuse.snapfuse",
    "proc",
    "autofs",
)
_ON_DISKS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "zfs", "bcachefs")
_DISK_TROUBLE = re.compile(
    r"^\[\s*(\d+\.\d+)\]\s+(.*(?:I/O error|Buffer I/O error|EXT4-fs error|EXT4-fs \(.*\): Remounting|XFS .*[Cc]orrupt"
    r"|BTRFS (?:error|critical)|medium error|Medium Error|critical (?:target|medium) error|read-only).*)$"
)


def find(evidence: Evidence) -> list[Finding]:
    """Full file systems (space or inodes), read-only ones, disk errors in the kernel's log, no files left."""
    errors = _disk_errors(evidence)
    return [*_full(evidence), *errors, *_read_only(evidence, bool(errors)), *_no_files_left(evidence)]


def _full(evidence: Evidence) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    kinds = {mount: kind for mount, kind, _percent in _filled(evidence, "space", 7)}
    for mount, kind, percent in _filled(evidence, "space", 7):
        if kind not in _NOT_FILLED:
            found[mount, "space"] = _nearly(mount, percent, "space", "df -PT")
    for mount, _kind, percent in _filled(evidence, "inodes", 6):
        if kinds.get(mount) not in _NOT_FILLED:
            found[mount, "inodes"] = _nearly(mount, percent, "inodes", "df -Pi")
    disks = evidence.system.get("disks")
    for disk in disks if isinstance(disks, list) else []:
        if isinstance(disk, dict) and disk.get("type") not in _NOT_FILLED:
            mount = name_of(disk.get("mount"))
            for what, key in (("space", "used_percent"), ("inodes", "inodes_used_percent")):
                found.setdefault((mount, what), _nearly(mount, number(disk.get(key)), what, "the system information"))
    return [finding for finding in found.values() if finding.weight >= _NEARLY_FULL]


def _filled(evidence: Evidence, command: str, columns: int) -> list[tuple[str, str, int]]:
    """(mount point, type or empty, percent used) of df's lines."""
    filled = []
    for line in evidence.lines(command)[1:]:
        words = line.split(None, columns - 1)
        if len(words) == columns and words[-2].endswith("%") and words[-2][:-1].isdigit():
            filled.append((name_of(words[-1]), words[1] if columns == 7 else "", int(words[-2][:-1])))
    return filled


def _nearly(mount: str, percent: int, what: str, source: str) -> Finding:
    left = "no space is left" if what == "space" else "no inodes are left"
    cause = (
        f"The file system on {mount} is full: {left}"
        if percent >= _FULL
        else f"The file system on {mount} is nearly full"
    )
    look = (
        f"du -xh --max-depth=1 {mount} | sort -rh | head"
        if what == "space"
        else f"du --inodes -x --max-depth=2 {mount}"
    )
    return Finding(
        FILES,
        f"{cause} ({percent} % of its {what} used)",
        STRONG if percent >= _FULL else FAIR,
        percent,
        seen=[f"{source} shows {percent} % of the {what} of {mount} used."],
        plan=[
            f"Find what fills it: `{look}`.",
            "Look for files that are deleted and still open: `lsof +L1`.",
            "Remove or move what is not needed, or enlarge the file system.",
        ],
        subjects=[mount] if mount != "/" else [],
    )


def _disk_errors(evidence: Evidence) -> list[Finding]:
    uptime = evidence.system.get("uptime_s")
    lines = []
    for line in map(_DISK_TROUBLE.match, evidence.lines("kernel_log")):
        if line and isinstance(uptime, (int, float)) and uptime - float(line.group(1)) <= _RECENT_SECONDS:
            lines.append(name_of(line.group(2)))
    if not lines:
        return []
    return [
        Finding(
            FILES,
            f"A disk or file system reports errors: {lines[-1]}",
            STRONG,
            len(lines),
            seen=[f"The kernel's log of the last hour has {len(lines)} such lines; the last: {lines[-1]}"],
            plan=[
                "Save the data, then check the disk: `smartctl -a`, cables, the controller or the storage behind it.",
                "Check the file system when it is not mounted.",
            ],
        )
    ]


def _read_only(evidence: Evidence, with_errors: bool) -> list[Finding]:
    found = []
    for line in evidence.lines("mounts"):
        words = line.split()
        if len(words) >= 4 and words[2] in _ON_DISKS and "ro" in words[3].split(","):
            mount = name_of(words[1])
            found.append(
                Finding(
                    FILES,
                    f"The file system on {mount} is mounted read-only",
                    STRONG if with_errors else WEAK,
                    1,
                    seen=[f"/proc/mounts shows {mount} ({words[2]}) with the option ro."],
                    plan=[
                        f"See whether that is meant (/etc/fstab), or the kernel did it after errors (`dmesg`): {mount}."
                    ],
                    subjects=[mount] if mount != "/" else [],
                )
            )
    return found


def _no_files_left(evidence: Evidence) -> list[Finding]:
    words = evidence.output("open_files").split()
    if len(words) < 3 or not all(word.isdigit() for word in words[:3]):
        return []
    used, limit = int(words[0]), int(words[2])
    if used < 0.9 * limit:
        return []
    return [
        Finding(
            FILES,
            f"The host is at its limit of open files: {used} of {limit}",
            STRONG,
            used / limit,
            seen=[f"/proc/sys/fs/file-nr shows {used} of {limit} open files."],
            plan=["Find who holds them: count /proc/PID/fd by process.", "Raise `fs.file-max` if they are needed."],
        )
    ]


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    sentences = []
    filled = [percent for _mount, kind, percent in _filled(evidence, "space", 7) if kind not in _NOT_FILLED]
    if filled and not _full(evidence):
        sentences.append(f"no file system is full (at most {max(filled)} % used)")
    if evidence.lines("mounts") and not _read_only(evidence, False):
        sentences.append("no disk's file system is read-only")
    if evidence.lines("kernel_log") and not _disk_errors(evidence):
        sentences.append("the kernel's log has no disk errors of the last hour")
    return sentences
