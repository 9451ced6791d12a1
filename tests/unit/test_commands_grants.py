# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verdict grants to each simple command: nothing, unless its rule says so for that use."""

from __future__ import annotations

import re

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.grants import CAPABILITIES, FAMILIES, Grants
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.table import RULES

POLICY = Policy.default()


def grants(line: str) -> list[Grants]:
    verdict = POLICY.judge(line)
    assert verdict.allowed, verdict.reason
    return [command.grants for pipeline in verdict.pipelines for command in pipeline.commands]


def test_a_capability_is_granted_to_the_use_that_needs_it_and_to_no_other() -> None:
    assert grants("ss -tan")[0].capabilities == frozenset()
    assert grants("ss -tanp")[0].capabilities == {"SYS_PTRACE", "DAC_READ_SEARCH"}
    assert grants("netstat -tuln")[0].capabilities == frozenset()
    assert grants("nft list ruleset")[0].capabilities == {"NET_ADMIN"}
    assert [of.capabilities for of in grants("dmesg -T | grep -i oom")] == [{"SYSLOG"}, frozenset()]


def test_the_network_is_opened_by_address_family() -> None:
    assert grants("ss -tan")[0].network == {"netlink"}
    assert grants("ss -tanr")[0].network == {"netlink", "inet", "inet6"}
    assert grants("ping -c 1 192.0.2.1")[0].network == {"inet", "inet6"}
    assert grants("cat /etc/hosts")[0].network == frozenset()


def test_the_bus_is_opened_for_methods_that_read() -> None:
    methods = grants("systemctl status ssh")[0].dbus
    assert "org.freedesktop.systemd1.Manager.GetUnit" in methods
    assert grants("cat /etc/hosts")[0].dbus == ()


def test_systemctl_may_read_the_journal_for_a_status_and_no_file_for_anything_else() -> None:
    assert grants("systemctl status ssh 'dev-*.mount' user@1000.service")[0].capabilities == {"DAC_READ_SEARCH"}
    for line in (
        "systemctl cat ssh",
        "systemctl show ssh",
        "systemctl list-units",
        "systemctl",
        "systemctl status /etc/x",
    ):
        assert grants(line)[0].capabilities == frozenset(), line


def test_links_of_a_process_are_not_followed_with_a_capability() -> None:
    assert grants("ls -l /proc/1/fd")[0].capabilities == {"SYS_PTRACE", "DAC_READ_SEARCH"}
    for options in ("-lL", "-R", "-LR", "--dereference", "--recursive"):
        assert grants(f"ls {options} /proc/1/fd")[0].capabilities == frozenset(), options


def test_who_speaks_to_other_hosts_is_known() -> None:
    for line in ("ping -c 1 192.0.2.1", "ss -r", "netstat -t", "getent hosts a.example", "resolvectl query a.example"):
        assert grants(line)[0].speaks, line
    for line in ("ss -t", "netstat -tn", "getent passwd root", "resolvectl status", "ethtool eth0", "iptables -S"):
        assert not grants(line)[0].speaks, line


def test_the_paths_that_a_command_shows_are_named() -> None:
    assert grants("grep -n root /etc/passwd /etc/group")[0].reads == ("/etc/passwd", "/etc/group")
    assert grants("ls -l /etc/shadow")[0].reads == ()
    assert [of.reads for of in grants("cat /etc/hosts | sort")] == [("/etc/hosts",), ()]


@pytest.mark.parametrize("program", sorted(RULES))
def test_a_rule_grants_only_what_there_is(program: str) -> None:
    rule = RULES[program]
    options = {*rule.get("flags", "").split()}
    options |= {name for key in ("values", "optional") for names in rule.get(key, {}) for name in names.split()}
    for uses, known in ((rule.get("capability", {}), CAPABILITIES), (rule.get("network", {}), FAMILIES)):
        for given, names in uses.items():
            assert set(given.split()) <= options, "the use is named by options that the rule accepts"
            assert names.split()
            assert set(names.split()) <= set(known)
    for method in rule.get("dbus", []):
        assert re.fullmatch(r"org\.freedesktop\.[\w.]+\.(Get\w*|List\w*|Load\w*|Resolve\w*|Describe)", method)


@pytest.mark.parametrize("program", sorted(name for name, rule in RULES.items() if rule.get("capability")))
def test_what_shows_files_or_runs_code_of_the_callers_choice_gets_no_capability(program: str) -> None:
    rule = RULES[program]
    kinds = [*rule.get("values", {}).values(), *rule.get("optional", {}).values()]
    assert not {"read", "file"} & set(kinds)
    assert not any("@read" in form or "@file" in form for form in rule.get("forms", []))
