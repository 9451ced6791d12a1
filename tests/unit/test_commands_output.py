# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output is bounded, says what is missing, and cannot act on a terminal."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.output import BoundedOutput, harmless


def bounded(data: bytes, most: int, size: int = 7) -> tuple[str, int]:
    output = BoundedOutput(most)
    for start in range(0, len(data), size):
        output.add(data[start : start + size])
    return output.text()


def test_short_output_comes_whole() -> None:
    assert bounded("a\nö\n".encode(), 100) == ("a\nö\n", 0)


def test_head_and_tail_are_kept_in_whole_lines_and_the_rest_is_counted() -> None:
    data = b"".join(b"line %03d\n" % number for number in range(100))
    text, left_out = bounded(data, 100)
    assert text.startswith("line 000\nline 001\n")
    assert text.endswith("line 098\nline 099\n")
    assert f"[… {left_out} bytes left out here …]" in text
    kept = re.sub(r"\n\[….*…\]\n", "", text)
    assert len(kept) + left_out == len(data)
    assert all(re.fullmatch(r"line \d{3}|\[….*…\]|", line) for line in text.split("\n"))


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(2, 64), st.integers(1, 50))
def test_what_is_kept_and_what_is_counted_make_the_whole(data: bytes, most: int, size: int) -> None:
    _text, left_out = bounded(data, most, size)
    assert 0 <= left_out <= len(data)
    assert (left_out == 0) == (len(data) <= most)


def test_escapes_control_characters_and_broken_utf8_do_no_harm() -> None:
    assert harmless("a\x1b[31mred\x1b[0m\x1b]0;title\x07b") == "aredb"
    assert harmless("a\x00b\x07c\x9bd") == "a\ufffdb\ufffdc\ufffdd"
    assert harmless("10%\r20%\r\ndone") == "10%\n20%\ndone"
    assert harmless("safe\u202etxt.exe") == "safe\ufffdtxt.exe"
    assert bounded(b"a\xffb", 10) == ("a\ufffdb", 0)


@given(st.text())
def test_nothing_that_a_terminal_would_act_on_comes_through(text: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", harmless(text))
