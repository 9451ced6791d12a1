# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network is given by the sandbox itself to nothing but plain questions, whatever the policy let through."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.asking_forms import asks, bounded_asking
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.grants import Grants
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.table import RULES

EVERYDAY = Path(__file__).parents[1] / "safety" / "benign" / "everyday.txt"
GIVEN = Grants(frozenset(), frozenset({"inet", "inet6", "netlink"}))

QUESTIONS = """
dig example.org
dig +short +time=2 +tries=1 example.org A
dig @192.0.2.53 -p 5353 example.org MX
dig -x 192.0.2.1
dig -4 -t AAAA -q example.org +nocookie +bufsize=512
host -W 2 example.org
host -t txt -p 8600 example.org 127.0.0.1
host -tMX example.org
host -4ta example.org
nslookup -type=SOA example.org
nslookup -port=8600 example.org 127.0.0.1
traceroute -n -w 1 -q 1 192.0.2.1
traceroute -T -p 443 example.org 60
tracepath -n -m 10 192.0.2.1
mtr -rn -c 5 192.0.2.1
mtr -r -c 3 --tcp -P 443 example.org
""".strip().splitlines()

NO_QUESTIONS = """
dig -f /etc/passwd
dig -f/etc/passwd
dig -4f /etc/passwd
dig -k /etc/bind/rndc.key example.org
dig -y hmac:name:secret example.org
dig +tls-certfile=/etc/shadow @127.0.0.1 x
dig @127.0.0.1 -p 7999 x
dig -p7999 x
dig -p
host -p 7999 x 127.0.0.1
host -p7999 x
host -l example.org
host -C example.org
nslookup -port=7999 x 127.0.0.1
nslookup - 127.0.0.1
nslookup -sil x
dig +opcode=NOTIFY @192.0.2.9 example.org SOA
dig +https=/path @192.0.2.9 example.org
dig +ednsopt=65001:616263 @192.0.2.9 example.org
traceroute -U -p 7999 127.0.0.1
traceroute -p 7999 127.0.0.1
traceroute -M udp 127.0.0.1
tracepath -p 7999 127.0.0.1
mtr -rn -c 1 --udp -P 7999 127.0.0.1
mtr -rn -c 1 -P 7999 127.0.0.1
mtr -F /etc/passwd -r
mtr -rzn -c 1 192.0.2.1
tracepath 127.0.0.1/7999
/usr/bin/dig -f /etc/passwd
""".strip().splitlines()


@pytest.mark.parametrize("line", QUESTIONS)
def test_a_plain_question_is_given_the_network(line: str) -> None:
    assert bounded_asking(shlex.split(line), GIVEN) == (GIVEN, [])


@pytest.mark.parametrize("line", NO_QUESTIONS)
def test_what_may_send_more_or_elsewhere_goes_without_and_is_told_so(line: str) -> None:
    for words in (shlex.split(line), ["timeout", "5", *shlex.split(line)]):
        grants, remarks = bounded_asking(words, GIVEN)
        assert grants.network == {"netlink"}
        assert len(remarks) == 1
        assert line.split()[0] in remarks[0]


def test_every_question_that_diagnosticians_type_and_the_policy_accepts_is_one() -> None:
    lines = [row.split(" :: ")[-1] for row in EVERYDAY.read_text().splitlines()]
    asking = ("dig", "host", "nslookup", "traceroute", "tracepath", "mtr")
    lines += [str(RULES[name]["example"]) for name in asking if "example" in RULES[name]]
    policy = Policy.default()
    asked = [
        command.arguments
        for line in lines
        for command in policy.judge(line).commands()
        if command.arguments[0] in asking
    ]
    assert len(asked) >= 10
    assert [words for words in asked if not asks(words)] == []


def test_other_programs_keep_what_they_are_given() -> None:
    assert bounded_asking(["ping", "-c", "1", "192.0.2.1"], GIVEN) == (GIVEN, [])
    assert bounded_asking(["dig", "-f", "x"], Grants()) == (Grants(), [])
