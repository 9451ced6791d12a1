# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: reading arguments by a rule, the way the program itself would.

Getopt's ways are all there: joined short options, values attached or in the next word, `--name=value`, `--`, options
after operands. Abbreviated long options are refused with their whole name: what is run is what is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .errors import Refused
from .rules.schema import Rule


@dataclass
class Arguments:
    """Options as (name, value or None), in order, and the operands."""

    options: list[tuple[str, str | None]] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)

    def has(self, names: str) -> bool:
        """Whether one of the options, written as in a rule (`"-n --lines"`), is there."""
        wanted = names.split()
        return any(name in wanted for name, _ignored in self.options)


class OptionReader:
    """Reads one program's arguments; `kinds` tells the kind of each option's value."""

    def __init__(self, program: str, rule: Rule) -> None:
        self.program = program
        self.rule = rule
        self.flags = set(rule.get("flags", "").split())
        self.values = _one_by_one(rule.get("values", {}))
        self.optional = _one_by_one(rule.get("optional", {}))
        self.refused = _one_by_one(rule.get("refused", {}))
        self.matching = [re.compile(expression) for expression in rule.get("matching", [])]
        self.style = rule.get("style", "getopt")

    def read(self, words: list[str]) -> Arguments:
        """The arguments, split; raises `Refused` at the first option that the rule does not accept."""
        found = Arguments()
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if self.style == "plain":
                found.operands.append(word)
            elif any(expression.fullmatch(word) for expression in self.matching):
                found.options.append((word, None))
            elif word == "--" and self.style != "words":
                found.operands.extend(rest)
                break
            elif word in self.refused:
                self._refuse(word)
            elif len(word) > 1 and word.startswith("-"):
                self._option(word, rest, found)
            elif self.style == "ps" and re.fullmatch(r"[A-Za-z]+", word):
                self._bsd_letters(word, rest, found)
            else:
                found.operands.append(word)
                if self.rule.get("options_first"):
                    found.operands.extend(rest)
                    break
        return found

    def _option(self, word: str, rest: list[str], found: Arguments) -> None:
        if self.style == "words":
            self._whole_word(word, rest, found)
        elif word.startswith("--"):
            self._long(word, rest, found)
        else:
            self._short(word, rest, found)

    def _whole_word(self, word: str, rest: list[str], found: Arguments) -> None:
        name, equals, value = word.partition("=")
        if word in self.flags:
            found.options.append((word, None))
        elif name in self.values:
            found.options.append((name, value if equals else self._next(name, rest)))
        else:
            self._refuse(name)

    def _long(self, word: str, rest: list[str], found: Arguments) -> None:
        name, equals, value = word.partition("=")
        if name in self.flags and not equals:
            found.options.append((name, None))
        elif name in self.values:
            found.options.append((name, value if equals else self._next(name, rest)))
        elif name in self.optional:
            found.options.append((name, value if equals else None))
        elif name in self.flags:
            raise Refused(f"`{self.program} {name}` takes no value here.")
        else:
            self._refuse(name)

    def _short(self, word: str, rest: list[str], found: Arguments) -> None:
        letters = word[1:]
        while letters:
            name, letters = "-" + letters[0], letters[1:]
            if name in self.flags:
                found.options.append((name, None))
            elif name in self.values:
                found.options.append((name, letters or self._next(name, rest)))
                return
            elif name in self.optional:
                found.options.append((name, letters or None))
                return
            else:
                self._refuse(name)

    def _bsd_letters(self, word: str, rest: list[str], found: Arguments) -> None:
        for position, letter in enumerate(word):
            kinds = self.rule.get("bsd_values", {})
            if letter in kinds:
                found.options.append((letter, word[position + 1 :] or self._next(letter, rest)))
                return
            if letter not in self.rule.get("bsd_flags", ""):
                self._refuse(letter)
            found.options.append((letter, None))

    def kind(self, name: str) -> str | None:
        """The kind of the option's value; None where it takes none."""
        return self.values.get(name) or self.optional.get(name) or self.rule.get("bsd_values", {}).get(name)

    def _next(self, name: str, rest: list[str]) -> str:
        if not rest:
            raise Refused(f"`{self.program} {name}` wants a value.")
        return rest.pop(0)

    def _refuse(self, name: str) -> None:
        if name in self.refused:
            raise Refused(f"`{self.program} {name}` is not accepted: {self.refused[name]}.")
        if name.startswith("--"):
            whole = [known for known in sorted(self._long_names()) if known.startswith(name)]
            for known in whole:
                if known in self.refused:
                    raise Refused(f"`{self.program} {known}` is not accepted: {self.refused[known]}.")
            if whole:
                raise Refused(f"`{name}` is an abbreviation; write the option out, as `{whole[0]}`.")
        raise Refused(f"`{self.program}` is not accepted with `{name}`; {self._accepted()}.")

    def _long_names(self) -> set[str]:
        return {name for name in (*self.flags, *self.values, *self.optional, *self.refused) if name.startswith("--")}

    def _accepted(self) -> str:
        names = [name for name in (*sorted(self.flags), *self.values, *self.optional) if not name.startswith("--")]
        if not names:
            return "it takes no options here"
        return "accepted are " + " ".join(names)


def _one_by_one(options: dict[str, str]) -> dict[str, str]:
    """`{"-n --lines": kind}` as `{"-n": kind, "--lines": kind}`."""
    return {name: value for names, value in options.items() for name in names.split()}
