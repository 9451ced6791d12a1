# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: judging a command line before anything of it is run.

Every simple command of a line is judged by program and arguments against rules that are data (`rules/`). What a rule
does not name is refused. The verdict carries what will be run, word for word: judged and executed arguments are the
same lists.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable

from .dependence import Around, teller, tells
from .errors import PolicyError, Refused
from .grants import NOTHING, Grants, granted
from .kinds import check
from .operands import FormMatcher
from .options import Arguments, OptionReader
from .parser import parse
from .paths import PathJudge
from .programs import inserted_for, name_of
from .rules.refused import REFUSED
from .rules.schema import Rule
from .rules.table import RULES
from .site import SiteRules, read_site_rules
from .syntax import Choice, Group, Member, Pending, Pipeline, Redirection, SimpleCommand
from .verdict import (
    JudgedChoice,
    JudgedCommand,
    JudgedGroup,
    JudgedMember,
    JudgedPending,
    JudgedPipeline,
    Verdict,
    simple_commands,
)
from .words import Word

SITE_FILE = "/etc/nannyapi/command_policy.json"


class Policy:
    """The rules of this host: the built-in ones, narrowed or widened by the site's."""

    def __init__(self, site: SiteRules | None = None) -> None:
        site = site or SiteRules()
        self.refused = {name: why for name, why in REFUSED.items() if name not in site.allow} | site.refuse
        self.rules: dict[str, Rule] = {
            name: rule for name, rule in {**RULES, **site.allow}.items() if name not in site.refuse
        }
        self.readers = {name: OptionReader(name, rule) for name, rule in self.rules.items()}
        self.paths = PathJudge(site.secret_paths)
        # File name patterns, which the sandbox masks.
        self.secret_patterns = site.secret_patterns

    @classmethod
    def default(cls) -> Policy:
        """The built-in rules alone."""
        return cls()

    @classmethod
    def from_file(cls, path: str) -> Policy:
        """The built-in rules and those of a site's file; raises `PolicyError` where it cannot be used."""
        return cls(read_site_rules(path))

    @classmethod
    def for_host(cls, path: str = SITE_FILE) -> Policy:
        """The rules of this host: with the site's file where there is one. Raises `PolicyError`."""
        return cls.from_file(path) if os.path.lexists(path) else cls.default()

    def judge(self, command: str) -> Verdict:
        """The verdict on a command line; never raises."""
        try:
            return Verdict(True, "", self._pipelines(parse(command), Around()))
        except Refused as error:
            return Verdict(False, str(error))
        except Exception as error:
            # Whatever was not foreseen is not run.
            return Verdict(False, f"The command is not run, as judging it failed ({type(error).__name__}: {error}).")

    def _pipelines(self, pipelines: list[Pipeline], around: Around) -> list[JudgedPipeline]:
        found: list[JudgedPipeline] = []
        outcome = ""
        for pipeline in pipelines:
            # Behind `&&` and `||` it is the outcome of all that is joined so.
            outcome = "" if pipeline.joined_by == ";" else outcome or teller(found[-1:])
            found.append(self._pipeline(pipeline, around.on(outcome)))
        return found

    def _pipeline(self, pipeline: Pipeline, around: Around) -> JudgedPipeline:
        if pipeline.pending is None:
            return JudgedPipeline(pipeline.joined_by, [self._member(member, around) for member in pipeline.commands])
        # What stands in for it is judged; what is run is judged when it is known.
        return JudgedPipeline(pipeline.joined_by, [], self._pending(pipeline.pending, pipeline.commands, around))

    def _pending(self, pending: Pending, members: list[Member], around: Around) -> JudgedPending:
        first = [self._pipelines(pipelines, around) for pipelines in pending.first]
        for command in (command for pipelines in first for command in simple_commands(pipelines)):
            if command.arguments[0] in ("echo", "printf"):
                raise Refused(f"What `{command.arguments[0]}` prints is known; write it where it is used.")
        stand_in = [self._member(member, around.made_by(first, stand_in=True)) for member in members]
        made = around.made_by(first, stand_in=False)
        return JudgedPending(first, lambda texts: self._pipelines(pending.settle(texts), made), stand_in)

    def _member(self, member: Member, around: Around) -> JudgedMember:
        if isinstance(member, Group):
            return JudgedGroup(self._pipelines(member.pipelines, around.on(member.pattern)))
        if isinstance(member, Choice):
            condition = self._pipelines(member.condition, around)
            around = around.on(teller(condition))
            return JudgedChoice(
                condition, self._pipelines(member.then, around), self._pipelines(member.otherwise, around)
            )
        return self._command(member, around)

    def _command(self, command: SimpleCommand, around: Around) -> JudgedCommand:
        arguments = [text for word in command.words for text in word.expand()]
        redirections = [self._redirection(redirection) for redirection in command.redirections]
        words, grants, program = self._judged(name_of(arguments[0]), arguments[1:])
        if grants.speaks:
            _refuse_sending(command.words, around)
        around.take(program, grants.speaks)
        looks = bool(grants.reads) or any(redirection.source for redirection in redirections)
        looks = looks or any(word.pattern is not None and word.expand() != [word.text] for word in command.words)
        return JudgedCommand(words, redirections, grants, tells(program, arguments[1:], grants.speaks, looks))

    def _judged(self, program: str, words: list[str]) -> tuple[list[str], Grants, str]:
        """What is run for a program with these words, what it is granted, and which program does the work."""
        if program in self.refused or program not in self.rules:
            raise Refused(self._no_rule(program))
        rule = self.rules[program]
        if words == ["--version"]:
            return [program, *words], NOTHING, program
        if "runs" in rule:
            return self._judged_runner(program, rule, words)
        grants = self._judge_arguments(program, words)
        inserted = [*rule.get("insert", []), *_inserted_with(rule, self.readers[program].read(words))]
        return [program, *inserted, *inserted_for(program, rule), *words], grants, program

    def _judged_runner(self, program: str, rule: Rule, words: list[str]) -> tuple[list[str], Grants, str]:
        """The same for a program that runs another one: the grants are those of the other one."""
        operands = self.readers[program].read(words).operands
        own = words[: len(words) - len(operands) + rule["runs"]]
        if len(operands) <= rule["runs"]:
            raise Refused(f"`{program}` is accepted with a command to run.{_example(rule)}")
        self._judge_arguments(program, own)
        inner, grants, working = self._judged(name_of(operands[rule["runs"]]), operands[rule["runs"] + 1 :])
        return [program, *own, *inner], grants, working

    def _redirection(self, redirection: Redirection) -> Redirection:
        if redirection.source is not None:
            names = redirection.source.expand()
            if len(names) != 1:
                raise Refused(f"`< {redirection.source.text}` stands for several files; name one.")
            self.paths.may_read(names[0])
            return Redirection(redirection.descriptor, source=Word(names[0]))
        return redirection

    def _no_rule(self, program: str) -> str:
        if program in self.refused:
            return f"`{program}` is not run here: {self.refused[program]}."
        return (
            f"`{program}` is not among the read-only programs that are run here. Files are read with cat, grep, head"
            " and tail; the system with ps, ss, ip, journalctl, systemctl status, dmesg, df, free, vmstat, lsof."
        )

    def _judge_arguments(self, program: str, words: list[str]) -> Grants:
        rule = self.rules[program]
        reads: list[str] = []
        reader = self.readers[program]
        arguments = reader.read(words)
        for name, value in arguments.options:
            self._judge_value(program, reader.kind(name), name, value, rule, reads)
        self._judge_needs(program, rule, arguments)
        self._judge_operands(program, rule, arguments, reads)
        return granted(rule, arguments, reads)

    def _judge_value(
        self, program: str, kind: str | None, name: str, value: str | None, rule: Rule, reads: list[str]
    ) -> None:
        if kind is None or value is None:
            return
        try:
            check(kind, value, _noting(self.paths.may_read, reads))
        except Refused as error:
            raise Refused(f"`{program} {name}`: {error}") from error
        what = self.paths.mentions_secret(value) if _reads(rule) else None
        if what:
            raise Refused(f"`{program} {name} {value}` names a file that is not shown: {what}.")

    def _judge_needs(self, program: str, rule: Rule, arguments: Arguments) -> None:
        for names, why in rule.get("needs", {}).items():
            if not arguments.has(names):
                raise Refused(f"`{program}` needs `{names.split()[0]}` here: {why}.{_example(rule)}")
        for given, others in rule.get("excludes", {}).items():
            for names, why in others.items():
                if arguments.has(given) and arguments.has(names):
                    raise Refused(
                        f"`{program}` is not accepted with one of {given} and one of {names}: {why}.{_example(rule)}"
                    )
        for given, needed in rule.get("needs_with", {}).items():
            for names, why in needed.items():
                if arguments.has(given) and not arguments.has(names):
                    raise Refused(f"`{program} {given.split()[0]}` needs `{names.split()[0]}`: {why}.{_example(rule)}")

    def _judge_operands(self, program: str, rule: Rule, arguments: Arguments, reads: list[str]) -> None:
        forms = rule.get("forms", [""])
        for names, others in rule.get("forms_with", {}).items():
            if arguments.has(names):
                forms = others
        recursive = arguments.has(rule.get("recursive", ""))
        judge_path = self.paths.may_read_tree if recursive else self.paths.may_read
        matcher = FormMatcher(_noting(judge_path, reads), rule.get("series"))
        if not matcher.match(forms, arguments.operands):
            shown = " ".join([program, *arguments.operands])[:200]
            reasons = [f"{rule['operands_note']}."] if "operands_note" in rule else []
            reasons += [str(matcher.why)] if matcher.why else []
            why = " ".join(reasons) or "not with these operands."
            raise Refused(f"`{shown}` is not accepted: {why}{_example(rule)}")
        if recursive and len(arguments.operands) < (1 if forms is not rule.get("forms") else 2):
            raise Refused(f"`{program}` with {rule['recursive'].split()[0]} needs a directory to read.")


