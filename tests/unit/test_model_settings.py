# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who says which model answers, in which order, and what is refused with a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import (
    FUNCTION_MODEL,
    Layer,
    Settings,
    SettingsError,
    completions_url,
    read_key_file,
    resolve,
)

GATEWAY = "http://gateway:3000/openai/v1"
URL = GATEWAY + "/chat/completions"
NOTHING = Layer()


class Host:
    """A host's configuration file and its key file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "diagnostics.json"
        self.key_file = folder / "api_key"

    def says(self, key: str | None = None, **values: Any) -> Path:
        if key is not None:
            self.key_file.write_text(key)
            self.key_file.chmod(0o600)
            values["api_key_file"] = str(self.key_file)
        self.file.write_text(json.dumps(values))
        self.file.chmod(0o644)
        return self.file


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_with_nothing_configured_the_offline_diagnostician_answers(host: Host) -> None:
    assert resolve(NOTHING, NOTHING, host.file) == Settings("offline")


def test_an_endpoint_without_a_model_means_the_function_of_the_gateway(host: Host) -> None:
    assert resolve(Layer(endpoint=GATEWAY), NOTHING, host.file) == Settings(FUNCTION_MODEL, URL)


def test_parameters_come_before_the_environment_each_for_itself(host: Host) -> None:
    parameters = Layer(model="from-the-task")
    environment = Layer(model="from-the-environment", endpoint=GATEWAY, api_key="key-e")
    assert resolve(parameters, environment, host.file) == Settings("from-the-task", URL, "key-e")


def test_the_environment_comes_before_the_host(host: Host) -> None:
    host.says(model="host-model", endpoint="http://host-gateway/v1", key="host-key")
    environment = Layer("m", GATEWAY, "key-e")
    assert resolve(NOTHING, environment, host.file) == Settings("m", URL, "key-e")


def test_the_host_comes_before_offline(host: Host) -> None:
    host.says(model="host-model", endpoint=GATEWAY, key="host-key\n")
    assert resolve(NOTHING, NOTHING, host.file) == Settings("host-model", URL, "host-key")


def test_a_model_of_the_run_is_asked_at_the_endpoint_of_the_host(host: Host) -> None:
    host.says(model="offline", endpoint=GATEWAY, key="host-key")
    assert resolve(Layer(model="m"), NOTHING, host.file) == Settings("m", URL, "host-key")


def test_the_key_of_a_host_is_not_sent_to_an_endpoint_that_the_run_names(host: Host) -> None:
    host.says(model="host-model", endpoint="http://host-gateway/v1", key="host-key")
    assert resolve(Layer(endpoint=GATEWAY), NOTHING, host.file) == Settings(FUNCTION_MODEL, URL, None)


def test_offline_needs_no_endpoint_and_reads_no_file(host: Host) -> None:
    host.file.write_text("not JSON")
    assert resolve(Layer(model="offline"), Layer(endpoint=GATEWAY), host.file) == Settings("offline")


def test_a_host_may_be_set_to_offline(host: Host) -> None:
    assert resolve(NOTHING, NOTHING, host.says(model="offline", endpoint=GATEWAY)) == Settings("offline")


def test_blank_values_are_the_same_as_none(host: Host) -> None:
    host.says(model="", endpoint=None)
    assert resolve(Layer("", " ", ""), Layer("", "", ""), host.file) == Settings("offline")


def test_a_model_without_an_endpoint_is_a_sentence(host: Host) -> None:
    with pytest.raises(SettingsError, match=r"The model gpt-x is named, and no endpoint .*NANNYAPI_ENDPOINT"):
        resolve(Layer(model="gpt-x"), NOTHING, host.file)


def test_keys_do_not_show_where_settings_are_printed() -> None:
    assert "secret" not in repr(Settings("m", URL, "secret")) + repr(Layer("m", GATEWAY, "secret"))


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (GATEWAY, URL),
        (GATEWAY + "/", URL),
        (GATEWAY + "//", URL),
        (URL, URL),
        (URL + "/", URL),
        (f"  {GATEWAY}\n", URL),
        ("https://api.example.com", "https://api.example.com/chat/completions"),
        ("HTTP://[::1]:3000/v1", "http://[::1]:3000/v1/chat/completions"),
        ("https://a.example/v1?api-version=2", "https://a.example/v1/chat/completions?api-version=2"),
        (GATEWAY + "#part", URL),
    ],
)
def test_an_endpoint_may_be_a_base_or_the_whole_address(endpoint: str, url: str) -> None:
    assert completions_url(endpoint) == url


@pytest.mark.parametrize(
    "endpoint",
    [
        "gateway:3000",
        "ftp://gateway/v1",
        "http://",
        "http:///v1",
        "http://[::1",
        "http://h:99999/v1",
        "/v1",
        "file:///etc",
    ],
)
def test_an_endpoint_that_is_no_address_of_a_server_is_a_sentence(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"^The endpoint .* is not a URL"):
        completions_url(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["http://me:hunter2@gateway/v1", "me:hunter2@gateway", "http://me:hunter2@[::1/v1"]
)
def test_a_password_in_an_endpoint_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        completions_url(endpoint)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON: .*line 1"),
        ("[]", "must hold one JSON object"),
        ('{"model": 5}', '"model" must be a string'),
        ('{"endpoint": ["a"]}', '"endpoint" must be a string'),
        ('{"api_key_file": "/nonexistent/key"}', "key file /nonexistent/key does not exist"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_configuration_file_that_cannot_be_used_is_a_sentence(host: Host, content: str | bytes, says: str) -> None:
    host.file.write_bytes(content if isinstance(content, bytes) else content.encode())
    host.file.chmod(0o644)
    with pytest.raises(SettingsError, match=says):
        resolve(NOTHING, NOTHING, host.file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644])
def test_a_key_file_that_others_may_read_is_refused(host: Host, mode: int) -> None:
    host.says(endpoint=GATEWAY, key="secret")
    host.key_file.chmod(mode)
    with pytest.raises(SettingsError, match=f"mode {mode:04o}.*chmod 0600") as refused:
        resolve(NOTHING, NOTHING, host.file)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_a_configuration_file_that_others_may_write_is_refused(host: Host, mode: int) -> None:
    host.says(endpoint=GATEWAY)
    host.file.chmod(mode)
    with pytest.raises(SettingsError, match=f"mode {mode:04o}.*chmod 0644"):
        resolve(NOTHING, NOTHING, host.file)


def test_an_empty_key_file_is_a_sentence(host: Host) -> None:
    with pytest.raises(SettingsError, match="is empty"):
        resolve(NOTHING, NOTHING, host.says(endpoint=GATEWAY, key=" \n"))


def test_a_key_file_that_is_no_file_is_a_sentence_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(SettingsError, match="is not a regular file"):
        read_key_file(fifo)
    with pytest.raises(SettingsError, match="is not a regular file"):
        read_key_file(tmp_path)


@pytest.mark.parametrize("key", ["sec\nret", "sécret", "sec\x00ret"])
def test_a_key_that_no_header_can_carry_is_a_sentence_without_the_key(host: Host, key: str) -> None:
    with pytest.raises(SettingsError, match="API key holds characters") as refused:
        resolve(Layer(endpoint=GATEWAY, api_key=key), NOTHING, host.file)
    assert key not in str(refused.value)


def test_a_name_that_cannot_be_a_models_is_a_sentence(host: Host) -> None:
    with pytest.raises(SettingsError, match="cannot name a model"):
        resolve(Layer("a\nb", GATEWAY), NOTHING, host.file)
