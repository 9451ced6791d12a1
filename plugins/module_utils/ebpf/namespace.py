# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PID namespace that is diagnosed. Private to the collection.

Where Ansible's target is a container, the host that an operator means is the container: the kernel's events are those
of the whole machine, and its pids mean nothing inside.
"""

from __future__ import annotations

import os

_INITIAL_INODE = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h


def pid_namespace() -> tuple[int, int]:
    """Device and inode of this process's PID namespace; (0, 0) for the initial one, which has every process."""
    status = os.stat("/proc/self/ns/pid")
    return (0, 0) if status.st_ino == _INITIAL_INODE else (status.st_dev, status.st_ino)