def _refuse_sending(words: list[Word], around: Around) -> None:
    """What a command printed is no name to be looked up: it would be sent to whoever answers.

    Nor is what a pattern stands for: names of files are the host's own.
    """
    for word in words[1:]:
        if word.pattern is not None and word.expand() != [word.text]:
            raise Refused(f"`{word.text[:80]}` stands for file names, which would be sent over the network; quote it.")
        if word.printed and not (around.stand_in and word.text == "1") and not _is_printed_address(word):
            raise Refused(
                f"`{word.text[:80]}` holds what a command printed, and would be sent over the network; only an"
                " address may be. Write the name itself."
            )


def _is_printed_address(word: Word) -> bool:
    try:
        ipaddress.ip_address(word.text)
    except ValueError:
        return False
    return not word.pieced


def _noting(judge_path: Callable[[str], None], reads: list[str]) -> Callable[[str], None]:
    """A judge of paths that also notes those which may be read."""

    def judge_and_note(path: str) -> None:
        judge_path(path)
        reads.append(path)

    return judge_and_note


def _inserted_with(rule: Rule, arguments: Arguments) -> list[str]:
    return [
        word
        for names, uses in rule.get("insert_with", {}).items()
        for expression, word in uses.items()
        if any(name in names.split() and re.fullmatch(expression, value or "") for name, value in arguments.options)
        and not arguments.has(word.partition("=")[0])
    ]


def _reads(rule: Rule) -> bool:
    """Whether a program shows files' content, so that a misread option could show a secret one."""
    return any("@read" in form or "@file" in form for form in rule.get("forms", []))


def _example(rule: Rule) -> str:
    example = rule.get("example")
    return f" Accepted is, for one: `{example}`." if example else ""


__all__ = ["SITE_FILE", "Grants", "JudgedCommand", "JudgedPipeline", "Policy", "PolicyError", "Verdict"]
