# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel that does not describe its types, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from machines import Reached


@contextlib.contextmanager
def without_types(machine: Reached, hidden: bool = True) -> Iterator[None]:
    """Hides the kernel's type information, without which fentry is impossible."""
    if hidden:
        assert machine.ssh("mount -t tmpfs none /sys/kernel/btf").returncode == 0
    try:
        yield
    finally:
        if hidden:
            machine.ssh("umount /sys/kernel/btf")
