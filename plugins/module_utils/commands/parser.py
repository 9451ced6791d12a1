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
from .file_names import FileNames
from .syntax import Choice, Group, Member, Pending, Pipeline, Redirection, SimpleCommand
from .words import Values, Word, read_word, spread_braces
from .xargs import Xargs, checked, read_exec, read_xargs

try:
    import bashlex
except ImportError:
    bashlex = None

MOST_CHARACTERS = 4000
MOST_COMMANDS = 16
MOST_UNROLLED = 1000

NO_PARSER = (
    "No command can be judged, so none is run: the Python library bashlex is missing on this host. The role"
    " nannyapi.diagnostics.runtime installs it (pip install bashlex==0.18)."
)

# Control characters, and those that turn the direction of text or are not seen.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
# What is so already in the environment that commands run in.
_ALREADY_SO = re.compile(
    r"(LC_[A-Z]+|LANG|LANGUAGE)=(C|POSIX|C\.UTF-8|C\.utf8|en_US\.UTF-8|en_US\.utf8)?"
    r"|S_COLORS=never|SYSTEMD_COLORS=(0|false)|(SYSTEMD_|GIT_)?PAGER=(cat)?|TERM=dumb"
)
_SINGLE_QUOTES = re.compile(r"[\w./:@%+,=-]*'[^'\n]*'[\w./:@%+,=-]*")
_CONSTRUCTS = {
    "while": "`while` and `until` are not run here, as nobody can say when they end; use `for i in 1 2 3; do …; done`,"
    " or give a file to cat, grep or awk.",
    "until": "`while` and `until` are not run here, as nobody can say when they end; use `for i in 1 2 3; do …; done`,"
    " or give a file to cat, grep or awk.",
    "function": "Functions are not defined here; write the commands themselves.",
    "processsubstitution": "Process substitution is not done here; run each command by itself.",
}


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
    # How long a command took is in its result.
    return _Tree(re.sub(r"^\s*time\s+(-p\s+)?(?=[\w/])", "", line)).pipelines()


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


@dataclass(frozen=True)
class _Variables:
    """The values of loops' variables, and which of them a command printed."""

    values: dict[str, str] = field(default_factory=dict)
    tainted: frozenset[str] = frozenset()

    def having(self, name: str, word: Word, value: str) -> _Variables:
        """These, with one more."""
        tainted = self.tainted | {name} if word.printed else self.tainted - {name}
        return _Variables({**self.values, name: value}, tainted)


@dataclass
class _Scope:
    """What is known while the words of one pipeline are read, and the substitutions that are not yet."""

    variables: _Variables
    printed: dict[int, tuple[int, str]]
    needed: list[Any] = field(default_factory=list)


