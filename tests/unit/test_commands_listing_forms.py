# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NET_ADMIN is given by the sandbox itself to nothing but listings, whatever the policy let through."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.grants import Grants
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.listing_forms import (
    PROGRAMS,
    bounded,
    lists,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.module_loading import would_load
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.table import RULES

LISTINGS = """
iptables -S
iptables -L
iptables -nvL
iptables -L INPUT -n -v -x --line-numbers
iptables -t nat -S POSTROUTING
iptables -nL INPUT 1
iptables --table mangle --list-rules
iptables -w -L
ip6tables -L -n
iptables-save
iptables-save -c -t nat
ip6tables-save
nft list ruleset
nft -a list chain inet filter input
nft -j list tables
nft -nn list set inet filter blocked
conntrack -S
conntrack -L -p tcp --dst 192.0.2.1
conntrack -L expect
conntrack -C
""".strip().splitlines()

NO_LISTINGS = r"""
iptables
iptables -F
iptables -A INPUT -j DROP
iptables -I INPUT -j ACCEPT
iptables -L -Z INPUT
iptables -nvLZ
iptables -Z -L
iptables --list --zero
iptables --li
iptables -L -M /tmp/x
iptables -L --modprobe=/tmp/x
iptables --table=nat -L
iptables -t broute -L
iptables -t
iptables -L -t nat;x
iptables -P INPUT DROP
iptables -N x
iptables-save -f /tmp/x
iptables-save --file=/tmp/x
iptables-save -M /tmp/x
iptables-save INPUT
iptables-restore /tmp/x
nft
nft list
nft -f /tmp/x
nft -i
nft -I /tmp list ruleset
nft -D x=1 list ruleset
nft -cf /tmp/x
nft --file /tmp/x
nft add table inet x
nft flush ruleset
nft delete table inet x
nft reset counters
nft monitor
nft 'list ruleset; flush ruleset'
nft list ruleset ';' flush ruleset
nft list 'ruleset\nflush ruleset'
nft list ruleset include /tmp/x
nft list tables a b c d e
conntrack
conntrack -F
conntrack -D -p tcp
conntrack -L -z
conntrack -Lz
conntrack -E
conntrack -I -s 192.0.2.1
conntrack -U -m 1
conntrack -L -o x;y
conntrack -L -s /etc/passwd
conntrack -R /tmp/x
ip link set lo down
sh -c 'iptables -F'
""".strip().splitlines()


@pytest.mark.parametrize("line", LISTINGS)
def test_a_listing_has_the_capability(line: str) -> None:
    assert lists(shlex.split(line))


@pytest.mark.parametrize("line", NO_LISTINGS)
def test_nothing_else_has_it(line: str) -> None:
    words = [word.replace("\\n", "\n") for word in shlex.split(line)]
    assert not lists(words)
    grants, remarks = bounded(f"/usr/sbin/{words[0]}", words, Grants(frozenset({"NET_ADMIN", "SYSLOG"})))
    assert grants.capabilities == {"SYSLOG"}
    assert "NET_ADMIN" in remarks[0]


def test_no_line_ends_a_word_early() -> None:
    # `$` of an expression would let a line feed at the end through.
    assert not lists(["nft", "list", "ruleset\n"])
    assert not lists(["iptables", "-t", "nat\n", "-L"])
    assert not lists(["iptables", "-L\n"])
    assert not lists([])


def test_what_the_policy_grants_it_to_is_a_listing() -> None:
    policy = Policy.default()
    granted = [name for name, rule in RULES.items() if "NET_ADMIN" in rule.get("capability", {}).values()]
    assert set(granted) == PROGRAMS
    for line in [*LISTINGS, *(RULES[name]["example"] for name in granted)]:
        verdict = policy.judge(line)
        assert verdict.allowed, verdict.reason
        (command,) = verdict.commands()
        assert command.grants.capabilities == {"NET_ADMIN"}
        assert lists(command.arguments), line


def modules(root: Path, loaded: str, available: str) -> str:
    folder = root / "lib/modules" / os.uname().release
    folder.mkdir(parents=True)
    lines = [f"kernel/net/{name}.ko.xz: kernel/x.ko\n" for name in available.split()]
    (folder / "modules.dep").write_text("".join(lines))
    for name in loaded.split():
        (root / "sys/module" / name).mkdir(parents=True)
    return str(root)


@pytest.mark.parametrize(
    ("line", "leads_to", "module"),
    [
        ("iptables -t nat -L", "xtables-legacy-multi", "iptable_nat"),
        ("iptables -L", "xtables-legacy-multi", ""),
        ("ip6tables -S", "xtables-legacy-multi", "ip6table_filter"),
        ("iptables-save", "xtables-legacy-multi", ""),
        ("iptables-save -t nat", "xtables-legacy-multi", "iptable_nat"),
        ("iptables -t raw -L", "xtables-legacy-multi", ""),
        ("iptables -t nat -L", "xtables-nft-multi", "nf_tables"),
        ("nft list ruleset", "nft", "nf_tables"),
        ("conntrack -S", "conntrack", "nf_conntrack_netlink"),
    ],
)
def test_what_the_kernel_would_load_to_answer_is_known(tmp_path: Path, line: str, leads_to: str, module: str) -> None:
    # Of the old tables `filter` is loaded, `raw` is built in, and so listed nowhere.
    available = "iptable_filter iptable_nat ip6table_filter nf_tables nf_conntrack_netlink"
    root = modules(tmp_path / "root", "iptable_filter", available)
    words = line.split()
    program = tmp_path / leads_to
    program.touch()
    path = tmp_path / words[0]
    if not path.exists():
        path.symlink_to(program)
    assert would_load(str(path), words, root) == module
    loaded = modules(tmp_path / "loaded", available, available)
    assert would_load(str(path), words, loaded) == ""
    assert would_load(str(path), words, str(tmp_path / "container")) == ""
