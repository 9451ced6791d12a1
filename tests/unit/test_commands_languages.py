# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs for awk and sed that are accepted write and run nothing, whichever awk and sed this machine has.

Programs are put together at random from pieces that are read differently in different places, among them ones that make
a file; those that the judge accepts are run in an empty directory, and nothing may be there afterwards.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.awk import judge_program
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.errors import Refused
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sed import judge_script

# `awk` may be any of the others.
AWKS = [name for name in ("awk", "gawk", "original-awk") if shutil.which(name)]
AWK_PIECES = [
    *('> "f"', '>> "f"', '| "cat>f"', '"touch f" | getline', 'system("touch f")', 'getline <"f"', "@", "|", ">"),
    *("/", "/", "/", '"', '"', "\\", '\\"', "\\/", "[/]", "[[:alpha:]", "[]/]", "[^]]", '/"/', "/x/", ")/", "/=", "/ "),
    *("{", "}", "(", ")", "[", "]", ";", "\n", ",", "\\\n", "# ", "print ", 'printf "x" ', "if (1) ", "else ", "exit "),
    *("1", "$1", "x", "x++", "length", "a[1]", "(1)", "for (k in a) ", "!", "~", "&&", "?", ":", " ", "BEGIN", " in "),
]
AWK_PROGRAMS = [
    *("{ print $1 }", "BEGIN { print 1; x = 4 / 2 }", "/a/ { print }", "{ if (1) print x; else print 2 }"),
    *("$1 ~ /x/ { n++ } END { print n }", "{ print a[1] / 2 }", '{ print > "f" }', '{ print | "cat>f" }'),
    *('/[^/]/ { print >"f" }', '{ x = y / 2; print x >"f"; z = 1 / 2 }', '{ print "a" "/" >"f" }'),
]
SED_PIECES = [
    *("w f", "e touch f", "W f", "w", "e", "w f\n", "r f", "a\\", "i", "y/a/b/", "s/", "s|", "s,", "s/a/b/", "y/"),
    *("/", "|", ",", "/", "\\", "\\/", "\\c", "\\n", "[", "[/]", "[^]", "[[:alpha:]", "]", "[\\/]", "&", "I", "M", "#"),
    *("p", "d", "q", "{", "}", ";", "\n", "1", "$", "1,2", "!", "~", "+", "0,", "n", "N", "=", " ", "a", "b", "t", "g"),
]
SED_PROGRAMS = [
    *("s/a/b/g", "1,2{p;d}", "/a/,/x/p", "s|a|b|;w f", "s/[/]/x/w f", "y/ab/cd/;p", "s/a/b/w f\n", "/a/w f"),
    *("1e touch f", "s/x/touch f/e"),
]


def programs(pieces: list[str], whole: list[str], number: int) -> list[str]:
    """Programs made of pieces, and whole ones with pieces put in and taken out; the same ones each time."""
    chosen = random.Random(5)
    found = []
    for _program in range(number):
        program = chosen.choice(whole)
        for _change in range(chosen.randint(1, 4)):
            at = chosen.randint(0, len(program))
            taken = chosen.choice((0, 0, 0, chosen.randint(1, 3)))
            program = program[:at] + chosen.choice((*pieces, "")) + program[at + taken :]
        found.append(program)
    return found


def accepted(judge: Callable[[str], None], found: list[str]) -> list[str]:
    """Those that the judge accepts and in which a file is named: the others could not make one."""
    passed = []
    for program in found:
        try:
            judge(program)
        except Refused:
            continue
        if "f" in program:
            passed.append(program)
    return sorted(set(passed))


@pytest.mark.parametrize(
    ("name", "options", "judge", "pieces", "whole", "number"),
    [
        *((awk, [], judge_program, AWK_PIECES, AWK_PROGRAMS, 20000) for awk in AWKS),
        ("sed", ["-n"], judge_script, SED_PIECES, SED_PROGRAMS, 40000),
    ],
)
def test_accepted_programs_make_no_file(
    name: str,
    options: list[str],
    judge: Callable[[str], None],
    pieces: list[str],
    whole: list[str],
    number: int,
    tmp_path: Path,
) -> None:
    (tmp_path / "input").write_text('a b c\nx/y "z" 1\n')
    passed = accepted(judge, programs(pieces, whole, number))
    assert len(passed) > 100
    for program in passed[:500]:
        subprocess.run(
            [name, *options, program, "input"], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=10, check=False
        )  # fmt: skip
        assert [path.name for path in tmp_path.iterdir()] == ["input"], program


def test_the_pieces_do_make_files_where_nobody_judges(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("a\n")
    subprocess.run(["awk", '{ print > "f" }', "input"], cwd=tmp_path, check=True)
    subprocess.run(["sed", "-n", "s/a/b/w g", "input"], cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "g", "input"]
