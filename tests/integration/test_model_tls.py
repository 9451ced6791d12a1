# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers by TLS with a private authority, with and without certificates of those who ask: real handshakes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import SOLVED, Authority, TlsServer, tls_server

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import (
    Layer,
    SettingsError,
    completions_url,
    resolve,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.tls import Tls
from playbooks import Ansible

MESSAGES = [{"role": "user", "content": "{}"}]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[TlsServer]:
    with tls_server(authority) as running:
        yield running


@pytest.fixture(scope="module")
def strict(authority: Authority) -> Iterator[TlsServer]:
    """A server that wants to know who comes."""
    with tls_server(authority, wants_certificates=True) as running:
        yield running


def asked(server: TlsServer, **tls: Any) -> Any:
    client = ChatClient("m", completions_url(server.address), tls=Tls(**tls))
    try:
        return json.loads(client.ask(MESSAGES, 20).content)
    finally:
        client.close()


def test_a_private_authority_is_trusted_where_it_is_named_alone(server: TlsServer, authority: Authority) -> None:
    with pytest.raises(ModelError, match=r"Name the authority .* as ca_path") as failed:
        asked(server)
    assert failed.value.kind == "unreachable"
    assert asked(server, ca_path=str(authority.certificate)) == SOLVED


def test_a_folder_of_authorities_is_one_as_openssl_makes_it(
    server: TlsServer, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.certificate.read_bytes())
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    assert asked(server, ca_path=str(tmp_path)) == SOLVED


def test_another_authority_does_not_do(server: TlsServer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ca_path"):
        asked(server, ca_path=str(Authority(tmp_path).certificate))


def test_certificates_are_not_looked_at_where_that_is_said(server: TlsServer) -> None:
    assert asked(server, validate_certs=False) == SOLVED


def test_who_comes_is_shown_to_a_server_that_asks(strict: TlsServer, authority: Authority, tmp_path: Path) -> None:
    trusted = str(authority.certificate)
    with pytest.raises(ModelError, match="as client_cert"):
        asked(strict, ca_path=trusted)
    certificate, key = authority.signed("host-db1")
    assert asked(strict, ca_path=trusted, client_cert=str(certificate), client_key=str(key)) == SOLVED
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert asked(strict, ca_path=trusted, client_cert=str(both)) == SOLVED
    assert strict.came == ["host-db1", "host-db1"]


def test_files_that_cannot_be_used_are_sentences(server: TlsServer, authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.signed("mine")
    _other, other_key = authority.signed("other")
    text = tmp_path / "text"
    text.write_text("no certificate")
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", key, "-out", locked], check=True)
    for tls, says in (
        ({"ca_path": str(tmp_path / "none")}, "none .ca_path. cannot be read .* No such file"),
        ({"ca_path": str(text)}, "holds no certificate"),
        ({"client_cert": str(tmp_path / "none")}, "No such file"),
        ({"client_cert": str(certificate), "client_key": str(other_key)}, "do not belong together"),
        ({"client_cert": str(certificate), "client_key": str(locked)}, "encrypted"),
        ({"client_key": str(key)}, "no client_cert"),
    ):
        with pytest.raises(SettingsError, match=says):
            asked(server, **tls)


def test_what_the_hosts_file_says_counts_with_its_own_endpoint_only(tmp_path: Path) -> None:
    own = {"ca_path": "/etc/ca.pem", "client_cert": "/etc/c.pem", "client_key": "/etc/c.key", "validate_certs": True}
    file = tmp_path / "diagnostics.json"
    file.write_text(json.dumps({"model": "m", "endpoint": "https://own/v1", **own}))
    file.chmod(0o644)
    assert resolve(Layer(), Layer(), file).tls == Tls("/etc/ca.pem", True, "/etc/c.pem", "/etc/c.key")
    assert resolve(Layer(endpoint="https://other/v1"), Layer(), file).tls == Tls()
    task = Layer(tls=Tls(client_cert="/mine.pem", validate_certs=False))
    assert resolve(task, Layer(), file).tls == Tls("/etc/ca.pem", False, "/mine.pem", None)


@pytest.mark.parametrize("side", ["host", "controller"])
def test_a_diagnosis_comes_with_its_certificate_to_a_server_of_a_private_authority(
    ansible: Ansible, strict: TlsServer, authority: Authority, tmp_path: Path, side: str
) -> None:
    certificate, key = authority.signed(side)
    task = {"issue": "it is slow", "model": "m", "endpoint": strict.address, "model_access": side}
    tls = {"ca_path": str(authority.certificate), "client_cert": str(certificate), "client_key": str(key)}
    found = ansible.module("diagnose", {**task, **tls, "record_dir": str(tmp_path)})
    assert found["resolution"] == SOLVED, found.get("msg")
    assert strict.came[-1] == side
