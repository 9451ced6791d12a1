# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets planted in what hosts print and traces see, from kinds.yml and carriers.yml, the same ones every time."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
_LETTERS = {
    "an": string.ascii_letters + string.digits,
    "lo": string.ascii_lowercase,
    "up": string.ascii_uppercase + string.digits,
    "num": string.digits,
    "hex": "0123456789abcdef",
    "b64": string.ascii_letters + string.digits + "+/",
    "url": string.ascii_letters + string.digits + "-_",
    "pw": string.ascii_letters + string.digits + "!#$%*+-.=?^_~",
}
_WIDTHS = {"pem": 64, "ssh": 70}
_WINDOW = 12


@dataclass(frozen=True)
class Planted:
    """Evidence of a round with one secret in it."""

    name: str
    kind: str
    secret: str
    evidence: dict[str, Any]

    def leaks(self, shown: str) -> bool:
        """Whether any twelve characters of the secret (all of a shorter one) are in `shown`."""
        for line in re.split(r"\n|\\n", self.secret):
            width = min(_WINDOW, len(line))
            if any(line[at : at + width] in shown for at in range(len(line) - width + 1) if width >= 6):
                return True
        return False


def planted() -> Iterator[Planted]:
    """Every kind in every place and carrier that fits it; those that may be cut off also cut off by a slot."""
    kinds = yaml.safe_load((HERE / "kinds.yml").read_text())
    carriers = yaml.safe_load((HERE / "carriers.yml").read_text())
    for kind in kinds:
        for number, place in enumerate(kind["in"]):
            for carrier in carriers[kind["as"]]:
                name = f"{kind['kind']}-{number}-{carrier['name']}"
                secret = _filled(kind["secret"], random.Random(name))
                escaped = place.replace("\n", "\\n") if kind.get("escaped") else place
                yield Planted(name, kind["kind"], secret, _evidence(carrier, _put(escaped, secret)))
        if kind.get("cut"):
            name = f"{kind['kind']}-cut"
            secret = _filled(kind["secret"], random.Random(name))
            part = secret[: max(len(secret) // 2, 16)]
            yield Planted(name, kind["kind"], part, _evidence({"data": {"filename": "@"}}, f"/run/app/{part}"))


def _put(place: str, secret: str) -> str:
    """The first @ becomes the secret; one that follows it directly is meant (a URL's)."""
    return place.replace("@", secret, 1)


def _filled(form: str, chance: random.Random) -> str:
    def part(match: re.Match[str]) -> str:
        letters, count = match[1], int(match[2])
        if letters in _WIDTHS:
            lines = [_some("b64", _WIDTHS[letters], chance) for _line in range(count - 1)]
            return "\n".join([*lines, _some("b64", 40, chance)])
        return _some(letters, count, chance)

    return re.sub(r"\{(\w+):(\d+)\}", part, form)


def _some(letters: str, count: int, chance: random.Random) -> str:
    """Random characters, with a letter before and a digit after, as of passwords that a form accepts."""
    made = "".join(chance.choice(_LETTERS[letters]) for _character in range(count))
    if letters == "pw":
        return chance.choice(string.ascii_letters) + made[2:] + chance.choice(string.digits)
    return chance.choice(string.ascii_letters) + made[2:] + chance.choice("123456789") if letters == "an" else made


def _evidence(carrier: dict[str, Any], text: str) -> dict[str, Any]:
    indent = carrier.get("indent", "")
    text = "\n".join(indent + line for line in text.split("\n"))
    command = {"id": "look", "command": "look", "output": "", "exit_code": 0}
    event = {"timestamp": 1, "process_id": 4711, "process_name": "app", "event_type": "write", "data": {"fd": 3}}
    program: dict[str, Any] = {"program_name": "p", "event_count": 42, "events": [event], "summary": "42 calls."}
    if "text" in carrier:
        command["output"] = carrier["text"].replace("@", text)
    if "data" in carrier:
        event["data"] = {k: v.replace("@", text) if isinstance(v, str) else v for k, v in carrier["data"].items()}
    if "summary" in carrier:
        program["summary"] = carrier["summary"].replace("@", text)
    if "key" in carrier:
        program["by_key"] = [{"key": carrier["key"].replace("@", text), "count": 40}]
        program["failures"] = [{"process_id": 4711, "error": "ENOENT", "key": carrier["key"].replace("@", text)}]
    return {"command_results": [command], "ebpf_results": {"p_1": program}}
