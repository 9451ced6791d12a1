# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the modules' documentation run as they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from pytest_httpserver import HTTPServer

from playbooks import Ansible

RESOLUTION = {
    "response_type": "resolution",
    "root_cause": "None: the server of this test answers so.",
    "resolution_plan": "1. Nothing.",
    "confidence": "Low",
    "ebpf_evidence": "None was asked for.",
}


def examples(module: str) -> Any:
    text = (REPOSITORY / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    return yaml.safe_load(text.partition('EXAMPLES = r"""')[2].partition('"""')[0])


@pytest.mark.parametrize("module", ["ebpf_info", "ebpf_trace", "diagnose", "diagnosis_report"])
def test_examples_run(ansible: Ansible, httpserver: HTTPServer, module: str) -> None:
    answer = {
        "choices": [{"message": {"role": "assistant", "content": json.dumps(RESOLUTION)}, "finish_reason": "stop"}]
    }
    httpserver.expect_request("/openai/v1/chat/completions", method="POST").respond_with_json(answer)
    variables = {"gateway_url": httpserver.url_for("/openai/v1"), "gateway_key": "of-this-test"}
    run = ansible.tasks(examples(module), variables)
    assert run.status == 0
    if module == "diagnose":
        assert len(httpserver.log) == 1
