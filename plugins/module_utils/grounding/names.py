# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: claims that are names. Each is looked up whole in what was collected.

Results that are cited, quotes, addresses, ports, paths, files, hosts, errors, signals, probes, system calls, processes
and their pids. A name that nobody can tell from an English word is none.
"""

from __future__ import annotations

import re

from .claim import Reading
from .facts import Source
from .text import commands_like
from .vocabulary import ANSWERS, COMMON, ERRORS, PHRASES, PROCESS_NOUNS, PROGRAMS, SYSCALLS, word_set

_PLACEHOLDER = re.compile(r"\[redacted(?::[\w.-]+)*\]")
_QUOTED = re.compile(r"\"([^\"\n]{2,300})\"|\u201c([^\u201d\n]{2,300})\u201d|`([^`\n]{2,300})`")
_ADDRESS = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?(?:/\d{1,2})?(?![\w.]*\d)")
_V6 = re.compile(r"(?<![\w:])\[?([0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})\]?(?::(\d{1,5}))?(?![\w:])")
_PATH = re.compile(r"(?<![\w.\-/])/(?:[\w.@+\-=%~*]+/?)+")
_PROBE = re.compile(r"(?<![\w/])([a-z]\w*/(?!(?:s|sec|second|min|minute|h|hour|cpu|core)\b)[a-z]\w*)(?![\w/])")
_SETTING = re.compile(r"(?<![\w=])([A-Za-z][\w.]*=[\w./:%-]*\w%?)")
_CLOCK = re.compile(r"(?<![\w:.])([01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?![\w:])")
_DOTTED = re.compile(r"(?<![\w./@-])[\w-]{1,80}(?:\.[\w-]{1,80}){1,10}(?![\w/])")
_ERROR = re.compile(r"(?<!\w)(?:E[A-Z][A-Z0-9]+|" + "|".join(sorted(ANSWERS)) + r")(?!\w)")
_SIGNAL = re.compile(r"(?<!\w)SIG[A-Z]{3,6}(?:[+-]\d+)?(?!\w)")
_PORTS = re.compile(r"\bports?\s+(\d{1,5})(?:\s*(?:,|and|or)\s*(\d{1,5}))?\b", re.IGNORECASE)
_NAMED_PID = re.compile(
    r"(?<![\w.:/@+-])([A-Za-z][\w.:/@+-]{0,100})[\"'`]?\s*(?:\(|\[|,\s|with\s)?\s*\bpids?\b[\s:=#]*(\d+)", re.IGNORECASE
)
_IN_BRACKETS = re.compile(r"(?<![\w.:/@+-])([A-Za-z][\w.:/@+-]{0,100})\s?[(\[](\d{2,7})[)\]]")
_PID = re.compile(
    r"\b(?:pids|processes)[\s:=#]+(\d+)((?:\s*(?:,|and|to)\s*\d+(?![\d.]|\s+more\b|\s*%))*)"
    r"|\b(?:pid|process id|process)[\s:=#]+(\d+)",
    re.IGNORECASE,
)
_PROCESS = re.compile(
    rf"\b(?:{'|'.join(PROCESS_NOUNS)})s?\s+(?:named\s+|called\s+)?[\"'`]?([A-Za-z][\w.:@+-]*[\w])", re.IGNORECASE
)
_BEFORE = re.compile(rf"(?<![\w.-])([a-z][\w.@+-]*\w)\s+(?:{'|'.join(PROCESS_NOUNS)})\b")
_WORD = re.compile(r"(?<![\w./:@-])[A-Za-z][\w.:@+/-]*\w(?:\(2\))?(?![\w])")
_PLAIN_MIX = re.compile(
    r"(?:[a-z]*p\d{2,3}|ipv[46]|x86|x86_64|tcp[46]?|udp[46]?|utf-?8|[a-z]\d|\w+-\d+|[a-z]+2[a-z]+)", re.I
)
_CAMEL = re.compile(r"[A-Za-z]*[a-z][A-Z][A-Za-z]+")
_OWN = re.compile(r"\b(?:its|their) own\b", re.IGNORECASE)
_SHORT = word_set("e.g i.e etc vs ca approx no resp")


def read_names(reading: Reading) -> None:
    """Settles all claims of a sentence that are names."""
    _citations(reading)
    _placeholders(reading)
    _quotes(reading)
    _addresses(reading)
    _ports(reading)
    for pattern in (_PATH, _PROBE, _SETTING, _CLOCK):
        for found in pattern.finditer(reading.sentence.text):
            _look_up(reading, found.start(), found.end(), found.group().rstrip("/") or "/")
    _pids(reading)
    _dotted(reading)
    _errors(reading)
    _processes(reading)
    _words(reading)


def process_names(text: str, reading: Reading) -> list[str]:
    """The processes of the evidence that a text names, in lower case, in order."""
    known = reading.index.processes
    found = []
    for word in re.findall(r"[\w.:@+/-]+", text.lower()):
        name = word.strip(".,:")
        if name in known and (name not in COMMON or not name.isalpha()):
            found.append(name)
    return list(dict.fromkeys(found))


def processes_at(position: int, reading: Reading) -> list[str]:
    """The processes that a part of a sentence names, else those named last before it."""
    text, own = reading.sentence.text, reading.sentence.part(position)
    for start, end in [own, *reversed([part for part in reading.sentence.parts if part[0] < own[0]])]:
        found = process_names(text[start:end], reading)
        if found:
            return found
    if _OWN.search(text):
        return next(
            ([claim.text.lower()] for claim in reversed(reading.earlier) if _is_process(reading, claim.text)), []
        )
    return []


def _look_up(reading: Reading, start: int, end: int, name: str) -> None:
    if not reading.free(start, end) or name == "/":
        return
    keys = reading.index.keys_of(name.rstrip(".,:"))
    if not keys and name.lower() in reading.issue:
        keys = {"issue"}
    reading.settle(start, end, keys)


def _citations(reading: Reading) -> None:
    for cited in reading.sentence.citations:
        reading.settle(cited.start, cited.end, cited.keys, "no command or program has this name")


def _placeholders(reading: Reading) -> None:
    """What redaction put into the evidence is a name like others."""
    for found in _PLACEHOLDER.finditer(reading.sentence.text):
        reading.settle(found.start(), found.end(), reading.index.says(found.group()))


def _quotes(reading: Reading) -> None:
    for found in _QUOTED.finditer(reading.sentence.text):
        quoted = next(group for group in found.groups() if group)
        start = found.start() + 1
        if not reading.free(start, start + len(quoted)):
            continue
        index = reading.index
        keys = index.says(quoted.strip(" ,")) or index.keys_of(quoted.strip()) or commands_like(quoted, index)
        if not keys and quoted.lower().strip() in reading.issue:
            keys = {"issue"}
        reading.settle(start, start + len(quoted), keys, "nothing that was collected says so")


def _addresses(reading: Reading) -> None:
    for pattern in (_ADDRESS, _V6):
        for found in pattern.finditer(reading.sentence.text):
            if pattern is _V6 and (found.group().count(":") < 2 or _CLOCK.fullmatch(found.group())):
                continue
            _look_up(reading, found.start(), found.end(), found.group())


def _ports(reading: Reading) -> None:
    for found in _PORTS.finditer(reading.sentence.text):
        for group in (1, 2):
            port = found.group(group)
            if port:
                keys = reading.index.ports.get(port, set()) | reading.index.keys_of(port)
                reading.settle(found.start(group), found.end(group), keys, "no address with this port was seen")


def _pids(reading: Reading) -> None:
    for pattern in (_NAMED_PID, _IN_BRACKETS):
        for found in pattern.finditer(reading.sentence.text):
            name = found.group(1).lower()
            if name in COMMON or name in PROCESS_NOUNS or not reading.free(found.start(2), found.end(2)):
                continue
            pairs = _pairs(reading, name, found.group(2))
            if pattern is _IN_BRACKETS and not pairs and not _is_process(reading, name):
                continue
            if not pairs and not _is_process(reading, name) and name not in PROGRAMS:
                # The word before it may be any: "416 faults (pid 27708)".
                pairs = sorted(known_pid(reading, found.group(2)))
                if not pairs and not reading.index.keys_of(name):
                    reading.settle(found.start(1), found.end(1), None, "no such process was seen")
            reading.settle(found.start(2), found.end(2), pairs, f"{found.group(1)} was not seen with this pid")
    for found in _PID.finditer(reading.sentence.text):
        for number in re.finditer(r"\d+", found.group()):
            start = found.start() + number.start()
            reading.settle(
                start, start + len(number.group()), known_pid(reading, number.group()), "no such pid was seen"
            )


def _pairs(reading: Reading, name: str, pid: str) -> list[str]:
    """The results that show a process with a pid: as such, or on one line."""
    both = re.compile(
        rf"(?<![\w.]){re.escape(name)}(?!\w).*(?<![\w.]){pid}(?!\w)|(?<![\w.]){pid}(?!\w).*(?<![\w.]){re.escape(name)}(?!\w)"
    )
    found = []
    for key, source in reading.index.sources.items():
        if pid in source.processes.get(name, ()) or (
            name not in source.processes
            and pid in source.words
            and any(both.search(line[:500]) for line in source.lines)
        ):
            found.append(key)
    return found


def known_pid(reading: Reading, pid: str) -> set[str]:
    """The results in which a pid stands as one."""
    spoken = reading.index.keys_of(pid)
    return {
        *reading.index.pids.get(pid, ()),
        *(key for key in spoken if _speaks_of_pids(reading.index.sources[key], pid)),
    }


def _speaks_of_pids(source: Source, pid: str) -> bool:
    return (
        bool({"pid", "ppid"} & source.words)
        or f"/proc/{pid}" in source.words
        or any(f"[{pid}]" in line for line in source.lines)
    )


def _is_process(reading: Reading, name: str) -> bool:
    return name.lower() in reading.index.processes


def _dotted(reading: Reading) -> None:
    for found in _DOTTED.finditer(reading.sentence.text):
        name = found.group()
        parts = name.split(".")
        # "failed.The" is two sentences; "e.g" and "i.e" are no names.
        if not all(re.search(r"[A-Za-z]", part) for part in parts):
            continue
        if name.lower() in _SHORT or max(map(len, parts)) < 2 or (parts[-1][:1].isupper() and len(parts) == 2):
            continue
        _look_up(reading, found.start(), found.end(), name)


def _errors(reading: Reading) -> None:
    text = reading.sentence.text
    for found in _ERROR.finditer(text):
        if found.group() in ERRORS or found.group() in ANSWERS:
            keys = _error_keys(reading, found.group().lower(), found.start())
            if not keys:
                reading.unborne.add(found.group().lower())
            reading.settle(found.start(), found.end(), keys, "this error was not seen")
    for found in _SIGNAL.finditer(text):
        _look_up(reading, found.start(), found.end(), found.group())
    lowered = text.lower()
    for phrase, errors in PHRASES.items():
        for found in re.finditer(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", lowered):
            if re.search(r"\b(?:no|not|never|without)\s(?:\w+\s){0,2}$", lowered[: found.start()]):
                continue
            keys = {key for error in errors for key in reading.index.keys_of(error)} | set(reading.index.says(phrase))
            reading.settle(found.start(), found.end(), keys, "this error was not seen")


def _error_keys(reading: Reading, error: str, position: int) -> set[str]:
    keys = set(reading.index.keys_of(error))
    cited = reading.sentence.cited(position)
    if cited is not None and any(reading.index.sources[key].traced for key in cited):
        keys &= cited
    named = processes_at(position, reading)
    return {key for key in keys if _may_have_failed(reading, key, named, error)}


def _may_have_failed(reading: Reading, key: str, named: list[str], error: str) -> bool:
    """Whether one of the processes named beside an error may have met it in this result."""
    source = reading.index.sources[key]
    known = [name for name in named if name in source.processes]
    if not source.traced or not known or not source.complete:
        return True
    return any((name, error) in source.pairs for name in known) or not source.pairs


def _processes(reading: Reading) -> None:
    text = reading.sentence.text
    for name in process_names(text, reading):
        for found in re.finditer(rf"(?<![\w.:@+/-]){re.escape(name)}(?![\w@+/-])", text, re.IGNORECASE):
            keys = reading.index.processes[name]
            reading.settle(found.start(), found.end(), keys)
    for pattern in (_PROCESS, _BEFORE):
        for found in pattern.finditer(text):
            name = found.group(1).rstrip(".,:")
            if name.lower() in COMMON or not reading.free(found.start(1), found.start(1) + len(name)):
                continue
            named = bool(re.search(r"[A-Z\d_-]", name)) or name.lower() in PROGRAMS
            if reading.index.keys_of(name) or named:
                _look_up(reading, found.start(1), found.start(1) + len(name), name)


def _words(reading: Reading) -> None:
    """Words that cannot be English: identifiers, system calls, programs that everybody knows."""
    for found in _WORD.finditer(reading.sentence.text):
        word = found.group()
        name = word[:-3] if word.endswith("(2)") else word.rstrip(".:/")
        start, end = found.start(), found.start() + len(name)
        if not reading.free(start, end):
            continue
        lowered = name.lower()
        keys = reading.index.keys_of(lowered) or reading.index.keys_of(f"sys_enter_{lowered}")
        if word.endswith("(2)") or lowered in SYSCALLS:
            if not keys:
                reading.unborne.add(lowered)
            reading.settle(start, end, keys, "this system call was not seen")
        elif _identifier(name) and (keys or not _denied(reading, start)):
            reading.settle(start, end, keys or ({"issue"} if lowered in reading.issue else None))
        elif lowered in PROGRAMS and not _denied(reading, start):
            keys = keys or ({"issue"} if lowered in reading.issue else set())
            reading.settle(start, end, keys, "nothing of this name was seen")


def _identifier(name: str) -> bool:
    if "_" in name.strip("_"):
        return True
    if _CAMEL.fullmatch(name):
        return name.lower() not in ("ebpf", "iops", "qemu", "macos")
    mixed = bool(re.search(r"[A-Za-z]", name) and re.search(r"\d", name))
    return mixed and (not _PLAIN_MIX.fullmatch(name) or bool(re.fullmatch(r"[a-z]{2,}-\d+", name)))


def _denied(reading: Reading, start: int) -> bool:
    """Whether a sentence says that something is not there: such a name need not be found."""
    return bool(
        re.search(r"\b(?:no|none|not|neither|nor|without|instead of)\s(?:\w+\s){0,2}$", reading.sentence.text[:start])
    )
