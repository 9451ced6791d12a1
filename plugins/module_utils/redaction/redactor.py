# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: redacts what leaves a host. One Redactor serves one diagnosis.

The same secret gets the same placeholder throughout, such as `[redacted:jwt:1]`. What was once known for a secret by
what stands around it is one wherever it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Optional

from .arguments import joined, with_blanks
from .formats import AN_ADDRESS, NOT_SECRET, PGPASS, SHAPES
from .identities import Identities
from .memory import Memory
from .names import is_redacted, is_secret, named_secrets
from .private_keys import private_keys

# start, end, kind, and what the secret is where it is more than that place (a key of several lines)
Span = tuple[int, int, str, Optional[str]]

_MOST_REMEMBERED = 20_000
_MOST_LOOKED_FOR = 300
_LONGEST_LOOKED_FOR = 4096
_SHORTEST_LOOKED_FOR = 8
_RESTORABLE = frozenset(("address", "host", "user"))
# What a model named, or the collection: no text of the host's, at the top of a result. Further down it can be anything.
_KEPT = frozenset(("id", "program_name", "type", "target"))


class Redactor:
    """`also`: what else to redact, of identities.CHOICES.

    `memory` and `known` are what `remembered` and `identities` gave before: for what was redacted in an earlier run of
    the same diagnosis, the same placeholders are used.
    """

    def __init__(
        self, also: Collection[str] = (), memory: Optional[Memory] = None, known: Optional[Mapping[str, str]] = None
    ) -> None:
        self._identities = Identities(also) if also else None
        self._memory = memory or Memory()
        self._kept = self._memory.copy()
        self._placeholders: dict[str, str] = {value: shown for shown, value in (known or {}).items()}
        self._noted = set(self._placeholders)
        self._counts: dict[str, int] = {}
        for shown in [*self._placeholders.values(), *self._memory.shown]:
            self._counts[_kind(shown)] = max(self._counts.get(_kind(shown), 0), _number(shown))
        self._looked_for: dict[str, str] = {}
        self._lock = threading.RLock()

    def remembered(self) -> Memory:
        """What is needed to redact the same in a later run, without the secrets themselves."""
        with self._lock:
            for secret, shown in self._placeholders.items():
                if secret not in self._noted and _kind(shown) not in _RESTORABLE:
                    self._kept.remember(secret, shown, secret in self._looked_for)
            self._noted.update(self._placeholders)
            return self._kept

    @property
    def counts(self) -> dict[str, int]:
        """How many different ones of each kind were redacted."""
        return dict(self._counts)

    @property
    def identities(self) -> dict[str, str]:
        """Placeholder to what it stands for, of addresses, hosts and users. Secrets are in no map."""
        return {shown: value for value, shown in self._placeholders.items() if _kind(shown) in _RESTORABLE}

    def restored(self, text: str) -> str:
        """`text` with the addresses, hosts and users that its placeholders stand for, so that a model can name them."""
        if "[redacted:" not in text:
            return text
        for shown, value in self.identities.items():
            text = text.replace(shown, value)
        return text

    def text(self, text: str) -> str:
        """One text, redacted."""
        redacted = self.value(text)
        return redacted if isinstance(redacted, str) else text

    def value(self, value: Any) -> Any:
        """JSON data of any shape with every string in it redacted, keys of objects too; numbers and structure stay.

        What a result says of itself, under a key of _KEPT, stays too: results are `value`, or stand in lists in it.
        """
        with self._lock:
            found: dict[str, list[Span]] = {}
            self._walk(value, found, True)
            return self._shown(value, found, True)

    def _walk(self, value: Any, found: dict[str, list[Span]], top: bool = False) -> None:
        """Looks for secrets everywhere first, so that one that is known in one place is known in all."""
        if isinstance(value, str):
            if value not in found:
                found[value] = self._spans(value)
        elif isinstance(value, dict):
            for key, part in value.items():
                self._walk(str(key), found)
                if top and key in _KEPT:
                    continue
                if _named(key, part):
                    self._placeholder(part, "named")
                else:
                    self._walk(part, found)
        elif isinstance(value, (list, tuple)):
            if _arguments(value):
                line = "\t".join(value)
                if line not in found:
                    found[line] = self._spans(line)
            for part in value:
                self._walk(part, found, top)

    def _shown(self, value: Any, found: dict[str, list[Span]], top: bool = False) -> Any:
        if isinstance(value, str):
            return self._replaced(value, found.get(value, []))
        if isinstance(value, dict):
            shown: dict[Any, Any] = {}
            for key, part in value.items():
                name = self._shown(key, found) if isinstance(key, str) else key
                while name in shown:
                    name = f"{name} "
                if top and key in _KEPT:
                    shown[name] = part
                else:
                    shown[name] = self._placeholder(part, "named") if _named(key, part) else self._shown(part, found)
            return shown
        if isinstance(value, (list, tuple)):
            return self._list(value, found, top)
        return value

    def _list(self, parts: Any, found: dict[str, list[Span]], top: bool) -> list[Any]:
        """A list; arguments of a command are looked at together, for one may say that the next is secret."""
        if not _arguments(parts):
            return [self._shown(part, found, top) for part in parts]
        spans = found.get("\t".join(parts), [])
        shown, offset = [], 0
        for part in parts:
            end = offset + len(part)
            inside = [
                (max(start, offset) - offset, min(stop, end) - offset, kind, secret)
                for start, stop, kind, secret in spans
                if start < end and stop > offset
            ]
            shown.append(self._replaced(part, inside + found.get(part, [])))
            offset = end + 1
        return shown

    def _spans(self, text: str) -> list[Span]:
        if len(text) < 4:
            return []
        spans = list(_secrets(text))
        for start, end, kind, secret in spans:
            self._placeholder(secret or text[start:end], kind)
        if self._identities:
            spans += [(*place, None) for place in self._identities.find(text)]
        return spans

    def _replaced(self, text: str, spans: list[Span]) -> str:
        everywhere = list(spans)
        for secret in self._looked_for:
            at = text.find(secret) if len(secret) <= len(text) else -1
            while at >= 0:
                everywhere.append((at, at + len(secret), "secret", None))
                at = text.find(secret, at + len(secret))
        everywhere += [(start, end, "secret", None) for start, end in self._memory.places(text)]
        if not everywhere:
            return text
        parts, done = [], 0
        for start, end, kind, whole in _merged(everywhere):
            parts += [text[done:start], self._placeholder(whole or text[start:end], kind)]
            done = end
        return "".join([*parts, text[done:]])

    def _placeholder(self, secret: str, kind: str) -> str:
        known = self._placeholders.get(secret) or self._memory.placeholder(secret)
        if known:
            return self._placeholders.setdefault(secret, known)
        if len(self._placeholders) >= _MOST_REMEMBERED:
            return f"[redacted:{kind}:other]"
        self._counts[kind] = self._counts.get(kind, 0) + 1
        shown = self._placeholders[secret] = f"[redacted:{kind}:{self._counts[kind]}]"
        if kind not in _RESTORABLE and self._may_look_for(secret):
            self._looked_for[secret] = shown
        return shown

    def _may_look_for(self, secret: str) -> bool:
        return len(self._looked_for) + self._memory.looking_for < _MOST_LOOKED_FOR and _telling(secret)


