# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions as C declares them, read from text. Private to the collection.

Not a parser of C: enough of it for the declarations of a kernel's headers, and what it does not understand is a type of
which nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from .type_source import BOOL, COMPOUND, ENUM, INTEGER, OTHER, POINTER, VOID, Argument, CType, Signature

_POINTER_BYTES = 8
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# What says how a function is linked or checked, not what it is.
_NO_TYPE = re.compile(
    r"\b(?:extern|static|inline|asmlinkage|__always_inline|__must_check|__init|__ref|__malloc|__sched|__cold|noinline"
    r"|fastcall|__visible|__pure|notrace|__no_kcsan)\b|__attribute__\s*\(\(.*?\)\)|\b__(?:alloc_size|printf|assume_aligned)"
    r"\s*\([^)]*\)"
)
_STATEMENT = re.compile(r"(?:return|else|case|goto|do|typedef|define)\b")
_QUALIFIERS = re.compile(r"\b(?:const|volatile|restrict|__user|__kernel|__iomem|__rcu|__percpu|__force|__bitwise)\b")
_HEAD = re.compile(r"(?P<returns>.*?[\s*])(?P<name>\w+)\s*\((?P<arguments>.*)\)$")
_BASIC = frozenset(("unsigned", "signed", "long", "short", "int", "char", "_Bool", "bool", "void"))
_TAGS = frozenset(("struct", "union", "enum"))


def find(text: str, function: str) -> list[str]:
    """The declarations of a function in a header, as text without what follows the closing bracket."""
    found = []
    text = _COMMENT.sub(" ", text)
    for match in re.finditer(rf"\b{re.escape(function)}\s*\(", text):
        end = _closing(text, match.end())
        before = re.split(r"[;{}]|(?m:^\s*#.*$)", text[max(0, match.start() - 300) : match.start()])[-1].strip()
        after = text[end : end + 80].lstrip() if end else ""
        # A declaration begins with a type; what ends otherwise is a call, or has a body.
        if not end or not re.fullmatch(r"[A-Za-z_][\w\s*(),]*", before) or _STATEMENT.match(before):
            continue
        if re.match(r"(?:;|__\w+|\w+\s*\(.*?\)\s*;)", after):
            found.append(_flat(f"{before} {text[match.start() : end]}"))
    return list(dict.fromkeys(found))


def definition(text: str, struct: str) -> str:
    """The definition of a struct in a header, with what belongs to it behind its members; empty where there is none."""
    match = re.search(rf"^struct {re.escape(struct)} \{{", text, re.MULTILINE)
    if match is None:
        return ""
    depth, at = 1, match.end()
    while depth and at < len(text):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    end = text.find(";", at)
    return f"{text[match.start() : end + 1]}\n" if not depth and end >= 0 else ""


def signature(declaration: str, scalars: Mapping[str, Any]) -> Optional[Signature]:
    """A function's declaration, such as `int tcp_connect(struct sock *sk)`; None for what is none.

    `scalars`: bytes and sign of the types that are no structs, by name.
    """
    head = re.match(
        r"(?P<returns>.*?[\s*])(?P<name>\w+)\s*\((?P<arguments>.*)\)$", _flat(_NO_TYPE.sub(" ", declaration))
    )
    if head is None or not head["returns"].strip():
        return None
    listed = [part.strip() for part in _split(head["arguments"])]
    variadic = bool(listed) and listed[-1] == "..."
    named = [] if listed in ([""], ["void"]) else listed[: len(listed) - variadic]
    arguments = tuple(_argument(part, scalars) for part in named)
    notes = (f"{head['name']} takes any number of arguments: only those with a name are shown.",) if variadic else ()
    # What is left of words with two underscores are attributes, but for types such as __be32.
    words = [word for word in head["returns"].split() if not word.startswith("__") or word in scalars]
    return Signature(head["name"], arguments, _type(" ".join(words), scalars), notes)


def _argument(text: str, scalars: Mapping[str, Any]) -> Argument:
    pointer = re.search(r"\(\s*\*\s*(\w*)\s*\)\s*\(", text)
    if pointer:
        return Argument(pointer[1], CType(POINTER, text, _POINTER_BYTES))
    bare, brackets = re.subn(r"\s*\[[^\]]*\]", "", text)
    kind, name = _apart(bare)
    return Argument(name, _type(f"{kind} *" if brackets else kind, scalars))


def _apart(text: str) -> tuple[str, str]:
    """A parameter's type and its name, which may be missing."""
    before, asterisk, name = text.rpartition("*")
    if asterisk:
        return f"{before}*", _QUALIFIERS.sub("", name).strip()
    words = text.split()
    types = [index for index, word in enumerate(words) if word in _BASIC or _QUALIFIERS.fullmatch(word)]
    plain = [word for word in words if not _QUALIFIERS.fullmatch(word)]
    if plain and plain[0] in _TAGS:
        needed = words.index(plain[0]) + 2
    elif any(word in _BASIC for word in words):
        needed = max(types) + 1
    else:
        needed = words.index(plain[0]) + 1 if plain else len(words)
    return " ".join(words[:needed]), " ".join(words[needed:])


def _type(text: str, scalars: Mapping[str, Any]) -> CType:
    spelled = _flat(re.sub(r"\s*\*\s*", " *", text).replace("* *", "**")).strip()
    if spelled.endswith("*"):
        pointee = spelled[:-1].strip()
        plain = re.sub(r"\s*\b__(?:user|iomem|rcu|percpu|kernel|force)\b", "", spelled)
        return CType(
            POINTER,
            _flat(re.sub(r"\s+\*", " *", plain)),
            _POINTER_BYTES,
            pointee=_type(pointee, scalars) if pointee else None,
            is_user="__user" in pointee,
        )
    plain = _flat(_QUALIFIERS.sub(" ", spelled))
    keyword, _space, tag = plain.partition(" ")
    if keyword in ("struct", "union"):
        return CType(COMPOUND, spelled, 0, tag=tag)
    if keyword == "enum":
        return CType(ENUM, spelled, 4, tag=tag)
    if plain == "void":
        return CType(VOID, "void", 0)
    if plain in ("bool", "_Bool"):
        return CType(BOOL, plain, 1, typedefs=(plain,))
    if isinstance(scalars.get(plain), str):  # a name for a pointer
        named = _type(scalars[plain], scalars)
        return CType(named.kind, spelled, named.size, typedefs=(plain,), pointee=named.pointee)
    if plain in scalars:
        size, signed = scalars[plain]
        typedefs = () if set(plain.split()) & _BASIC else (plain,)
        return CType(INTEGER, spelled, int(size), signed=bool(signed), is_char=plain == "char", typedefs=typedefs)
    return CType(OTHER, spelled, 0, typedefs=(plain,))


def _split(text: str) -> list[str]:
    """The parts between the commas that are in no brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _closing(text: str, start: int) -> int:
    """Behind the bracket that closes what was opened before `start`; 0 where nothing does."""
    depth = 1
    for index in range(start, min(len(text), start + 2000)):
        depth += (text[index] == "(") - (text[index] == ")")
        if not depth:
            return index + 1
    return 0


def _flat(text: str) -> str:
    return " ".join(text.split())
