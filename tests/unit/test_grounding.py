# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a resolution the evidence carries: held to labels made by hand, and to texts of any kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grounding_cases import recorded, score
from hypothesis import given, settings
from hypothesis import strategies as st
from test_offline_conclusions import SITUATIONS, command_result, resolve, trace_result
from test_offline_conclusions import recorded as recorded_for_offline

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.grounding.check import MAX_CLAIMS, ground, index_of
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.grounding.text import LONGEST_SENTENCE, sentences
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.offline.requests import COMMANDS

FOUND_AT_LEAST, DOUBTED_AT_MOST = 0.95, 0.03


@pytest.mark.parametrize("part", ["resolutions", "held_out", "later"])
def test_claims_without_support_are_found_and_those_with_support_are_left_in_peace(part: str) -> None:
    result = score(part)
    wrong = "\n".join(result.wrong)
    assert result.found_share >= FOUND_AT_LEAST, f"{result.found} of {result.unsupported} found\n{wrong}"
    assert result.doubted_share <= DOUBTED_AT_MOST, f"{result.doubted} of {result.supported} doubted\n{wrong}"


def test_two_hundred_resolutions_are_labelled_a_third_of_them_held_out() -> None:
    parts = [score(part) for part in ("resolutions", "held_out")]
    assert sum(part.unsupported for part in parts) >= 200
    assert sum(part.supported for part in parts) >= 600


def unsupported(root_cause: str, evidence: dict[str, Any]) -> list[str]:
    return [
        claim["claim"] for claim in ground({"root_cause": root_cause, "ebpf_evidence": ""}, evidence)["unsupported"]
    ]


def supported(root_cause: str, evidence: dict[str, Any]) -> dict[str, list[str]]:
    claims = ground({"root_cause": root_cause, "ebpf_evidence": ""}, evidence)["supported"]
    return {claim["claim"]: claim["by"] for claim in claims}


def test_a_number_is_borne_out_only_by_the_result_that_is_cited() -> None:
    evidence = recorded("refused")
    assert unsupported("connects_1795397515: 112 calls.", evidence) == ["112"]
    assert supported("tcp_states_1795397515: 112 changes.", evidence)["112"] == ["tcp_states_1795397515"]


@pytest.mark.parametrize("value", ["0.43", "14.87", "15.00", "15.50"])
def test_shares_of_the_time_in_which_something_waited_may_be_rounded(value: str) -> None:
    output = f"some avg10={value} avg60=4.58 avg300=1.35 total=197531021\nfull avg10=7.07 avg60=3.99 total=183013812"
    result = {"id": "pressure_io", "command": "cat /proc/pressure/io", "exit_code": 0, "output": output}
    evidence = {"command_results": [result]}
    text = f"The disks keep up ({float(value):.0f} % of the last ten seconds waited for them)."
    assert unsupported(text, evidence) == []
    assert unsupported("Something waited for a disk during 37 % of the last ten seconds.", evidence) == ["37 %"]
    assert unsupported(f"Of the memory {float(value):.0f} % are left.", evidence) == [f"{float(value):.0f} %"]
    told = {"system_information": {"pressure": {"io": {"some_avg10": float(value), "some_avg60": 61.0}}}}
    assert unsupported(text, told) == []


def test_that_a_log_has_no_errors_is_no_claim_about_system_calls() -> None:
    evidence = recorded("no_space")
    assert unsupported("Writes: the kernel's log has no disk errors of the last hour.", evidence) == []
    assert unsupported("Writes have no errors.", evidence) != []


def test_a_number_is_borne_out_only_with_its_unit() -> None:
    evidence = recorded("refused")
    assert unsupported("The median of connect was 98.3 ms.", evidence) == ["98.3 ms"]
    assert "0.098 ms" in supported("The median of connect was 0.098 ms.", evidence)


def test_a_part_of_a_longer_name_or_number_is_not_found() -> None:
    evidence = recorded("refused")
    assert unsupported("The process order_s (pid 2756) connects to 127.0.0.1:543.", evidence) == [
        "order_s",
        "2756",
        "127.0.0.1:543",
    ]


def test_a_result_that_was_never_collected_carries_nothing() -> None:
    assert unsupported("drops_1795397515: 51 calls.", recorded("refused")) == ["drops_1795397515", "51"]


def test_a_probe_that_was_not_attached_is_no_evidence_of_silence() -> None:
    assert unsupported("no_such_function was called 0 times.", recorded("quiet")) == ["0"]


