# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what a part of a line printed, kept for the part that works on it."""

from __future__ import annotations

import os

MOST_CAPTURED = 4 * 1024 * 1024


class Captured:
    """Keeps the first bytes of a stream, and counts all of them."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.seen = 0

    def add(self, chunk: bytes) -> None:
        """Takes the next bytes of the stream."""
        self.kept += chunk[: max(0, MOST_CAPTURED - len(self.kept))]
        self.seen += len(chunk)

    def text(self) -> tuple[str, int]:
        """What was kept as text, and how many bytes were not."""
        return bytes(self.kept).decode("utf-8", "replace"), self.seen - len(self.kept)

    def as_file(self) -> int:
        """A descriptor to read what was kept from; the caller closes it."""
        descriptor = os.memfd_create("captured")
        rest = memoryview(bytes(self.kept))
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor


class Aside:
    """A file in memory for what programs say besides what they print."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("errors")

    def take(self, most: int = 16384) -> bytes:
        """The first bytes that were written; closes it."""
        try:
            return os.pread(self.descriptor, most, 0)
        finally:
            os.close(self.descriptor)
