# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback on a diagnosis: what is posted, and what is said where it is not taken. A local server is the gateway.

The refusals are in the words of TensorZero 2026.6.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from pytest_httpserver import HTTPServer

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import feedback
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.keeping import kept
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import (
    FUNCTION_MODEL,
    Settings,
    SettingsError,
)

EPISODE = "01a207cd-6e87-7ef3-866e-6bfb33d91123"
KEY = "sk-very-secret"


def arguments(server: Optional[HTTPServer] = None, **given: Any) -> dict[str, Any]:
    spec = {name: each.get("default") for name, each in feedback.ARGUMENTS.items()}
    return {**spec, **({"endpoint": server.url_for("/openai/v1"), "api_key": KEY} if server else {}), **given}


def taking(server: HTTPServer) -> None:
    """Has the server take everything."""
    server.expect_request("/feedback", method="POST").respond_with_json({"feedback_id": "f-1"})


def told(server: HTTPServer) -> list[Any]:
    return [request.get_json() for request, _response in server.log]


def recorded(folder: Path, url: str, **members: Any) -> str:
    """The id of a diagnosis whose record is in *folder*."""
    with kept("", folder) as one:
        one.episode(Settings(FUNCTION_MODEL, url))
        one.note(**{"episode_id": EPISODE, "host": "db1", **members})
        return one.identifier


def test_verdict_and_comment_are_posted_for_the_episode_of_the_record(httpserver: HTTPServer, tmp_path: Path) -> None:
    taking(httpserver)
    identifier = recorded(tmp_path, httpserver.url_for("/openai/v1/chat/completions"))
    result = feedback.give(
        arguments(httpserver, diagnosis_id="latest", correct=False, comment=" it was DNS "), tmp_path
    )
    about = {"episode_id": EPISODE, "tags": {"diagnosis_id": identifier, "host": "db1"}, "dryrun": False}
    assert told(httpserver) == [
        {"metric_name": "diagnosis_correct", "value": False, **about},
        {"metric_name": "comment", "value": "it was DNS", **about},
    ]
    assert all(request.headers["Authorization"] == f"Bearer {KEY}" for request, _response in httpserver.log)
    assert result == {
        "diagnosis_id": identifier,
        "host": "db1",
        "episode_id": EPISODE,
        "gateway": httpserver.url_for("/feedback"),
        "feedback_ids": {"diagnosis_correct": "f-1", "comment": "f-1"},
    }


def test_the_gateway_of_the_record_is_told_where_no_other_is_named(httpserver: HTTPServer, tmp_path: Path) -> None:
    taking(httpserver)
    identifier = recorded(tmp_path, httpserver.url_for("/openai/v1/chat/completions"))
    feedback.give(arguments(diagnosis_id=identifier, correct=True), tmp_path)
    assert [each["value"] for each in told(httpserver)] == [True]


def test_in_check_mode_the_gateway_looks_and_keeps_nothing(httpserver: HTTPServer) -> None:
    taking(httpserver)
    result = feedback.give(arguments(httpserver, episode_id=EPISODE, correct=True), dry_run=True)
    assert [each["dryrun"] for each in told(httpserver)] == [True]
    assert result["feedback_ids"] == {}


def test_secrets_in_a_comment_stay_here(httpserver: HTTPServer) -> None:
    taking(httpserver)
    feedback.give(arguments(httpserver, episode_id=EPISODE, comment="password=hunter2secret was wrong"))
    (only,) = told(httpserver)
    assert "hunter2secret" not in only["value"]


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (400, "Feedback requires observability to be enabled.", "Give it a database"),
        (404, "Unknown metric: diagnosis_correct", "nannyapi.diagnostics.gateway_function"),
        (404, "Route not found: POST /feedback", "takes no feedback"),
        (400, "Failed to parse UUID as v7: x", "Only an id that the gateway gave"),
        (401, f"bad key {KEY}", "Check the API key"),
    ],
)
def test_a_refusal_is_explained(httpserver: HTTPServer, status: int, said: str, words: str) -> None:
    httpserver.expect_request("/feedback").respond_with_json({"error": said}, status=status)
    with pytest.raises(feedback.FeedbackError) as refused:
        feedback.give(arguments(httpserver, episode_id=EPISODE, correct=True))
    assert words in str(refused.value)
    assert str(status) in str(refused.value)
    assert KEY not in str(refused.value)
    assert len(httpserver.log) == 1


def test_what_was_taken_before_a_failure_is_told(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/feedback").respond_with_json({"feedback_id": "f-1"})
    httpserver.expect_ordered_request("/feedback").respond_with_json({"error": "no"}, status=400)
    with pytest.raises(feedback.FeedbackError, match="The verdict was taken, the comment was not") as failed:
        feedback.give(arguments(httpserver, episode_id=EPISODE, correct=True, comment="x"))
    assert failed.value.result["feedback_ids"] == {"diagnosis_correct": "f-1"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"correct": True}, "Exactly one of"),
        ({"correct": True, "diagnosis_id": "latest", "episode_id": EPISODE}, "Exactly one of"),
        ({"episode_id": EPISODE}, "nothing to tell"),
        ({"episode_id": EPISODE, "correct": True, "timeout": 0}, "timeout"),
        ({"diagnosis_id": "latest", "correct": True}, "The episode_id of the diagnosis does instead"),
        ({"episode_id": EPISODE, "correct": True, "endpoint": "http://127.0.0.1:1/v1"}, "alone takes feedback"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises((feedback.FeedbackError, SettingsError), match=words):
        feedback.give(arguments(**given), tmp_path)


def test_another_gateway_than_the_one_that_answered_is_refused(httpserver: HTTPServer, tmp_path: Path) -> None:
    identifier = recorded(tmp_path, "http://other:3000/openai/v1/chat/completions")
    with pytest.raises(feedback.FeedbackError, match="its own gateway alone"):
        feedback.give(arguments(httpserver, diagnosis_id=identifier, correct=True), tmp_path)
    assert httpserver.log == []


def test_a_diagnosis_without_an_episode_says_who_answered_it(tmp_path: Path) -> None:
    identifier = recorded(tmp_path, "http://a/v1/chat/completions", episode_id=None)
    with pytest.raises(feedback.FeedbackError, match="has no episode"):
        feedback.give(arguments(diagnosis_id=identifier, correct=True), tmp_path)