def _secrets(text: str) -> Iterator[Span]:
    """What in `text` is secret by what it looks like, by its name, or by where it stands."""
    blank = with_blanks(text)
    for block in private_keys(blank):
        whole = "".join(text[start:end] for start, end in block)
        for start, end in block:
            yield start, end, "private_key", whole
    yield from _told(blank)
    arguments = joined(blank)
    if arguments:
        for start, end, kind, secret in _told(arguments.text):
            start, end = arguments.place(start, end)
            if not is_redacted(text[start:end]):
                yield start, end, kind, secret


def _told(text: str) -> Iterator[Span]:
    """What tells of itself in one line or what follows it, where blanks stand between words."""
    lower = text.lower()
    for kind, hints, expression in SHAPES:
        if any(hint in lower for hint in hints):
            for match in expression.finditer(text):
                start, end = match.span(match.lastindex or 0)
                end -= len(text[start:end]) - len(text[start:end].rstrip("\"',;)")) if kind == "option" else 0
                start += 1 if text[start : start + 1] in ("'", '"') else 0
                if start < end and not is_redacted(text[start:end]) and text[start:end].lower() not in NOT_SECRET:
                    yield start, end, kind, None
    for start, end in named_secrets(text):
        yield start, end, "password", None
    if text.count(":") >= 4:
        for match in PGPASS.finditer(text):
            if not is_redacted(match[3]) and not AN_ADDRESS.fullmatch(match[0]):
                yield match.start(3), match.end(3), "password", None


def _merged(spans: list[Span]) -> list[Span]:
    """Spans in order, those that overlap as one."""
    merged: list[Span] = []
    for start, end, kind, secret in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and start < merged[-1][1]:
            before = merged[-1]
            if end > before[1]:
                merged[-1] = (before[0], end, before[2], before[3])
        elif start < end:
            merged.append((start, end, kind, secret))
    return merged


def _named(key: Any, value: Any) -> bool:
    return (
        isinstance(key, str)
        and isinstance(value, str)
        and bool(value)
        and not is_redacted(value)
        and is_secret(key, value)
    )


def _arguments(parts: Any) -> bool:
    """Whether a list may be a command's arguments, one of which may say that the next is secret."""
    return 1 < len(parts) <= 256 and all(isinstance(part, str) for part in parts) and len(parts[0].split()) == 1


def _telling(secret: str) -> bool:
    """Whether it cannot stand in other text by chance."""
    return (
        _SHORTEST_LOOKED_FOR <= len(secret) <= _LONGEST_LOOKED_FOR
        and any(character.isdigit() for character in secret)
        and any(character.isalpha() for character in secret)
    )


def _kind(placeholder: str) -> str:
    return placeholder.split(":")[1]


def _number(placeholder: str) -> int:
    number = placeholder.rpartition(":")[2].rstrip("]")
    return int(number) if number.isdecimal() else 0