class _Tree:
    """Reads the parser's tree, taking each word's text from the line itself."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.unrolled = 0
        self.names = FileNames()

    def pipelines(self) -> list[Pipeline]:
        trees = _parse_tree(self.line)
        if sum(map(_count, trees)) > MOST_COMMANDS:
            raise Refused(f"The line has more than {MOST_COMMANDS} commands; send them as commands of their own.")
        found = [pipeline for tree in trees for pipeline in self._list(tree, _Variables())]
        if not found:
            raise Refused("The command is empty.")
        return found

    def _list(self, node: Any, variables: _Variables, joined_by: str = ";") -> list[Pipeline]:
        if node.kind != "list":
            return [self._pipeline(node, joined_by, variables, {})]
        found: list[Pipeline] = []
        for part in node.parts:
            if part.kind == "operator":
                joined_by = part.op.strip() or ";"
                if joined_by == "&":
                    raise Refused("Nothing is run in the background here; leave out `&`. Commands run in parallel.")
            else:
                found.extend(self._list(part, variables, joined_by))
        return found

    def _pipeline(
        self, node: Any, joined_by: str, variables: _Variables, printed: dict[int, tuple[int, str]]
    ) -> Pipeline:
        scope = _Scope(variables, printed)
        commands = self._members(node, scope)
        pipeline = Pipeline(joined_by, commands)
        position = next((index for index, member in enumerate(commands) if index and _is_xargs(member)), None)
        if position is not None:
            if scope.needed:
                raise Refused("A substitution and xargs are not done in one pipeline here; use one of them.")
            return _with_xargs(pipeline, position)
        if isinstance(commands[0], SimpleCommand) and not scope.needed and (found := read_exec(commands[0].words)):
            words, call = found
            commands[0].words = words
            return _with_call(pipeline, 1, call, commands[0].redirections)
        if scope.needed:
            needed = scope.needed

            def settle(texts: list[str]) -> list[Pipeline]:
                known = {found.pos[0]: (found.pos[1], text.rstrip("\n")) for found, text in zip(needed, texts)}
                return [self._pipeline(node, ";", variables, known)]

            pipeline.pending = Pending([self._list(found.command, variables) for found in needed], settle)
        return pipeline

    def _members(self, node: Any, scope: _Scope) -> list[Member]:
        if node.kind != "pipeline":
            return [self._member(node, scope)]
        commands: list[Member] = []
        for part in node.parts:
            if part.kind == "pipe":
                last = commands[-1]
                if part.pipe == "|&" and isinstance(last, SimpleCommand):
                    last.redirections.append(Redirection(2, duplicate_of=1))
                elif part.pipe == "|&":
                    raise Refused("`|&` behind a group is not understood here; write `2>&1 |`.")
            elif part.kind == "reservedword":
                raise Refused(f"`{part.word}` before a command is not understood here; leave it out.")
            else:
                commands.append(self._member(part, scope))
        if not all(isinstance(command, SimpleCommand) for command in commands[1:]):
            raise Refused("A group or loop may be the first part of a pipeline here, not a later one.")
        return commands

    def _member(self, node: Any, scope: _Scope) -> Member:
        if node.kind == "command":
            return self._command(node, scope)
        if node.kind != "compound":
            raise Refused(_CONSTRUCTS.get(node.kind, f"A {node.kind} is not run here; write simple commands."))
        inner = node.list[0]
        if inner.kind == "for":
            member: Member = self._loop(inner, scope)
        elif inner.kind == "if":
            member = self._choice(inner.parts, scope.variables)
        elif inner.kind == "reservedword" and inner.word in ("(", "{"):
            parts = [part for part in node.list if part.kind != "reservedword"]
            member = Group([pipeline for part in parts for pipeline in self._list(part, scope.variables)])
        else:
            raise Refused(_CONSTRUCTS.get(inner.kind, f"A {inner.kind} is not run here; write simple commands."))
        redirections = [one for part in node.redirects for one in self._redirections(part, scope)]
        if any(redirection.source for redirection in redirections):
            raise Refused("A group or loop is not given a file to read here; name the file to the commands in it.")
        _redirect(member, redirections)
        return member

    def _loop(self, node: Any, scope: _Scope) -> Group:
        words = [part for part in node.parts if part.kind == "word"]
        bodies = [part for part in node.parts if part.kind not in ("word", "reservedword")]
        said = [part.word for part in node.parts if part.kind == "reservedword"]
        if "in" not in said or len(bodies) != 1 or not re.fullmatch(r"[A-Za-z_]\w*", words[0].word):
            raise Refused("Only loops of the form `for NAME in WORDS; do COMMANDS; done` are run here.")
        name = words[0].word
        found = Group([])
        for word in (word for part in words[1:] for word in self._words(part, scope)):
            found.pattern = found.pattern or word.pattern or ""
            for value in word.expand():
                found.pipelines.extend(self._list(bodies[0], scope.variables.having(name, word, value)))
        return found

    def _choice(self, parts: list[Any], variables: _Variables) -> Choice:
        condition = self._list(parts[1], variables)
        then = self._list(parts[3], variables)
        rest = parts[4:]
        if rest[0].word == "elif":
            return Choice(condition, then, [Pipeline(";", [self._choice(rest, variables)])])
        otherwise = self._list(rest[1], variables) if rest[0].word == "else" else []
        return Choice(condition, then, otherwise)

    def _command(self, node: Any, scope: _Scope) -> SimpleCommand:
        self.unrolled += 1
        if self.unrolled > MOST_UNROLLED:
            raise Refused(f"The line's loops make more than {MOST_UNROLLED} commands; go through fewer words.")
        command = SimpleCommand()
        for part in node.parts:
            if part.kind == "redirect":
                command.redirections.extend(self._redirections(part, scope))
            elif part.kind == "assignment":
                self._assignment(part, node)
            else:
                command.words.extend(self._words(part, scope))
        if not command.words:
            raise Refused("A redirection without a command does nothing that could be read.")
        if command.words[0].made or (command.words[0].pattern is not None and command.words[0].text != "["):
            raise Refused("The name of a program is written out here, not made by a variable, command or pattern.")
        return command

    def _assignment(self, part: Any, node: Any) -> None:
        alone = all(other.kind == "assignment" for other in node.parts)
        if alone or not _ALREADY_SO.fullmatch(self.line[slice(*part.pos)]):
            raise Refused(
                f"Assignments such as `{part.word}` are not made here; the environment is fixed (LC_ALL=C.UTF-8,"
                " no pager). Write the command without it, and a value where it is used."
            )

    def _words(self, node: Any, scope: _Scope) -> list[Word]:
        """The words that one word of the line stands for: several for braces or for what a command printed."""
        raw = self.line[slice(*node.pos)]
        parts = getattr(node, "parts", None) or []
        for part in parts:
            if part.kind in _CONSTRUCTS:
                raise Refused(_CONSTRUCTS[part.kind])
        substitutions = [part for part in parts if part.kind == "commandsubstitution"]
        if len(substitutions) == 1 and substitutions[0].pos == node.pos and node.pos[0] in scope.printed:
            return [Word(checked(text), made=True, printed=True) for text in scope.printed[node.pos[0]][1].split()]
        printed = {part.pos[0]: self._printed(part, scope) for part in substitutions}
        if not parts and len(spread := spread_braces(raw)) > 1:
            return [read_word(one, 0, Values(names=self.names)) for one in spread]
        word = read_word(raw, node.pos[0], Values(scope.variables.values, printed, scope.variables.tainted, self.names))
        if not parts and "$" not in word.text and word.text != node.word and not self._plainly_quoted(node):
            raise Refused(f"The word `{node.word}` could not be read for certain; write it with plain quotation marks.")
        return [word]

    def _plainly_quoted(self, node: Any) -> bool:
        """Whether a word can be read in one way only; the parser mistakes a `"` between single quotation marks."""
        raw, after = self.line[slice(*node.pos)], self.line[node.pos[1] : node.pos[1] + 1]
        return bool(_SINGLE_QUOTES.fullmatch(raw)) and after in ("", *" \t\n;|&)")

    def _printed(self, part: Any, scope: _Scope) -> tuple[int, str]:
        known = scope.printed.get(part.pos[0])
        if known is None:
            scope.needed.append(part)
            return part.pos[1], "1"
        return known

    def _redirections(self, node: Any, scope: _Scope) -> list[Redirection]:
        if node.type == "<" and node.input in (None, 0):
            return [Redirection(0, source=self._one_word(node.output, scope))]
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

    def _one_word(self, node: Any, scope: _Scope) -> Word:
        words = self._words(node, scope)
        if len(words) != 1:
            raise Refused("A redirection wants one file.")
        return words[0]

    def _discards(self, output: Any) -> bool:
        return getattr(output, "kind", None) == "word" and self.line[slice(*output.pos)] == "/dev/null"


def _count(node: Any) -> int:
    """How many simple commands there are in a parser's node."""
    inner = [*(getattr(node, "parts", None) or []), *(getattr(node, "list", None) or [])]
    inner += [node.command] if hasattr(node, "command") else []
    return int(node.kind == "command") + sum(map(_count, inner))


