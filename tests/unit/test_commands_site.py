# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's own rules: what they may say, and whose file they may be in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy, PolicyError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.schema import Rule

ROLE = Path(__file__).parents[2] / "roles" / "commands"

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="a site's policy has to be root's own file; needs root to make one")


def policy_of(tmp_path: Path, data: Any, mode: int = 0o644) -> Policy:
    path = tmp_path / "command_policy.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    path.chmod(mode)
    return Policy.from_file(str(path))


@ROOT
def test_a_site_widens_and_narrows(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        {
            "allow": {
                "pg_isready": {"values": {"-h --host": "host"}, "network": {"": "inet inet6"}},
                "hostname": {"flags": "-f"},
                "tcpdump": {"flags": "-D", "needs": {"-D": "only the interfaces are listed here"}},
            },
            "refuse": {"lsof": "it takes too long here"},
            "secret_paths": ["/srv/vault/*"],
        },
    )
    assert policy.judge("pg_isready -h db.example.com").allowed
    assert next(policy.judge("pg_isready -h db").commands()).grants.network == {"inet", "inet6"}
    assert not policy.judge("pg_isready -f x").allowed
    # What is refused by name is accepted where the site has a rule for it.
    assert policy.judge("tcpdump -D").allowed
    assert "only the interfaces" in policy.judge("tcpdump").reason
    assert policy.judge("hostname -f").allowed
    assert not policy.judge("hostname -I").allowed
    assert "it takes too long here" in policy.judge("lsof -i").reason
    assert "named as secret by this site" in policy.judge("cat /srv/vault/x/y").reason
    assert policy.judge("uptime").allowed


@ROOT
@pytest.mark.parametrize(
    ("data", "because"),
    [
        ("{", "is not JSON"),
        ([], "must hold one JSON object"),
        ({"alow": {}}, "has the key `alow`"),
        ({"allow": []}, "must be an object"),
        ({"allow": {"x": []}}, "must be an object"),
        ({"allow": {"x": {"flag": "-a"}}}, "has the key `flag`"),
        ({"allow": {"x": {"flags": ["-a"]}}}, "wrong shape"),
        ({"allow": {"x": {"values": {"-a": "anything"}}}}, "`anything`, which does not exist"),
        ({"allow": {"x": {"forms": ["@what..."]}}}, "`what`, which does not exist"),
        ({"allow": {"x": {"matching": ["("]}}}, "`re:(`"),
        ({"allow": {"x": {"capability": {"": "SYS_ADMIN"}}}}, "names `SYS_ADMIN`; known are DAC_READ_SEARCH"),
        ({"allow": {"x": {"network": {"": "bluetooth"}}}}, "names `bluetooth`; known are inet"),
        ({"allow": {"x": {"capability": {"": "SYSLOG"}, "forms": ["@read..."]}}}, "opened by a trusted reader"),
        ({"allow": {"ip": {"capability": {"": "SYSLOG NET_ADMIN"}}}}, "to listing forms of conntrack, ip6tables,"),
        ({"allow": {"ip": {"capability_on": {"a": "NET_ADMIN"}}}}, "to listing forms of conntrack, ip6tables,"),
        ({"allow": {"x": {"runs": "1"}}}, "wrong shape"),
        ({"secret_paths": "x"}, "must be a list"),
        ("\udcff", "could not be read"),
    ],
)
def test_a_mistake_in_it_is_told_in_a_sentence(tmp_path: Path, data: Any, because: str) -> None:
    path = tmp_path / "command_policy.json"
    if isinstance(data, str):
        path.write_bytes(data.encode("utf-8", "surrogateescape"))
    else:
        path.write_text(json.dumps(data))
    with pytest.raises(PolicyError, match=r".*\.$") as caught:
        Policy.from_file(str(path))
    assert because in str(caught.value)


@ROOT
def test_a_file_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    for mode in (0o664, 0o646):
        with pytest.raises(PolicyError, match="others than root may write it"):
            policy_of(tmp_path, {}, mode)
    (tmp_path / "command_policy.json").chmod(0o644)
    os.chown(tmp_path / "command_policy.json", 65534, 0)
    with pytest.raises(PolicyError, match="others than root may write it"):
        Policy.from_file(str(tmp_path / "command_policy.json"))


@ROOT
def test_a_file_in_a_directory_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(PolicyError, match="its directory is not root's own"):
        policy_of(tmp_path, {})


def test_the_role_knows_every_key_of_a_rule() -> None:
    written = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    assert written["__nannyapi_commands_keys"] == list(Rule.__annotations__)


def test_without_a_file_the_built_in_rules_hold_but_a_broken_one_is_an_error(tmp_path: Path) -> None:
    assert Policy.for_host(str(tmp_path / "none.json")).judge("uptime").allowed
    os.symlink("/nonexistent", tmp_path / "dangling.json")
    with pytest.raises(PolicyError, match="could not be read"):
        Policy.for_host(str(tmp_path / "dangling.json"))
