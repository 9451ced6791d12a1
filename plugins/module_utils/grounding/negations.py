# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: claims that something did not happen, or always did.

What is not there cannot be looked up. It is borne out by a result that would show it and does not: a program that was
attached and counted none, a list of listeners without the port.
"""

from __future__ import annotations

import re
from typing import Optional

from .around import context
from .claim import Reading
from .facts import Source, stem
from .names import process_names
from .vocabulary import COMMON

_NOT_FAILING = re.compile(
    r"\b(?:none of (?:the |its |these )?(?P<a>[\w ]{2,40}?) (?:failed|fails|did)\b|"
    r"no (?P<b>[\w ]{2,30}?) (?:failed|fails)\b(?! in a way)"
    r"|(?:no|without|zero) (?P<c>(?:[\w]+ )?)(?:failures|errors)\b)",
    re.IGNORECASE,
)
_ALL = re.compile(
    r"\b(?:all|every|each)(?: of (?:the|its))?(?: (?P<number>\d+))? (?P<what>[\w ]{2,40}?)"
    r" (?P<how>failed|fails|succeeded|succeeds)\b",
    re.IGNORECASE,
)
_NOT_LISTENING = re.compile(
    r"\b(?:nothing|nobody|no one|no (?:process|service|program|listener|(?:udp |tcp )?socket))\b"
    r"(?P<a>[\w .:]{0,40}?\b(?:listen|listens|listening|accepts|bound|on)\b[^.;,]{0,30}?\bport )(?P<port>\d{1,5})"
    r"|\bport (?P<other>\d{1,5}) (?:has no listener|is not listened|is closed|is not open|is not in use)",
    re.IGNORECASE,
)
_NONE_LISTENS = re.compile(
    r"\bno (?:udp |tcp )?(?:socket|listener|process|service)s? (?:listens|is listening|exists)\b", re.IGNORECASE
)
_NOT_SEEN = re.compile(
    r"\bno (?P<a>[\w ]{2,40}?)(?= (?:was|were) (?:seen|called|traced|counted|made|recorded|observed|sent)\b)"
    r"|\b(?P<b>[\w/]{1,80}) (?:did not fire|never fired|did not occur|never happened|was never called|was not called)\b"
    r"|\b(?:nobody|nothing|no one) (?:ever )?(?:called|calls|fired) (?P<c>\w{1,80})"
    r"|\bno (?P<d>[\w]+(?: [\w]+)?)(?=[,.;)]|$| and | or )"
    r"|\bno process was (?P<e>killed)\b",
    re.IGNORECASE,
)
# What is not there, and not what did not fail.
_OF_A_LOG = re.compile(r"\b(?:logs?|journal|dmesg)\b", re.IGNORECASE)
_VICTIM = frozenset(("oom", "kill", "killed", "killer", "victim", "mark", "memory"))


def read_negations(reading: Reading) -> None:
    """Settles the claims of a sentence that something did not happen, or that all of it did."""
    text = reading.sentence.text
    for found in _NOT_LISTENING.finditer(text):
        _settle_port(reading, found)
    for found in _NOT_FAILING.finditer(text):
        _settle_failures(reading, found, next((each for each in found.group("a", "b", "c") if each), ""))
    for found in _ALL.finditer(text):
        _settle_all(reading, found)
    for found in _NOT_SEEN.finditer(text):
        _settle_silence(reading, found)
    for found in _NONE_LISTENS.finditer(text):
        lists = {key: source.listening for key, source in reading.index.sources.items() if source.listening is not None}
        if lists and reading.free(found.start(), found.end()):
            empty = [key for key, ports in lists.items() if not ports]
            reading.settle(found.start(), found.end(), empty, "the list of listeners has some")


def _settle_port(reading: Reading, found: re.Match[str]) -> None:
    name = "port" if found["port"] else "other"
    port = found[name]
    lists = {key: source.listening for key, source in reading.index.sources.items() if source.listening is not None}
    without = [key for key, ports in lists.items() if ports is not None and port not in ports]
    listed = any(ports is not None and port in ports for ports in lists.values())
    reason = "the list of listeners has it" if listed else "no list of listeners was collected"
    # Its words are of this claim, too: a port that is said not to be there need not be found.
    reading.settle(found.start(), found.end(), None if listed else without, reason)


def _settle_failures(reading: Reading, found: re.Match[str], about: str) -> None:
    results = _results(reading, found, about)
    part = reading.sentence.text[slice(*reading.sentence.part(found.start()))]
    # That a log has no errors says nothing of system calls.
    if not results or not reading.free(found.start(), found.end()) or _OF_A_LOG.search(part):
        return
    names = process_names(part, reading)
    clean = [source.key for source in results if _failures(source, names) == 0]
    some = [source.key for source in results if (_failures(source, names) or 0) > 0]
    if clean or some:
        reading.settle(found.start(), found.end(), None if some else clean, f"calls failed in {', '.join(some)}")


def _settle_all(reading: Reading, found: re.Match[str]) -> None:
    results = [
        source for source in _results(reading, found, found["what"]) if source.errors is not None and source.count
    ]
    if not results or not reading.free(found.start(), found.end()):
        return
    failed = found["how"].lower().startswith("fail")
    right = [source.key for source in results if (source.errors == source.count if failed else source.errors == 0)]
    if (
        found["number"]
        and right
        and all(str(int(reading.index.sources[key].count)) != found["number"] for key in right)
    ):
        return
    reading.settle(found.start(), found.end(), right, "some of them did not")


def _settle_silence(reading: Reading, found: re.Match[str]) -> None:
    about = next((each for each in found.groups() if each), "")
    sources = _about(reading, about, found.start())
    if not sources or not reading.free(found.start(), found.end()):
        return
    silent = [source.key for source in sources if source.attached and source.count == 0]
    loud = [source.key for source in sources if source.attached and source.count > 0]
    reason = f"{', '.join(loud)} counted some" if loud else "it was not attached, so nothing is known"
    reading.settle(found.start(), found.end(), None if loud else silent, reason)


def _results(reading: Reading, found: re.Match[str], about: str) -> list[Source]:
    """The results of system calls that a claim about failures speaks of."""
    around = context(reading, found.start(), found.end())
    keys = (
        around.cited if around.cited is not None else {source.key for source in _about(reading, about, found.start())}
    )
    if not keys:
        keys = around.topics or set()
    named = set(around.processes)
    return [
        source
        for key, source in reading.index.sources.items()
        if key in keys and source.traced and source.attached and (not named or named & set(source.processes))
    ]


def _failures(source: Source, names: list[str]) -> Optional[float]:
    known = [name for name in names if name in source.failed]
    return sum(source.failed[name] for name in known) if known else source.errors


def _about(reading: Reading, about: str, position: int) -> list[Source]:
    """The programs whose topic a few words name; those that are cited, where they are among them."""
    words = {stem(word) for word in re.findall(r"[a-z0-9_]+", about.lower())} - COMMON
    if words & _VICTIM:
        words |= {"oom", "victim"}
    found = [
        source
        for source in reading.index.sources.values()
        if source.traced and words & {each for topic in source.topics for each in (topic, stem(topic))}
    ]
    cited = reading.sentence.cited(position)
    return [source for source in found if cited is None or source.key in cited] or ([] if cited is None else found)
