# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what was redacted in an earlier run of a diagnosis, remembered without the secrets.

A secret is known by a keyed hash: with the key a guess can be tried, and nothing can be read back. To find one in the
middle of a text, 12 bits of a hash of its first three characters say where it may begin.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import Any

_KEY_BYTES = 32
_DIGEST_BYTES = 16
_PROBE = 3
_PROBE_BITS = 0xFFF
_MOST_MEMOIZED = 50_000


class UnreadableMemory(ValueError):
    """Something that no memory gave; the message is a sentence for the operator."""


class Memory:
    """Secrets of one diagnosis by their hashes. Placeholders are what `Redactor` shows in their places."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._placeholders: dict[str, str] = {}
        self._looked_for: dict[str, tuple[int, int]] = {}
        self._lengths: dict[int, set[int]] = {}
        self._probes: dict[str, tuple[int, ...]] = {}

    @property
    def shown(self) -> list[str]:
        """All placeholders."""
        return list(self._placeholders.values())

    @property
    def looking_for(self) -> int:
        """How many secrets are looked for wherever they stand."""
        return len(self._looked_for)

    def placeholder(self, secret: str) -> str | None:
        """What was shown for this secret; None for one that is not remembered."""
        return self._placeholders.get(self._digest(secret)) if self._placeholders else None

    def remember(self, secret: str, placeholder: str, looked_for: bool) -> None:
        """Takes a secret. `looked_for`: it is to be found wherever it stands."""
        digest = self._digest(secret)
        self._placeholders[digest] = placeholder
        if looked_for:
            self._look_for(digest, len(secret), self._code(secret[:_PROBE]))

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where in `text` secrets stand that are looked for."""
        if not self._lengths:
            return
        for at in range(len(text) - _PROBE + 1):
            for length in self._begins(text[at : at + _PROBE]):
                if at + length <= len(text) and self._digest(text[at : at + length]) in self._looked_for:
                    yield at, at + length

    def copy(self) -> Memory:
        """Another that holds the same and can learn more."""
        return Memory.from_json(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """All of it, the key too: for a file that root alone reads."""
        return {
            "key": self._key.hex(),
            "placeholders": self._placeholders,
            "looked_for": {digest: list(where) for digest, where in self._looked_for.items()},
        }

    @classmethod
    def from_json(cls, saved: Any) -> Memory:
        """The memory that `as_json` gave. Raises UnreadableMemory."""
        memory = cls()
        try:
            memory._key = bytes.fromhex(saved["key"])
            memory._placeholders = {str(digest): _placeholder(shown) for digest, shown in saved["placeholders"].items()}
            for digest, (length, code) in saved["looked_for"].items():
                memory._look_for(str(digest), int(length), int(code))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UnreadableMemory("What was redacted before cannot be read.") from None
        if len(memory._key) != _KEY_BYTES:
            raise UnreadableMemory("What was redacted before cannot be read.")
        return memory

    def _look_for(self, digest: str, length: int, code: int) -> None:
        self._looked_for[digest] = (length, code)
        self._lengths.setdefault(code, set()).add(length)
        self._probes.clear()

    def _begins(self, beginning: str) -> tuple[int, ...]:
        """How long the secrets are that may begin so."""
        known = self._probes.get(beginning)
        if known is None:
            if len(self._probes) >= _MOST_MEMOIZED:
                self._probes.clear()
            known = self._probes[beginning] = tuple(self._lengths.get(self._code(beginning), ()))
        return known

    def _digest(self, secret: str) -> str:
        data = secret.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._key, digest_size=_DIGEST_BYTES).hexdigest()

    def _code(self, beginning: str) -> int:
        data = beginning.encode("utf-8", "surrogatepass")
        hashed = hashlib.blake2b(data, key=self._key, digest_size=2, person=b"beginning").digest()
        return int.from_bytes(hashed, "big") & _PROBE_BITS


def _placeholder(shown: Any) -> str:
    if not isinstance(shown, str) or not shown.startswith("[redacted:"):
        raise ValueError(shown)
    return shown
