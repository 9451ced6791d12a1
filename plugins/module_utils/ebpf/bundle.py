# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of `bpf/`, wherever they come from. Private to the collection.

Ansible ships only Python to a host, so the action plugins pack the folder into one string that travels as a module
argument; on the host it is unpacked in memory and never touches the disk.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import HostError

if TYPE_CHECKING:
    from pathlib import Path

_INCLUDE = re.compile(r'^#include "([\w.]+)"$', re.MULTILINE)
_MAX_BYTES = 4 << 20


class Bundle(NamedTuple):
    """Program texts and type data: relative path → text."""

    files: dict[str, str]

    @classmethod
    def from_directory(cls, directory: Path) -> Bundle:
        """Reads a `bpf/` folder. Raises HostError where it is not one."""
        paths = [path for path in sorted(directory.rglob("*")) if path.suffix in (".c", ".h", ".json")]
        if not paths:
            raise HostError(f"No eBPF programs were found in {directory}; install the collection anew.")
        return cls({str(path.relative_to(directory)): path.read_text(encoding="utf-8") for path in paths})

    @classmethod
    def unpack(cls, packed: str) -> Bundle:
        """The inverse of `pack`. Raises HostError for anything else."""
        try:
            inflater = zlib.decompressobj()
            text = inflater.decompress(binascii.a2b_base64(packed), _MAX_BYTES)
            files = json.loads(text)
        except (ValueError, zlib.error) as error:
            raise HostError(
                f"The eBPF programs did not arrive whole ({error}). They are sent by this collection's action plugin:"
                " call the module by its full name, nannyapi.diagnostics.<module>, and not through another one."
            ) from error
        if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
            raise HostError("The eBPF programs did not arrive whole; call the module by its full name.")
        return cls(files)

    def pack(self) -> str:
        """One line of ASCII, some kilobytes."""
        return binascii.b2a_base64(zlib.compress(json.dumps(self.files).encode()), newline=False).decode("ascii")

    def program(self, name: str) -> str:
        """The text of a program, its own includes resolved. Raises HostError."""
        return _INCLUDE.sub(lambda match: self.program(match.group(1)), self._text(name))

    def data(self, name: str) -> Any:
        """A JSON file of `types/`. Raises HostError."""
        return json.loads(self._text(f"types/{name}"))

    def _text(self, name: str) -> str:
        try:
            return self.files[name]
        except KeyError:
            raise HostError(f"The collection's file bpf/{name} is missing; install the collection anew.") from None
