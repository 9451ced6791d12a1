# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a preflight, from whatever its tasks registered."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report import preflight_data, preflight_text

OK = {"verdict": "ok", "found": "All well.", "remedy": None}
BAD = {"verdict": "failed", "found": "No command would be run.", "remedy": "Install bubblewrap."}
LESS = {"verdict": "limited", "found": "No kprobes.", "remedy": "Ask all the same."}


def looked(asks: str = "m at gw, from the host", **checks: Any) -> dict[str, Any]:
    return {"changed": False, "asks": asks, "checks": checks}


def overview(**registered: list[Any]) -> dict[str, Any]:
    return preflight_data.overview(preflight_data.entries(registered), "2026-01-31T02:03:04+00:00")


def test_a_host_is_what_its_worst_verdict_is() -> None:
    found = overview(
        a=[looked(setup=OK)],
        b=[looked(setup=OK), looked(probes=LESS)],
        c=[looked(setup=OK), looked(sandbox=BAD), looked(probes=LESS)],
        d=[{"unreachable": True, "msg": "no route"}],
        e=[{"failed": True, "msg": "no Python"}],
        f=[{}],
    )
    status = {host: entry["status"] for host, entry in found["hosts"].items()}
    assert status == {
        "a": "ready", "b": "limited", "c": "failed", "d": "unreachable", "e": "failed", "f": "failed"
    }  # fmt: skip
    assert found["counts"] == {"ready": 1, "limited": 1, "failed": 3, "unreachable": 1}
    assert "failed or was left out before" in found["hosts"]["f"]["error"]


def test_a_model_s_verdicts_hold_for_hosts_that_ask_it_the_same_way_and_no_others() -> None:
    found = overview(
        a=[looked(setup=OK)],
        b=[looked(setup=OK), {"results": [looked(network=OK), looked(memory=BAD)]}],
        c=[looked(setup=OK, asks="other at gw, from the host")],
        d=[looked(setup=OK, asks=""), {"skipped": True}],
    )["hosts"]
    assert found["a"]["checks"]["memory"]["verdict"] == "failed"
    assert (found["a"]["asked_from"], found["b"]["asked_from"]) == ("b", None)
    assert "memory" not in found["c"]["checks"]
    assert "memory" not in found["d"]["checks"]


@pytest.mark.parametrize(
    "sent", ["a text", [1], {"checks": 7}, looked(setup="yes"), looked(setup={"verdict": "fine"}), looked(moon=OK)]
)
def test_what_is_no_verdict_is_that_host_s_failure_and_nobody_else_s(sent: Any) -> None:
    found = overview(good=[looked(setup=OK)], bad=[sent])
    assert found["hosts"]["good"]["status"] == "ready"
    assert found["hosts"]["bad"]["status"] == "failed"
    assert preflight_text.as_text(found)


def test_what_is_amiss_is_said_once_with_its_hosts_and_its_mend() -> None:
    hosts = {f"web{number:02}": [looked(setup=OK, sandbox=BAD)] for number in range(20)}
    text = preflight_text.as_text(overview(**hosts, db1=[looked(setup=OK, sandbox=OK, probes=LESS)]))
    assert text.count("No command would be run.") == 1
    assert "• sandbox, web00, web01" in text
    assert "and 8 more" in " ".join(text.split())
    assert "→ Install bubblewrap." in text
    assert text.index("To be mended") < text.index("Goes, with less")
    markdown = preflight_text.as_markdown(overview(**hosts))
    assert markdown.count("Install bubblewrap.") == 20


def test_a_host_cannot_make_up_lines_or_obey_the_terminal() -> None:
    lying = {**BAD, "found": "x\n• setup, db9\x1b[2J | y"}
    found = overview(evil=[looked(sandbox=lying)])
    assert "\n• setup, db9" not in preflight_text.as_text(found)
    assert "\x1b" not in preflight_text.as_text(found) + preflight_text.as_markdown(found)
    assert "\\| y" in preflight_text.as_markdown(found)


def test_no_hosts_are_a_table_without_rows() -> None:
    assert "Preflight of 0 hosts" in preflight_text.as_text(overview())