def _redirect(member: Member, redirections: list[Redirection]) -> None:
    """Lets the redirections of a group hold for each command in it, before the command's own."""
    if isinstance(member, SimpleCommand):
        member.redirections[:0] = redirections
        return
    lists = [member.pipelines] if isinstance(member, Group) else [member.condition, member.then, member.otherwise]
    for pipeline in (pipeline for pipelines in lists for pipeline in pipelines):
        if redirections and pipeline.pending:
            raise Refused("A redirection of a group with a substitution in it is not understood here; leave it out.")
        for position, inner in enumerate(pipeline.commands):
            # Output that goes into a pipe inside the group stays there.
            last = position == len(pipeline.commands) - 1
            _redirect(inner, [one for one in redirections if last or (one.descriptor == 2 and not one.duplicate_of)])


def _is_xargs(member: Member) -> bool:
    return isinstance(member, SimpleCommand) and member.words[0].text == "xargs"


def _with_xargs(pipeline: Pipeline, position: int) -> Pipeline:
    """The pipeline, with what xargs would run made a group that is pending on what comes before it."""
    command = pipeline.commands[position]
    if not isinstance(command, SimpleCommand) or any(word.pattern for word in command.words):
        raise Refused("A file name pattern among the arguments of xargs is not expanded here; quote it.")
    call = read_xargs([word.text for word in command.words[1:]])
    before = Pipeline(pipeline.joined_by, pipeline.commands[:position])
    return _with_call(before, position, call, command.redirections, pipeline.commands[position + 1 :])


def _with_call(
    pipeline: Pipeline, position: int, call: Xargs, redirections: list[Redirection], after: list[Member] | None = None
) -> Pipeline:
    """The first commands of the pipeline, then what is called with what they print, then what comes after."""
    before, rest = pipeline.commands[:position], pipeline.commands[position:] if after is None else after
    if any(map(_is_xargs, rest)):
        raise Refused("xargs is understood once in a pipeline here, and not behind find's -exec.")

    def settle(texts: list[str]) -> list[Pipeline]:
        runs = [Pipeline(";", [SimpleCommand(words, list(redirections))]) for words in call.runs(texts[0])]
        return [Pipeline(";", [Group(runs), *rest])]

    stand_in = settle(["1"])[0]
    return Pipeline(pipeline.joined_by, stand_in.commands, Pending([[Pipeline(";", before)]], settle))
