# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: a site's own command rules, in a file on the host.

`{"allow": {"PROGRAM": RULE}, "refuse": {"PROGRAM": "reason"}, "secret_paths": ["/srv/vault/*"]}`: `allow` adds a rule
or replaces the built-in one (its keys are those of `rules/schema.py`), `refuse` wins over every rule, `secret_paths`
are file name patterns whose content is never shown. Whoever may write this file decides what is run as root, so it must
be root's own.
"""

from __future__ import annotations

import fnmatch
import json
import os
import stat
from dataclasses import dataclass, field
from typing import Any, cast

from . import listing_forms
from .errors import PolicyError
from .grants import CAPABILITIES, FAMILIES
from .kinds import known
from .rules.schema import Rule

_KEYS = ("allow", "refuse", "secret_paths")


@dataclass(frozen=True)
class SiteRules:
    """What a site adds: rules, refusals with their reason, and (expression, what it is) of further secret files."""

    allow: dict[str, Rule] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    secret_paths: list[tuple[str, str]] = field(default_factory=list)
    secret_patterns: tuple[str, ...] = ()


def read_site_rules(path: str) -> SiteRules:
    """The rules of the file; raises `PolicyError` where it is not root's own, no JSON, or says something unknown."""
    content = _read_trusted(path)
    try:
        data = json.loads(content)
    except ValueError as error:
        raise PolicyError(f"The command policy {path} is not JSON ({error}); correct or remove it.") from error
    if not isinstance(data, dict):
        raise PolicyError(f"The command policy {path} must hold one JSON object with {', '.join(_KEYS)}.")
    for key in data:
        if key not in _KEYS:
            raise PolicyError(f"The command policy {path} has the key `{key}`; known are {', '.join(_KEYS)}.")
    return SiteRules(
        {name: _rule(path, name, rule) for name, rule in _object(path, data, "allow").items()},
        {name: str(reason) for name, reason in _object(path, data, "refuse").items()},
        [(fnmatch.translate(str(pattern)), "named as secret by this site") for pattern in _list(path, data)],
        tuple(str(pattern) for pattern in _list(path, data)),
    )


def _read_trusted(path: str) -> str:
    try:
        _check_owner(path, "its directory is not root's own", os.stat(os.path.dirname(os.path.abspath(path))))
        # The descriptor is what is checked and read, so that nothing can be put in its place between the two.
        with open(path, encoding="utf-8") as opened:
            _check_owner(path, "others than root may write it", os.fstat(opened.fileno()))
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"The command policy {path} could not be read: {error}.") from error


def _check_owner(path: str, why: str, status: os.stat_result) -> None:
    if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PolicyError(
            f"The command policy {path} is not used, as {why} (owner {status.st_uid}, mode"
            f" {stat.S_IMODE(status.st_mode):04o}); chown root:root and chmod go-w it."
        )


def _object(path: str, data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise PolicyError(f"`{key}` in the command policy {path} must be an object keyed by program.")
    return value


def _list(path: str, data: dict[str, Any]) -> list[Any]:
    value = data.get("secret_paths", [])
    if not isinstance(value, list):
        raise PolicyError(f"`secret_paths` in the command policy {path} must be a list of file name patterns.")
    return value


def _rule(path: str, program: str, rule: Any) -> Rule:
    if not isinstance(rule, dict):
        raise PolicyError(f"The rule for `{program}` in the command policy {path} must be an object.")
    for key, value in rule.items():
        if key not in Rule.__annotations__:
            known_keys = ", ".join(Rule.__annotations__)
            raise PolicyError(f"The rule for `{program}` in {path} has the key `{key}`; known are {known_keys}.")
        if not isinstance(value, _SHAPES.get(key, str)):
            raise PolicyError(f"`{key}` of the rule for `{program}` in {path} has the wrong shape.")
    for kind in _kinds(cast(Rule, rule)):
        if not known(kind):
            raise PolicyError(f"The rule for `{program}` in {path} names the kind `{kind}`, which does not exist.")
    _check_grants(path, program, cast(Rule, rule))
    return cast(Rule, rule)


def _check_grants(path: str, program: str, rule: Rule) -> None:
    if (rule.get("capability") or rule.get("capability_on")) and {"read", "file", "awk", "sed"} & set(_kinds(rule)):
        raise PolicyError(
            f"The rule for `{program}` in {path} grants a capability to a program that shows files of the caller's"
            " choice; such files are opened by a trusted reader, so leave `capability` out."
        )
    asked_for = [*rule.get("capability", {}).values(), *rule.get("capability_on", {}).values()]
    if program not in listing_forms.PROGRAMS and listing_forms.BOUNDED in " ".join(map(str, asked_for)).split():
        raise PolicyError(
            f"The rule for `{program}` in {path} grants NET_ADMIN, which the sandbox gives to listing forms of"
            f" {', '.join(sorted(listing_forms.PROGRAMS))} alone; leave it out."
        )
    for key, known_names in (("capability", CAPABILITIES), ("capability_on", CAPABILITIES), ("network", FAMILIES)):
        uses = cast("dict[str, Any]", rule.get(key, {}))
        for name in " ".join(map(str, uses.values())).split():
            if name not in known_names:
                raise PolicyError(
                    f"`{key}` of the rule for `{program}` in {path} names `{name}`; known are {', '.join(known_names)}."
                )


_SHAPES: dict[str, type] = {
    **dict.fromkeys(
        ("values", "optional", "refused", "needs", "needs_with", "excludes", "insert_with", "forms_with", "bsd_values"),
        dict,
    ),
    **dict.fromkeys(("capability", "capability_on", "network", "local", "insert_for", "series"), dict),
    "runs": int,
    **dict.fromkeys(("matching", "forms", "insert", "dbus"), list),
    "options_first": bool,
}


def _kinds(rule: Rule) -> list[str]:
    kinds = [*rule.get("values", {}).values(), *rule.get("optional", {}).values(), *rule.get("bsd_values", {}).values()]
    kinds += [f"re:{expression}" for expression in rule.get("matching", [])]
    forms = [*rule.get("forms", []), *(form for others in rule.get("forms_with", {}).values() for form in others)]
    forms += [one for ones in rule.get("series", {}).values() for one in ones]
    for token in (token for form in forms for token in form.split()):
        if token.startswith("*") and token[1:] not in rule.get("series", {}):
            kinds.append(token)
        if token.startswith("@"):
            kinds.append(token[1:-3] if token.endswith("...") else token[1:].rstrip("?"))
    return kinds
