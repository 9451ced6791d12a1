# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: private keys in text, line by line, also where their first or last lines are missing.

A line may have something before the key's part of it (a log's time and name, a file's name and number, an indent): what
counts is its last word. Without BEGIN and END, three lines in a row of such words are taken for a key, unless they are
within or before the end of something that is public, such as a certificate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .names import is_redacted

_MARK = re.compile(r"-{4,5} ?(BEGIN|END) ([A-Za-z0-9 ]{1,48}?) ?-{4,5}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}|=[A-Za-z0-9+/]{4}")
_DIGITS = re.compile(r"\d+")
_FULL, _LONG, _FEWEST = 60, 32, 3
_HEADERS = ("Proc-Type:", "DEK-Info:", "Version:", "Comment:", "Hash:", "Charset:", "MessageID:")
Block = list[tuple[int, int]]


@dataclass
class _Reader:
    text: str
    blocks: list[Block] = field(default_factory=list)
    state: str = ""  # "private" and "public" within such a block
    block: Block = field(default_factory=list)
    shape: str = ""
    ending: bool = False
    full: int = _FULL  # of the lines within such a block but the last

    def line(self, start: int, end: int) -> None:
        line = self.text[start:end]
        marks = list(_MARK.finditer(line)) if "---" in line else []
        if marks:
            self._marked(line, start, marks)
        elif "Private-Lines:" in line:
            self.close()
            self.state = "private"
        else:
            self._plain(line, start)

    def _marked(self, line: str, start: int, marks: list[re.Match[str]]) -> None:
        first, last = marks[0], marks[-1]
        if first[1] == "END":
            if _is_private(first) or self.state == "private":
                self._add_before(line, start, first.start())
            else:
                self.block = []
            self.close(fewest=1)
        for mark, following in zip(marks, [*marks[1:], None]):
            if mark[1] == "BEGIN" and _is_private(mark):
                rest = line[mark.end() : following.start() if following else len(line)]
                rest = re.split(r"[\"']", rest, maxsplit=1)[0].rstrip()
                if len(rest) > 4 and not is_redacted(rest):
                    self.blocks.append([(start + mark.end(), start + mark.end() + len(rest))])
        if last[1] == "BEGIN":
            self.close()
            self.state = "private" if _is_private(last) else "public"
            self.shape = _shape(line[: last.start()])

    def _add_before(self, line: str, start: int, end: int) -> None:
        """What stands before the END in its own line, where the key's line breaks are escaped."""
        before = line[:end]
        key = before[len(before.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\")) :]
        if len(key) > 8:
            self.block.append((start + end - len(key), start + end))

    def _plain(self, line: str, start: int) -> None:
        stripped = line.rstrip(" \t\r\"',;")
        word = stripped[max(stripped.rfind(mark) for mark in " \t:\"'-") + 1 :]
        shape = _shape(stripped[: len(stripped) - len(word)])
        fits = bool(word) and _BASE64.fullmatch(word) is not None
        span = (start + len(stripped) - len(word), start + len(stripped))
        if self.state == "public":
            if not fits and stripped and not any(header in line for header in _HEADERS):
                self.close()
        elif self.state == "private":
            self._within(line, word, span, fits and (len(word) >= _LONG or shape == self.shape))
        elif fits and (len(word) >= _FULL or (len(self.block) >= 2 and shape == self.shape)):
            self._outside(word, span, shape)
        else:
            self.close()
            if fits and len(word) >= 8 and _mixed(word):
                # The rest of a line, perhaps, whose beginning was cut off.
                self.block, self.shape = [span], shape

    def _within(self, line: str, word: str, span: tuple[int, int], fits: bool) -> None:
        if fits and not (self.ending and not word.startswith("=")):
            if not self.block:
                self.full = min(_FULL, max(_LONG, len(word)))
            self.block.append(span)
            self.ending = len(word) < self.full
        elif line.strip() and (self.block or (word and not any(header in line for header in _HEADERS))):
            self.close(fewest=1)

    def _outside(self, word: str, span: tuple[int, int], shape: str) -> None:
        if len(word) >= _FULL and not _mixed(word):
            self.close()
            return
        if self.ending:
            self.close()
        if not self.block or len(word) >= _FULL:
            self.shape = shape
        self.block.append(span)
        self.ending = len(word) < _FULL

    def close(self, fewest: int = _FEWEST) -> None:
        if self.block and (self.state == "private" or len(self.block) >= fewest):
            self.blocks.append(self.block)
        self.state, self.block, self.shape, self.ending = "", [], "", False


def private_keys(text: str) -> list[Block]:
    """The keys in `text`, each a list of places (start, end), one for each of its lines."""
    reader = _Reader(text)
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        reader.line(start, end)
        start = end + 1
    reader.close()
    return reader.blocks


def _is_private(mark: re.Match[str]) -> bool:
    """Whether a mark is a private key's, or that of a key that both ends of an OpenVPN tunnel have."""
    return "PRIVATE" in mark[2] or "Static key" in mark[2]


def _shape(before: str) -> str:
    """What stands before a key's part of a line, without what differs from line to line."""
    return _DIGITS.sub("", before).strip("\"' \t")


def _mixed(word: str) -> bool:
    """Whether it has capitals, small letters and digits: hexadecimal digests and words do not."""
    return any("A" <= c <= "Z" for c in word) and any("a" <= c <= "z" for c in word) and any(c.isdigit() for c in word)