def test_what_redaction_put_in_place_of_a_secret_is_found_like_any_other_word() -> None:
    evidence = {
        "command_results": [
            {"id": "env", "command": "cat /etc/app.conf", "output": "token=[redacted:jwt:1]\n", "exit_code": 0}
        ]
    }
    assert unsupported("It uses [redacted:jwt:1] and not [redacted:jwt:2].", evidence) == ["[redacted:jwt:2]"]


def test_words_of_the_issue_are_nobodys_invention() -> None:
    evidence = {"issue": "redis on cache-07.example.org is slow", "command_results": [], "ebpf_results": {}}
    assert unsupported(
        "Nothing was found of redis on cache-07.example.org, nor of mysqld_safe on cache-08.", evidence
    ) == ["cache-08"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in SITUATIONS])
def test_the_offline_diagnostician_claims_nothing_that_is_not_in_the_evidence(case: dict[str, Any]) -> None:
    evidence = {
        "command_results": [as_asked_for(name, told) for name, told in case.get("commands", {}).items()],
        "ebpf_results": dict(trace_result(index, told) for index, told in enumerate(case.get("traces", []))),
    }
    resolution = resolve(case["issue"], evidence, case.get("system"))
    told = {**evidence, "issue": case["issue"], "system_information": case.get("system") or {}}
    assert ground(resolution, told)["unsupported"] == []


def as_asked_for(name: str, told: Any) -> dict[str, Any]:
    looked_up = f"getent ahosts {name.partition('_')[2]}"
    return {**command_result(name, told), "command": COMMANDS.get(name, (looked_up, ""))[0]}


@pytest.mark.parametrize("name", ["recorded_ill.json", "recorded_healthy.json"])
def test_nor_does_it_about_a_real_host(name: str) -> None:
    issue = "Application randomly fails to connect to database"
    evidence = recorded_for_offline(name)
    assert ground(resolve(issue, evidence), {**evidence, "issue": issue})["unsupported"] == []


WORDS = """
orders 51 of 54 ECONNREFUSED (pid 27563) connects_1795397515: 98.3 us % not no all failed between and [ ] ` " / 1e9
127.0.0.1:5432 :: 99999999999999999999999 -5 twelve port each, nothing listens on 2024. half
"""
words = st.sampled_from(WORDS.split())


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.lists(words, max_size=40).map(" ".join), st.text(max_size=300)))
def test_no_text_upsets_the_checker(text: str) -> None:
    found = ground({"root_cause": text, "ebpf_evidence": text}, recorded("refused"))
    json.dumps(found)
    assert all(claim["reason"] for claim in found["unsupported"])
    assert all(claim["by"] for claim in found["supported"])
    assert found == ground({"root_cause": text, "ebpf_evidence": text}, recorded("refused"))


def test_numbers_beyond_all_measure_upset_nothing() -> None:
    huge = "9" * 400
    evidence = {
        "command_results": [
            {"id": "vmstat", "command": "vmstat 1 2", "output": f"r b\n{huge} 1\n{huge} 2\n", "exit_code": 10**400},
        ],
        "ebpf_results": {
            "k_1": {"event_count": 10**400, "duration_s": float("nan"), "target": "a/b", "by_process": []}
        },
        "system_information": {"cpus": 10**400, "memory_mib": {"total": float("inf"), "free": 10**400}},
    }
    assert unsupported(f"It fired {huge} times a second, {huge} % of {huge} GB.", evidence)


@pytest.mark.parametrize("shape", [None, [], "x", {"a": 1}, [None], {"k": None}, [{"id": 3, "output": 7}]])
def test_evidence_of_any_shape_is_read(shape: Any) -> None:
    evidence = {"command_results": shape, "ebpf_results": shape, "system_information": shape}
    assert ground({"root_cause": "It failed 7012 times."}, evidence)["unsupported"]


def test_a_resolution_of_nothing_but_numbers_is_bounded() -> None:
    text = " ".join(f"{number} calls." for number in range(1000, 5000))
    assert len(ground({"root_cause": text, "ebpf_evidence": ""}, recorded("busy"))["unsupported"]) <= MAX_CLAIMS


def test_a_sentence_that_never_ends_is_read_in_pieces_and_no_claim_of_its_beginning_is_lost() -> None:
    evidence = recorded("refused")
    endless = "tcp_states_1795397515: 112 changes, " + "1 2 3 4 5 6 7 8 9 " * 1000
    read = sentences(endless, index_of(evidence))
    assert max(len(sentence.text) for sentence in read) <= LONGEST_SENTENCE
    assert "".join(sentence.text for sentence in read) == endless
    assert "112" in supported(endless, evidence)
