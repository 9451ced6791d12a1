# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what a command wrote, bounded while it is written, and made harmless to show."""

from __future__ import annotations

import re

# CSI and OSC sequences, other two-byte escapes; then control characters and those that turn the direction of text.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """The text without terminal escapes; other control characters but newline and tab become U+FFFD."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("\ufffd", _ESCAPES.sub("", text))


class BoundedOutput:
    """Keeps the first and the last bytes of a stream, half of `most` each, and counts what falls out between."""

    def __init__(self, most: int) -> None:
        self.head_size = most // 2
        self.tail_size = most - self.head_size
        self.head = bytearray()
        self.tail = bytearray()
        self.seen = 0

    def add(self, chunk: bytes) -> None:
        """Takes the next bytes of the stream."""
        self.seen += len(chunk)
        room = self.head_size - len(self.head)
        if room > 0:
            self.head += chunk[:room]
            chunk = chunk[room:]
        self.tail += chunk
        if len(self.tail) > 2 * self.tail_size:
            del self.tail[: -self.tail_size]

    def text(self) -> tuple[str, int]:
        """The text to show, and how many bytes of the stream it leaves out (0: it is whole)."""
        head, tail = bytes(self.head), bytes(self.tail)
        if len(head) + len(tail) == self.seen and len(tail) <= self.tail_size:
            return harmless((head + tail).decode("utf-8", "replace")), 0
        head, tail = _whole_lines(head, tail[-self.tail_size :])
        left_out = self.seen - len(head) - len(tail)
        shown = f"\n[… {left_out} bytes left out here …]\n"
        return harmless(head.decode("utf-8", "replace") + shown + tail.decode("utf-8", "replace")), left_out


def _whole_lines(head: bytes, tail: bytes) -> tuple[bytes, bytes]:
    """Head and tail without the lines that were cut, unless a line is so long that little would be left."""
    end = head.rfind(b"\n")
    if end > len(head) // 2:
        head = head[:end]
    start = tail.find(b"\n")
    if 0 <= start < len(tail) // 2:
        tail = tail[start + 1 :]
    return head, tail
