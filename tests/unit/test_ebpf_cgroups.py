# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cgroups are found in the trees that hosts have: by path, id, systemd unit and container id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.cgroups import Cgroup, Cgroups
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import RequestError

HOSTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "cgroups.yml").read_text("utf-8"))
ASKED = [
    pytest.param(host, asked, id=f"{host['name']}: {', '.join(f'{key} {value}' for key, value in asked.items())}"[:90])
    for host in HOSTS
    for asked in host["asked"]
]


def build(host: dict[str, Any], top: Path) -> Cgroups:
    """The trees of a host below a folder."""
    lines = ["22 27 0:21 / /proc rw,relatime - proc proc rw"]
    for number, mount in enumerate(host["mounts"], 31):
        at = str(top / mount["at"]).replace(" ", r"\040")
        lines.append(f"{number} 23 0:{number} / {at} rw,relatime shared:9 - {mount['kind']} none {mount['options']}")
    for mount, folders in host["folders"].items():
        for folder in folders:
            path = top / mount / folder
            path.mkdir(parents=True)
            for each in (path, *path.relative_to(top).parents[:-1]):
                (top / each / "cgroup.procs").touch()
    (top / "mountinfo").write_text("\n".join(lines) + "\n")
    return Cgroups(str(top / "mountinfo"))


def find(cgroups: Cgroups, asked: dict[str, Any], top: Path) -> Cgroup:
    if "unit" in asked:
        return cgroups.of_unit(asked["unit"])
    if "container" in asked:
        return cgroups.of_container(str(asked["container"]))
    if isinstance(asked["cgroup"], int):
        return cgroups.by_id(asked["cgroup"])
    return cgroups.by_path(asked["cgroup"].replace("/MOUNTS", str(top)))


@pytest.mark.parametrize(("host", "asked"), ASKED)
def test_a_filter_finds_its_cgroup_or_says_why_not(host: dict[str, Any], asked: dict[str, Any], tmp_path: Path) -> None:
    top = tmp_path / "with a space"
    top.mkdir()
    cgroups = build(host, top)
    if "error" in asked:
        with pytest.raises(RequestError) as raised:
            find(cgroups, asked, top)
        assert asked["error"] in str(raised.value)
        assert str(raised.value).endswith((".", "such a unit."))
        return
    found = find(cgroups, asked, top)
    assert found.name == asked["path"]
    assert found.version == asked.get("version", 2)
    if "in" in asked:
        assert (top / asked["in"]) in (found.path, *found.path.parents)


def test_a_cgroup_is_found_by_its_id(tmp_path: Path) -> None:
    cgroups = build(HOSTS[0], tmp_path)
    path = tmp_path / "cgroup" / "system.slice" / "nginx.service"
    assert cgroups.by_id(path.stat().st_ino).path == path


def test_the_processes_of_a_cgroup_are_its_own_and_those_below_it(tmp_path: Path) -> None:
    cgroups = build(HOSTS[0], tmp_path)
    found = cgroups.by_path("/system.slice")
    (found.path / "cgroup.procs").write_text("17\n")
    (found.path / "nginx.service" / "cgroup.procs").write_text("0\n23\n42\n")
    assert found.processes() == {17, 23, 42}


@pytest.mark.parametrize("path", ["\ud800", "x" * 5000, "\0", "a/" * 3000, " "])
def test_what_is_no_path_is_a_sentence(path: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"\.$"):
        build(HOSTS[0], tmp_path).by_path(path)
