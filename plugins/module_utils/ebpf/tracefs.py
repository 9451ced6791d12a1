# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracepoints as the kernel describes them under tracefs. Private to the collection.

Format of the `format` files: Documentation/trace/events.rst.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple, Optional

from .errors import HostError

_MOUNTS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
_FIELD = re.compile(
    r"^\s*field:(?P<declaration>[^;]+);\s*offset:(?P<offset>\d{1,5});\s*size:(?P<size>\d{1,5});\s*signed:(?P<signed>[01]);",
    re.MULTILINE,
)
_DECLARATION = re.compile(r"^(?P<type>.*?)\s*\b(?P<name>\w+)\s*(?P<array>\[[^\]]*\])?$")
_TEXT = re.compile(r"(?:__(?:data|rel)_loc )?(?:const )?char ?\[[^\]]*\]")


class Field(NamedTuple):
    """A field of a tracepoint's record; offset and size in bytes."""

    name: str
    type: str  # the C type, with `[n]` where it is an array
    offset: int
    size: int
    signed: bool

    @property
    def is_location(self) -> bool:
        """The field says where in the record the real data is."""
        return self.type.startswith(("__data_loc", "__rel_loc"))

    @property
    def is_relative(self) -> bool:
        """As `is_location`, the offset counted from the field's own end."""
        return self.type.startswith("__rel_loc")

    @property
    def is_array(self) -> bool:
        """The field is an array inside the record."""
        return self.type.endswith("]") and not self.is_location

    @property
    def is_text(self) -> bool:
        """The field is a string, in the record or where the field says."""
        return _TEXT.fullmatch(self.type) is not None


class Format(NamedTuple):
    """What the kernel says of a tracepoint."""

    category: str
    event: str
    identifier: int
    fields: tuple[Field, ...]  # without the common ones
    print_format: str = ""  # how the kernel itself would print a record, as C source

    @property
    def record_size(self) -> int:
        """Bytes of the record's fixed part."""
        return max((field.offset + field.size for field in self.fields), default=8)


def mount_point() -> Optional[str]:
    """Where tracefs is mounted, or None."""
    for path in _MOUNTS:
        try:
            if stat.S_ISDIR(os.stat(f"{path}/events").st_mode):
                return path
        except OSError:
            continue  # not ours to read: capability says why
    return None


def tracefs() -> str:
    """Where tracefs is mounted. Raises HostError with what to do."""
    path = mount_point()
    if path is None:
        raise HostError(
            "No tracefs is readable at /sys/kernel/tracing: mount it (mount -t tracefs tracefs /sys/kernel/tracing, or"
            " the playbook nannyapi.diagnostics.setup) and run as root (become: true)."
        )
    return path


def events() -> list[str]:
    """All tracepoints of the running kernel as `category/event`, sorted. Raises HostError."""
    path = f"{tracefs()}/available_events"
    try:
        listed = _text(path).split()
    except OSError as error:
        raise HostError(f"The list of tracepoints at {path} could not be read: {error.strerror}.") from error
    return sorted(name.replace(":", "/", 1) for name in listed)


def _text(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def read_format(category: str, event: str) -> Optional[Format]:
    """The format of a tracepoint, or None where the kernel has none of that name. Raises HostError."""
    try:
        text = _text(f"{tracefs()}/events/{category}/{event}/format")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"Could not read the format of the tracepoint {category}/{event}: {error.strerror}.") from error
    return parse_format(category, event, text)


def parse_format(category: str, event: str, text: str) -> Format:
    """Parses the text of a `format` file."""
    identifier = re.search(r"^ID:\s*(\d{1,9})\b", text, re.MULTILINE)
    fields = []
    for match in _FIELD.finditer(text):
        parsed = _DECLARATION.match(match["declaration"].strip())
        if parsed is None or parsed["name"].startswith("common_"):
            continue
        kind = parsed["type"].strip() + (parsed["array"] or "")
        fields.append(Field(parsed["name"], kind, int(match["offset"]), int(match["size"]), match["signed"] == "1"))
    printed = text.partition("print fmt:")[2]
    return Format(category, event, int(identifier[1]) if identifier else 0, tuple(fields), printed)
