# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tracepoint's event is about, by which its events are counted in the kernel. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Optional

from . import layout
from .record_fields import RecordFields
from .tracefs import Field

if TYPE_CHECKING:
    from .records import Records


class RecordKey(NamedTuple):
    """The bytes of a record that tell what the event is about: fields within a window of it, and one string."""

    names: tuple[str, ...]  # what is shown of it
    fields: tuple[Field, ...]
    text: Optional[Field]

    @property
    def start(self) -> int:
        """Where the window begins in the record."""
        return min((field.offset for field in self.fields), default=0)

    @property
    def length(self) -> int:
        """Bytes of the window."""
        return max((field.offset + field.size for field in self.fields), default=0) - self.start

    @property
    def _text_at(self) -> int:
        return layout.WINDOW_BYTES if self.fields else 0

    @property
    def _text_bytes(self) -> int:
        room = layout.TRACEPOINT_KEY_BYTES - self._text_at
        return room if self.text is None or self.text.is_location else min(room, self.text.size)

    def plan(self) -> layout.KeyPlan:
        """The same for the kernel."""
        plan = layout.KeyPlan(start=self.start, length=self.length, text_at=self._text_at)
        for field in self.fields:
            at = field.offset - self.start
            plan.mask[at : at + field.size] = [0xFF] * field.size
        if self.text is not None:
            plan.text, plan.text_bytes = self.text.offset, self._text_bytes
            plan.located, plan.relative = int(self.text.is_location), int(self.text.is_relative)
        return plan

    def record(self, key: bytes) -> bytes:
        """A record that has only what was counted."""
        raw = bytearray(max(self.start + self.length, *(field.offset + field.size for field in self._all())))
        raw[self.start : self.start + self.length] = key[: self.length]
        if self.text is not None and not self.text.is_location:
            text = key[self._text_at : self._text_at + self._text_bytes]
            raw[self.text.offset : self.text.offset + len(text)] = text
        return bytes(raw)

    def _all(self) -> Iterator[Field]:
        yield from self.fields
        if self.text is not None:
            yield self.text

    def show(self, key: bytes, records: Records, code: Mapping[int, str]) -> str:
        """What was counted, in a few words: numbers with their names."""
        from . import decode  # of which a plan needs nothing

        located = {}
        if self.text is not None and self.text.is_location:
            located[self.text.name] = decode.string(key[self._text_at :], self._text_bytes)
        data = records.data(self.record(key), located, code)
        words = []
        for name in self.names:
            value = data.get(name)
            if value is None:  # a device without a name has a number, and an endpoint an address
                value = next((data[field.name] for field in records.fields_of(name) if field.name in data), "")
            words.append(f"{name} {value}" if isinstance(value, int) else str(value))
        return " ".join(word for word in words if word) or "(none)"


def find_key(records: RecordFields) -> Optional[RecordKey]:
    """The key of a tracepoint's events, or None where nothing is known that tells them apart."""
    for names in records.keys:
        key = RecordKey((), (), None)
        for name in names:
            key = _with(key, name, records.fields_of(name)) or key
        if key.names:
            return key
    return None


def _with(key: RecordKey, name: str, fields: list[Field]) -> Optional[RecordKey]:
    """The key with more in it, or None where that does not fit."""
    texts = [field for field in fields if field.is_text]
    others = [field for field in fields if not field.is_text]
    if not fields or len(texts) > (1 if key.text is None else 0) or any(field.is_location for field in others):
        return None
    wider = RecordKey((*key.names, name), (*key.fields, *others), texts[0] if texts else key.text)
    return wider if wider.length <= layout.WINDOW_BYTES else None
