# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: a command line, parsed by a real shell parser, as plain dataclasses.

What comes out is all that will ever be run: there is no shell behind it. So a construct that is not understood is
refused, and a misreading could only run something else that was judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .errors import Refused
from .words import Word, read_word

try:
    import bashlex
except ImportError:
    bashlex = None

MOST_CHARACTERS = 4000
MOST_COMMANDS = 16

NO_PARSER = (
    "No command can be judged, so none is run: the Python library bashlex is missing on this host. The role"
    " nannyapi.diagnostics.runtime installs it (pip install bashlex==0.18)."
)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CONSTRUCTS = {
    "compound": "Loops, conditions, groups and subshells are not run here; write the simple commands one after the"
    " other, with `;`, `&&`, `||` or `|` between them.",
    "function": "Functions are not defined here; write the commands themselves.",
    "commandsubstitution": "Command substitution is not done here; run the inner command by itself and use what it"
    " printed in the next round.",
    "processsubstitution": "Process substitution is not done here; run each command by itself.",
}


@dataclass(frozen=True)
class Redirection:
    """One redirection: the descriptor, and either a file to read, another descriptor, or nothing (discarded)."""

    descriptor: int
    source: Word | None = None
    duplicate_of: int | None = None


@dataclass
class SimpleCommand:
    """Program and arguments as words, and its redirections in order."""

    words: list[Word] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)


@dataclass
class Pipeline:
    """Commands joined by pipes, and what comes before the pipeline: `;`, `&&` or `||`."""

    joined_by: str
    commands: list[SimpleCommand]


def parse(line: str) -> list[Pipeline]:
    """The pipelines of a command line; raises `Refused` with a sentence for the model."""
    if bashlex is None:
        raise Refused(NO_PARSER)
    if not line.strip():
        raise Refused("The command is empty.")
    if len(line) > MOST_CHARACTERS:
        raise Refused(f"The command is longer than {MOST_CHARACTERS} characters; ask for less at once.")
    if _CONTROL.search(line):
        raise Refused("The command has control characters in it; write it with printable ones.")
    pipelines = _Tree(line).pipelines()
    if sum(len(pipeline.commands) for pipeline in pipelines) > MOST_COMMANDS:
        raise Refused(f"The line has more than {MOST_COMMANDS} commands; send them as commands of their own.")
    return pipelines


def _parse_tree(line: str) -> list[Any]:
    try:
        return list(bashlex.parse(line))
    except NotImplementedError as error:
        what = "arithmetic" if "arithmetic" in str(error) else "a construct"
        raise Refused(
            f"The command has {what} in it that is not understood here; only simple commands joined by `|`, `;`, `&&`"
            " and `||` are."
        ) from error
    except RecursionError as error:
        raise Refused("The command is nested too deeply.") from error
    except Exception as error:
        # The parser raises whatever its state machine runs into; each of them means: not a line that we understand.
        said = str(error) if type(error).__module__.startswith("bashlex") else "it holds no command"
        raise Refused(f"The command could not be parsed as a shell command line: {said}.") from error


class _Tree:
    """Reads the parser's tree, taking each word's text from the line itself."""

    def __init__(self, line: str) -> None:
        self.line = line

    def pipelines(self) -> list[Pipeline]:
        found: list[Pipeline] = []
        for node in _parse_tree(self.line):
            self._read(node, ";", found)
        if not found:
            raise Refused("The command is empty.")
        return found

    def _read(self, node: Any, joined_by: str, found: list[Pipeline]) -> None:
        if node.kind != "list":
            found.append(self._pipeline(node, joined_by))
            return
        for part in node.parts:
            if part.kind == "operator":
                joined_by = part.op.strip() or ";"
                if joined_by == "&":
                    raise Refused("Nothing is run in the background here; leave out `&`. Commands run in parallel.")
            else:
                self._read(part, joined_by, found)

    def _pipeline(self, node: Any, joined_by: str) -> Pipeline:
        if node.kind != "pipeline":
            return Pipeline(joined_by, [self._command(node)])
        commands: list[SimpleCommand] = []
        for part in node.parts:
            if part.kind == "pipe":
                if part.pipe == "|&":
                    commands[-1].redirections.append(Redirection(2, duplicate_of=1))
            elif part.kind == "reservedword":
                raise Refused(f"`{part.word}` before a command is not understood here; leave it out.")
            else:
                commands.append(self._command(part))
        return Pipeline(joined_by, commands)

    def _command(self, node: Any) -> SimpleCommand:
        if node.kind != "command":
            raise Refused(_CONSTRUCTS.get(node.kind, f"A {node.kind} is not run here; write simple commands."))
        command = SimpleCommand()
        for part in node.parts:
            if part.kind == "redirect":
                command.redirections.extend(self._redirections(part))
            elif part.kind == "assignment":
                raise Refused(
                    f"Assignments such as `{part.word}` are not made here; the environment is fixed (LC_ALL=C.UTF-8,"
                    " no pager). Write the command without it."
                )
            else:
                command.words.append(self._word(part))
        if not command.words:
            raise Refused("A redirection without a command does nothing that could be read.")
        return command

    def _word(self, node: Any) -> Word:
        for part in getattr(node, "parts", None) or []:
            if part.kind in _CONSTRUCTS:
                raise Refused(_CONSTRUCTS[part.kind])
        word = read_word(self.line[slice(*node.pos)])
        if "$" not in word.text and word.text != node.word:
            raise Refused(f"The word `{node.word}` could not be read for certain; write it with plain quotation marks.")
        return word

    def _redirections(self, node: Any) -> list[Redirection]:
        if node.type == "<" and node.input in (None, 0):
            return [Redirection(0, source=self._word(node.output))]
        if node.type in (">", ">>") and node.input in (None, 1, 2) and self._discards(node.output):
            return [Redirection(1 if node.input is None else node.input)]
        if node.type in ("&>", "&>>", ">&") and node.input is None and self._discards(node.output):
            return [Redirection(1), Redirection(2, duplicate_of=1)]
        if node.type == ">&" and node.output in (1, 2) and node.input in (None, 1, 2):
            return [Redirection(1 if node.input is None else node.input, duplicate_of=node.output)]
        if node.type.startswith("<<"):
            raise Refused("Here-documents and here-strings are not read; name a file, or use `echo … |`.")
        raise Refused(
            f"The redirection `{self.line[slice(*node.pos)]}` is not accepted, as nothing is written to files here; the"
            " output comes back as it is. `2>&1`, `2>/dev/null`, `>/dev/null` and `< FILE` are understood."
        )

    def _discards(self, output: Any) -> bool:
        return getattr(output, "kind", None) == "word" and self._word(output).text == "/dev/null"
