# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel types as C spells them. Private to the collection."""

from __future__ import annotations

from . import btf_records as kinds
from .btf_records import Records, Type

MAX_DEPTH = 32  # of types that refer to types; real ones stay below ten
_QUALIFIERS = {kinds.CONST: "const", kinds.VOLATILE: "volatile", kinds.RESTRICT: "restrict"}
_KEYWORDS = {kinds.STRUCT: "struct", kinds.UNION: "union", kinds.ENUM: "enum", kinds.ENUM64: "enum"}


def describe(records: Records, type_id: int) -> str:
    """A type such as `struct sock *`, `const char *`, `char[16]`, `int (*)(struct sock *)`. Raises HostError.

    Only the outermost prototype shows its parameters.
    """
    return _declare(records, type_id, "", 0, outermost=True)


def _declare(records: Records, type_id: int, inner: str, depth: int, outermost: bool) -> str:
    """The declaration of `inner` with a type: C declares from the inside out."""
    if depth > MAX_DEPTH:
        raise records.damaged(f"type {type_id} is made of itself")
    kind = records.decode(type_id)
    depth += 1
    if kind.kind == kinds.PTR:
        return _declare(records, kind.target, "*" + inner, depth, outermost)
    if kind.kind in _QUALIFIERS:
        word = _QUALIFIERS[kind.kind]
        if _is_pointer(records, kind):
            return _declare(records, kind.target, _join(word, inner), depth, outermost)
        return f"{word} {_declare(records, kind.target, inner, depth, outermost)}"
    if kind.kind == kinds.TYPE_TAG:
        pointee = records.decode(kind.target).kind not in (kinds.ARRAY, kinds.FUNC_PROTO)
        tagged = f"__{kind.name} {inner}" if inner.startswith("*") and pointee and not kind.flag else inner
        return _declare(records, kind.target, tagged, depth, outermost)
    if kind.kind == kinds.ARRAY:
        return _declare(records, kind.target, f"{_grouped(inner)}[{kind.count}]", depth, outermost)
    if kind.kind == kinds.FUNC_PROTO:
        listed = _parameters(records, type_id, depth) if outermost else "…"
        return _declare(records, kind.target, f"{_grouped(inner)}({listed})", depth, outermost=False)
    if kind.kind in (kinds.FUNC, kinds.VAR):
        return _declare(records, kind.target, kind.name, depth, outermost)
    if kind.kind == kinds.DECL_TAG:
        return _declare(records, kind.target, inner, depth, outermost)
    return _join(_base(kind), inner)


def _parameters(records: Records, type_id: int, depth: int) -> str:
    listed = [
        "..." if name == target == 0 else _declare(records, target, records.name(name), depth, outermost=False)
        for name, target in records.elements(type_id)
    ]
    return ", ".join(listed) or "void"


def _is_pointer(records: Records, qualifier: Type) -> bool:
    """What is qualified is a pointer, so that the word stands behind its asterisk."""
    kind = qualifier
    for _depth in range(MAX_DEPTH):
        kind = records.decode(kind.target)
        if kind.kind not in _QUALIFIERS:
            return kind.kind == kinds.PTR
    raise records.damaged(f"type {qualifier.type_id} is made of itself")


def _base(kind: Type) -> str:
    if kind.kind in _KEYWORDS:
        return f"{_KEYWORDS[kind.kind]} {kind.name or '{…}'}"
    if kind.kind == kinds.FWD:
        return f"{'union' if kind.flag else 'struct'} {kind.name}"
    return kind.name or f"(a type of kind {kind.kind})"


def _grouped(inner: str) -> str:
    return f"({inner})" if inner.startswith("*") else inner


def _join(word: str, inner: str) -> str:
    return word + inner if inner.startswith("[") or not inner else f"{word} {inner}"
