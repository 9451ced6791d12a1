# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: matching operands against the forms of a rule."""

from __future__ import annotations

from typing import Callable

from .errors import Refused
from .kinds import check


class FormMatcher:
    """Matches operands against forms such as `"show|list @word..."` (see `rules/schema.py`)."""

    def __init__(self, judge_path: Callable[[str], None], series: dict[str, list[str]] | None = None) -> None:
        self.judge_path = judge_path
        self.series = series or {}
        self.why: Refused | None = None

    def match(self, forms: list[str], operands: list[str]) -> bool:
        """Whether one of the forms fits. `why` then holds the best reason, where a value was of the wrong kind."""
        return any(self._fits(form.split(), operands) for form in forms)

    def _fits(self, form: list[str], operands: list[str]) -> bool:
        if not form:
            return not operands
        token, following = form[0], form[1:]
        if token.startswith("*"):
            return self._is_series([one.split() for one in self.series[token[1:]]], operands)
        if token.endswith("...") and not following:
            # A pattern may have become thousands of names: no recursion for each of them.
            return all(self._is(token[:-3], operand) for operand in operands)
        if token.endswith("..."):
            if self._fits(following, operands):
                return True
            return bool(operands) and self._is(token[:-3], operands[0]) and self._fits(form, operands[1:])
        if token.endswith("?") and self._fits(following, operands):
            return True
        return bool(operands) and self._is(token.rstrip("?"), operands[0]) and self._fits(following, operands[1:])

    def _is_series(self, ones: list[list[str]], operands: list[str]) -> bool:
        """Whether the operands are some of these, one after the other; the first that fits is taken."""
        at = 0
        while at < len(operands):
            # What a keyword begins is nothing else.
            keyed = [one for one in ones if not one[0].startswith("@") and self._is(one[0], operands[at])]
            tried = keyed or [one for one in ones if one[0].startswith("@")]
            fitting = (one for one in tried if self._fits(one, operands[at : at + len(one)]))
            taken = len(next(fitting, []))
            if not taken:
                return False
            at += taken
        return True

    def _is(self, token: str, operand: str) -> bool:
        if not token.startswith("@"):
            return operand in token.split("|")
        try:
            check(token[1:], operand, self.judge_path)
        except Refused as error:
            self.why = error
            return False
        return True
