# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: addresses, host names and user names, where a site wants those redacted too."""

from __future__ import annotations

import ipaddress
import pwd
import re
import socket
from collections.abc import Collection, Iterator
from pathlib import Path

CHOICES = ("addresses", "hosts", "users")
Found = tuple[int, int, str]

_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]{2,45}(?![\w]))[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?![\w])")
_MAC = re.compile(r"(?<![\w:])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w:])")
_IN_URL = re.compile(r"(?:://|@)([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})")
_FIRST_PERSON, _NOBODY = 1000, 65534


class Identities:
    """Finds what `also` (of CHOICES) names. Names are this host's own, those it knows, and those in URLs."""

    def __init__(self, also: Collection[str]) -> None:
        self._addresses = "addresses" in also
        hosts = _known_hosts() if "hosts" in also else set()
        users = _persons() if "users" in also else set()
        self._in_urls = "hosts" in also
        self._hosts, self._users = _any_of(hosts), _any_of(users)

    def find(self, text: str) -> Iterator[Found]:
        """Places in `text`, with the kind of each. Loopback and wildcard addresses say nothing of a site, and stay."""
        if self._addresses:
            for expression in (_MAC, _IPV4, _IPV6):
                for match in expression.finditer(text):
                    if expression is _MAC or _tells(match[0]):
                        yield match.start(), match.end(), "address"
        if self._in_urls:
            for match in _IN_URL.finditer(text):
                if not _IPV4.fullmatch(match[1]):
                    yield match.start(1), match.end(1), "host"
        for names, kind in ((self._hosts, "host"), (self._users, "user")):
            if names:
                for match in names.finditer(text):
                    yield match.start(), match.end(), kind


def _any_of(names: set[str]) -> re.Pattern[str] | None:
    if not names:
        return None
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")


def _tells(address: str) -> bool:
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (read.is_loopback or read.is_unspecified or address.startswith("255."))


def _known_hosts() -> set[str]:
    name = socket.gethostname()
    names = {name, name.partition(".")[0]}
    for line in _lines("/etc/hosts"):
        names.update(line.partition("#")[0].split()[1:])
    return {name for name in names if len(name) > 1 and not name.startswith(("localhost", "ip6-"))}


def _persons() -> set[str]:
    """Accounts of persons; system accounts are the same everywhere."""
    found = {each.pw_name for each in pwd.getpwall() if _FIRST_PERSON <= each.pw_uid < _NOBODY}
    return {name for name in found if len(name) > 1}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
