# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: numbers as people write them, with their units.

A quantity is kept in a base unit (seconds, bytes, events a second, percent) together with how far a recorded value may
be from it: half of the last digit that was written, a tenth where it says "about".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SECONDS, BYTES, RATE, PERCENT, PLAIN, BYTE_RATE = "s", "B", "/s", "%", "", "B/s"

_TIMES = {
    "ns nanosecond nanoseconds": 1e-9,
    "us µs μs usec usecs microsecond microseconds": 1e-6,
    "ms msec msecs millisecond milliseconds": 1e-3,
    "s sec secs second seconds": 1.0,
    "min mins minute minutes": 60.0,
    "h hr hrs hour hours": 3600.0,
    "d day days": 86400.0,
}
_PREFIXES = {"k": 1, "m": 2, "g": 3, "t": 4}
_NAMED = {"kilobyte": 1, "megabyte": 2, "gigabyte": 3, "terabyte": 4, "kibibyte": 1, "mebibyte": 2, "gibibyte": 3}

_SCALES: dict[str, tuple[str, tuple[float, ...]]] = {
    **{name: (SECONDS, (scale,)) for names, scale in _TIMES.items() for name in names.split()},
    **dict.fromkeys(("b", "byte", "bytes"), (BYTES, (1.0,))),
    # People write GB for what tools count in units of 1024, and the other way round.
    **{
        name: (BYTES, (1024.0**power, 1000.0**power))
        for prefix, power in _PREFIXES.items()
        for name in (f"{prefix}b", f"{prefix}ib", f"{prefix}i")
    },
    **{
        name + plural: (BYTES, (1024.0**power, 1000.0**power)) for name, power in _NAMED.items() for plural in ("", "s")
    },
    **dict.fromkeys(("%", "percent", "per cent"), (PERCENT, (1.0,))),
}
_MULTIPLIERS = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "k": 1e3, "K": 1e3, "M": 1e6}
_BY_LETTER = {"K": 1, "M": 2, "G": 3, "T": 4}

_UNIT_WORDS = sorted(_SCALES, key=len, reverse=True)
_NUMBER = r"\d{1,3}(?:[,'\u2019 \u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
NUMBER = re.compile(
    rf"(?<![\w.:/\-+=])(?P<sign>[-\u2212])?(?P<number>{_NUMBER})"
    rf"(?:\s?(?P<times>thousand|million|billion)\b|(?P<letter>[kKMGT])\b(?![-/])|)"
    rf"(?:\s?(?P<unit>{'|'.join(map(re.escape, _UNIT_WORDS))})(?![\w]))?"
    r"(?P<each>(?:\s[a-z]+){0,3}?\s?(?:/\s?s\b|/\s?sec\b|/\s?second\b|\b(?:a|per|each|every)\s(?:second|sec|s)\b)"
    r"|(?:\s[a-z]+){0,3}?\s?\b(?:a|per|each|every)\s(?:minute|min|hour)\b)?"
    r"(?![\w])",
    re.IGNORECASE,
)
_MINUTE, _HOUR = 60.0, 3600.0

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
]
_UNITS += ["seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS: dict[str, int] = {word: value for value, word in enumerate(_UNITS) if word != "one"}
WORDS.update({ten: 10 * place for place, ten in enumerate(_TENS, 2)})
WORDS.update(
    {
        f"{ten}-{unit}": 10 * place + value
        for place, ten in enumerate(_TENS, 2)
        for value, unit in enumerate(_UNITS[:10])
    }
)
WORDS.update({"once": 1, "twice": 2, "thrice": 3})


@dataclass(frozen=True)
class Quantity:
    """A number that is claimed: what it may be in base units, how far off, and whether it bears a unit at all."""

    unit: str
    values: tuple[float, ...]
    tolerance: tuple[float, ...]
    raw: float

    def reaches(self, share: float) -> Quantity:
        """The same, at least so much of each value off."""
        wider = tuple(max(given, abs(value) * share) for value, given in zip(self.values, self.tolerance))
        return Quantity(self.unit, self.values, wider, self.raw)

    def holds(self, value: float) -> bool:
        """Whether a recorded value (in base units) may be written so."""
        return any(abs(value - each) <= off + 1e-9 * abs(each) for each, off in zip(self.values, self.tolerance))


def quantity(found: re.Match[str]) -> Quantity:
    """What a match of NUMBER says."""
    text = re.sub(r"[,'\u2019 \u202f]", "", found["number"])
    value = float(text)
    half = 0.5 * 10.0 ** -len(text.partition(".")[2]) if "." in text else 0.5
    scales: tuple[float, ...] = (1.0,)
    unit = PLAIN
    if found["unit"]:
        unit, scales = _SCALES[found["unit"].lower()]
    times, letter = found["times"], found["letter"]
    if times or (letter in ("k", "K", "M") and found["each"]):
        factor = _MULTIPLIERS[times.lower() if times else letter]
        scales = tuple(scale * factor for scale in scales)
    elif letter:
        power = _BY_LETTER[letter.upper()]
        unit, scales = BYTES, (1024.0**power, 1000.0**power)
        if letter == "k":
            unit = PLAIN if not found["unit"] else BYTES
    each = found["each"] or ""
    if each and unit in (PLAIN, BYTES):
        per = _MINUTE if "min" in each.lower() else _HOUR if "hour" in each.lower() else 1.0
        scales = tuple(scale / per for scale in scales)
        unit = RATE if unit == PLAIN else BYTE_RATE
    if unit in (PERCENT, BYTES) and "." not in text:
        # Shares and sizes are cut off as often as they are rounded.
        half = 0.95
    exact = unit == PLAIN and scales == (1.0,) and "." not in text
    if exact:
        half = 0.0
    elif "." not in text and text.endswith("00") and value:
        # 18 000 a second is a rounded figure, 18 254 is not; but never by more than a twentieth.
        zeros = len(text) - len(text.rstrip("0"))
        half = min(0.5 * 10.0**zeros, value / 20)
    return Quantity(unit, tuple(value * s for s in scales), tuple(half * s for s in scales), value)


def plain(value: float) -> Quantity:
    """A bare, exact number."""
    return Quantity(PLAIN, (float(value),), (0.0,), float(value))


def measured(number: str, suffix: str) -> tuple[float, str]:
    """A number in the output of a command with the unit that follows it: (value in base units, unit)."""
    value = float(number.replace(",", ""))
    known = _SCALES.get(suffix.lower())
    if suffix in _BY_LETTER:
        return value * 1024.0 ** _BY_LETTER[suffix], BYTES
    if suffix == "k":
        return value * 1024.0, BYTES
    if known is None or suffix.lower() in ("d", "h", "m"):
        return value, PLAIN
    unit, scales = known
    return value * scales[0], unit
