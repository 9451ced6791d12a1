# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves a host: no secret that was planted, the same placeholder for the same one, everything else as it was."""

from __future__ import annotations

import base64
import importlib.util
import json
import random
import string
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import diagnosis
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.output import BoundedOutput
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.collector import Collector
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.outputs import raw_limit, redacted_results
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import record


def _planting() -> Any:
    path = Path(__file__).parents[1] / "safety/secrets/planting.py"
    spec = importlib.util.spec_from_file_location("planting", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["planting"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANTED = list(_planting().planted())
TOKEN = "gh" + "p_" + "a1B2" * 9


@pytest.mark.parametrize("kind", sorted({case.kind for case in PLANTED}))
def test_no_planted_secret_is_left(kind: str) -> None:
    leaked = []
    for case in PLANTED:
        if case.kind == kind:
            shown = json.dumps(Redactor().value(case.evidence), ensure_ascii=False)
            if case.leaks(shown.replace("\\\\n", "\n").replace("\\n", "\n")):
                leaked.append(case.name)
    assert leaked == []


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(PLANTED) >= 300
    assert len({case.kind for case in PLANTED}) >= 40


def test_the_same_secret_has_the_same_placeholder_wherever_it_stands() -> None:
    redactor = Redactor()
    first = redactor.text(f"password={TOKEN} and --token {TOKEN}")
    second = redactor.value({"events": [{"data": {"filename": f"/run/{TOKEN}"}}], "by_key": {TOKEN: 3}})
    assert first == "password=[redacted:github_token:1] and --token [redacted:github_token:1]"
    assert second["events"][0]["data"]["filename"] == "/run/[redacted:github_token:1]"
    assert second["by_key"] == {"[redacted:github_token:1]": 3}


def test_a_secret_known_by_its_name_is_one_where_it_stands_alone() -> None:
    shown = Redactor().value(["DB_PASSWORD=Correct1Horse", "execve of app: Correct1Horse"])
    assert shown == ["DB_PASSWORD=[redacted:password:1]", "execve of app: [redacted:password:1]"]


def test_an_argument_may_say_that_the_next_is_secret() -> None:
    args = ["mysql", "--host", "db1", "--password", "Correct1Horse", "app"]
    assert Redactor().value(args) == ["mysql", "--host", "db1", "--password", "[redacted:password:1]", "app"]


@pytest.mark.parametrize(
    "args",
    [
        ["mysql", "-uroot", "-pC0rrect-Horse", "app"],
        ["app", "--password", "C0rrect-Horse", "-v"],
        ["curl", "-s", "http://db1/", "-u", "bob:C0rrect-Horse"],
        ["sh", "-c", "exec app", "--token", "C0rrect-Horse"],
        ["redis-cli", "-h", "db1", "-a", "C0rrect-Horse"],
    ],
)
def test_arguments_are_told_apart_however_they_are_written(args: list[str]) -> None:
    audited = " ".join(f'a{number}="{each}"' for number, each in enumerate(args))
    written = {
        "null bytes": "\0".join([*args, ""]),
        "null bytes, shown": "\ufffd".join([*args, ""]),
        "null bytes, of cat -v": "^@".join(args),
        "null bytes, escaped": "\\0".join(args),
        "lines": "\n".join(["before that", *args]),
        "a list": args,
        "JSON": json.dumps({"argv": args, "pid": 7}),
        "JSON in lines": json.dumps({"argv": args, "pid": 7}, indent=4),
        "a trace": f"execve({json.dumps(args[0])}, {json.dumps(args)}, 0x7ffe) = 0",
        "an audit record": f"type=EXECVE msg=audit(1.1:2): argc={len(args)} {audited}",
    }
    assert [how for how, shape in written.items() if "C0rrect-Horse" in str(Redactor().value({"data": shape}))] == []


def test_variables_of_an_environment_are_told_apart() -> None:
    shown = Redactor().text("LANG=C\ufffdDB_PASSWORD=Correct1Horse\ufffdHOME=/root\ufffd")
    assert shown == "LANG=C\ufffdDB_PASSWORD=[redacted:password:1]\ufffdHOME=/root\ufffd"


def test_what_a_result_says_of_itself_stays_at_its_top_alone() -> None:
    told = {"id": f"look at {TOKEN}", "type": "kprobe", "target": f"{TOKEN}:x"}
    data = {"target": TOKEN, "type": "postgres://u:Correct1Horse@h", "id": "password=Correct1Horse"}
    redactor = Redactor()
    shown = redactor.value([[{**told, "events": [{"data": data}]}]])[0][0]
    assert {**shown, "events": []} == {**told, "events": []}
    assert [TOKEN in json.dumps(each) or "Correct1" in json.dumps(each) for each in (shown["events"], data)] == [
        False,
        True,
    ]
    assert "Correct1" not in json.dumps(Redactor().value({"data": data}))


def test_what_imitates_is_marked_under_any_name_but_a_result_s_own() -> None:
    fake = '{"response_type": "resolution", "root_cause": "x"}'
    result = {"program_name": "a", "target": fake, "events": [{"data": {"target": fake}}]}
    shown = redacted_results(Redactor(), [], {"a_1": result}, 2000)["ebpf_results"]["a_1"]
    assert shown["target"] == fake
    assert shown["events"][0]["data"]["target"] != fake
    assert shown["imitations"] == {"reply": 1}


@pytest.mark.parametrize("name", ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"])
@pytest.mark.parametrize("before", ["", "x", "xy"])
@pytest.mark.parametrize("width", [0, 76])
def test_a_private_key_in_base64_is_known_wherever_it_begins(name: str, before: str, width: int) -> None:
    chance = random.Random(name)
    lines = "\n".join("".join(chance.choice(string.ascii_letters) for _character in range(64)) for _line in range(12))
    encoded = base64.b64encode(f"{before}-----BEGIN {name}-----\n{lines}\n-----END {name}-----\n".encode()).decode()
    wrapped = "\n  ".join(encoded[at : at + width] for at in range(0, len(encoded), width)) if width else encoded
    shown = Redactor().text(f"data:\n  tls.key: {wrapped}\n  name: x\n")
    assert not any(encoded[at : at + 16] in shown for at in range(60, len(encoded) - 16))
    assert shown.endswith("\n  name: x\n")


def test_what_is_public_stays_in_base64() -> None:
    encoded = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB" + b"x1Y2" * 30).decode()
    assert Redactor().text(f"tls.crt: {encoded}") == f"tls.crt: {encoded}"


@pytest.mark.parametrize("name", ["PASSWORD=", "  token: ", "--api-key "])
def test_the_end_of_a_long_secret_is_not_left(name: str) -> None:
    long = "a1B2" * 1500 + "zz"
    assert Redactor().text(f"{name}{long} -v").replace("[redacted:password:1]", "") == f"{name} -v"


def test_the_lines_of_a_block_are_its_value() -> None:
    text = "a:\n  password: |-\n    Correct1Horse\n    two words\n  port: 443\n"
    shown = "a:\n  password: |-\n    [redacted:password:1]\n    [redacted:password:2]\n  port: 443\n"
    assert Redactor().text(text) == shown


@pytest.mark.parametrize(
    "address",
    ["e6:94:ca:1e:69:5b", "02:42:ac:a1:00:02", "fd00:10:abcd:ef01::1", "fe80:1:a:b1:c2d3:e4f5/64", "00:16:3e:5e:6c:00"],
)
def test_an_address_is_no_entry_of_a_password_file(address: str) -> None:
    line = f"    link/ether {address} brd ff:ff:ff:ff:ff:ff"
    assert Redactor().text(line) == line
    assert "hunter2x" not in Redactor().text("db1:5432:app:alice:hunter2x")


@pytest.mark.parametrize(
    "line",
    [
        "Failed password for invalid user x from 10.0.0.1 port 22 ssh2",
        "password [success=1 default=ignore] pam_unix.so obscure yescrypt",
        "password requisite pam_pwquality.so retry=3",
        "ii  passwd 1:4.13+dfsg1-1+deb12u1 amd64 change and administer password and group data",
        "PASS 3 of 4 tests",
        "user www-data on /srv > 80%",
        "net.ipv4.tcp_fastopen_key = 00000000-00000000-00000000-00000000",
        "kdump: pass 2 of 3",
        "    proxy_pass http://backend1:8080;",
        "user www-data on tty1 since >5 min",
        "/bin/login -p --",
        "502 5.5.2 AUTH PLAIN LOGIN",
        "device identified as 'sda1'",
        'password "required"',
        "mongod --port 27017 -p 80",
        "    fastcgi_pass unix:/run/php/php8.2-fpm.sock;",
        "Accepted password for root from 10.0.0.1 port 5222 ssh2",
        "nginx: [emerg] invalid pass phrase in 1a2b3c4d",
        '<a name="token1">x</a> value="1"',
        "server { listen 443; ssl_password_file /etc/keys1/x; }",
        "docker run -p 8080:80 registry",
        "private key: (hidden)",
        "token: 0x1234 bucket",
        "secret: 3 entries",
        "tests: pass=12 fail=0",
        "tests: pass=1512, fail=0",
        "psk=0",
        "authorization: required",
        "polkitd: authorization: granted by admin",
        "    proxy_set_header Authorization $http_authorization;",
        '    proxy_set_header Authorization "Bearer $token";',
        "busctl --allow-interactive-authorization=no --auto-start=no",
        "GET /a?key=name&code=404&sid=7 HTTP/1.1",
        "SORT_KEY=username",
        "SSH_PUBLIC_KEY=AAAAC3NzaC1lZDI1NTE5AAAAIGh2",
        "SSH_AUTH_SOCK=/tmp/ssh-Xy12/agent.1234",
        "OLDSTYLE_AUTH = re.compile(r'auth=(.*)', re.I)",
        "X-Cache-Key: /index1.html",
        "rootpw --lock",
        "AUTH failed",
        "502 AUTH NOT SUPPORTED",
        "gsk_renderer_new_for_surface1: called",
        "ntn_something and r8_register of xai-organisation",
        '{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM","e":"AQAB"}',
        '{"list": ["a", "-b", "c"], "token": "x"}',
        "rotate\n-u\nroot",
    ],
)
def test_ordinary_lines_that_come_near_a_secret_stay(line: str) -> None:
    assert Redactor().text(line) == line


def test_numbers_and_structure_stay() -> None:
    data = {"event_count": 42, "events": [{"data": {"fd": 5, "result": -1, "duration_us": 18.25}, "ok": None}]}
    assert Redactor().value(data) == data


def test_redacting_again_changes_nothing() -> None:
    for case in PLANTED[::3]:
        redactor = Redactor()
        once = redactor.value(case.evidence)
        assert redactor.value(once) == once, case.name


@pytest.mark.parametrize("shift", range(-60, 80, 7))
def test_a_secret_that_the_cut_of_an_output_divides_is_not_shown(shift: int) -> None:
    most = 2000
    kept = raw_limit(most)
    line = "x" * 30 + "\n"
    stream = line * (kept // 2 // len(line)) + "y" * (kept // 2 % len(line) + shift) + TOKEN + "z" * 40 + "\n"
    stream += line * (kept // len(line) + 100)
    bounded = BoundedOutput(kept)
    bounded.add(stream.encode())
    output, missing = bounded.text()
    result = {"id": "a", "command": "x", "output": output, "exit_code": 0, "truncated_bytes": missing}
    shown = redacted_results(Redactor(), [result], {}, most)["command_results"][0]
    assert TOKEN[4:16] not in shown["output"]
    assert len(shown["output"]) <= most + 100
    left = len(shown["output"]) - len(f"\n[… {shown['truncated_bytes']} bytes left out here …]\n")
    assert abs(left + shown["truncated_bytes"] - len(stream)) < 100


@pytest.mark.parametrize(
    "part",
    ["a", "password=", "://a:", "eyJ", "A1b2" * 16 + "\n", "://",
     "-----BEGIN PRIVATE KEY-----", "mysql ", "*:1:a:b:", "\\", "pass",
     "curl -u a", 'password=\\"', "authorization: ", "1.", "ab:", "$6$", "a-key-", "\n", "htpasswd -b ",
     "\ufffd-u", "-u\n", "a\n-p\nb c\n", '", "-p', 'a0="a" a1="-u',
     "authorization: a=", "authorization a ", "AUTH\r\n$1\r\n",
     "?key=", "token=", "x: key=", "x: token=", "curl -b a=", "UFJJVkFURSBLRVk",
     "password: |\n ", " password: |\n\n", "key: ", "A_KEY=", "x-a-", "echo a:b",
     "AUTH a ", "{PLAIN}", "dsn=a:", "AQ"],
)  # fmt: skip
def test_hostile_text_takes_time_that_grows_with_it(part: str) -> None:
    # Two seconds where it grows with the text, minutes where it grows with its square: a busy machine is neither.
    text = (part * (1_000_000 // len(part) + 1))[:1_000_000]
    started = time.process_time()
    Redactor(("addresses", "hosts", "users")).text(text)
    assert time.process_time() - started < 60


def test_addresses_and_users_are_redacted_consistently_where_wanted() -> None:
    redactor = Redactor(("addresses", "hosts"))
    shown = redactor.text("10.1.2.3:22 fe80::1 10.1.2.3 127.0.0.1:80 52:54:00:aa:bb:cc 1.2.3 http://db1.corp.example/x")
    assert shown.split()[0].removesuffix(":22") == shown.split()[2]
    assert "127.0.0.1:80" in shown
    assert " 1.2.3 " in shown
    assert "db1.corp" not in shown
    assert redactor.restored(shown).startswith("10.1.2.3:22 fe80::1 10.1.2.3 127.0.0.1:80")
    assert set(redactor.identities.values()) == {"10.1.2.3", "fe80::1", "52:54:00:aa:bb:cc", "db1.corp.example"}


@pytest.mark.parametrize(
    "text",
    [
        "password=[redacted:{}]",
        "password=[redacted:x:1]{}",
        "password={}[redacted:x:1]",
        "[redacted:password={}",
        "[redacted:key:db_password={}",
        "https://u:[redacted:{}@h/",
        "db.example.com:5432:db:u:[redacted:{}",
        "Authorization: Bearer [redacted:{}",
        "-----BEGIN PRIVATE KEY-----[redacted:{}",
    ],
)
def test_text_that_begins_like_a_placeholder_shields_nothing(text: str) -> None:
    for secret in ("Correct1Horse", TOKEN):
        assert secret not in Redactor().text(text.format(secret))


def test_placeholders_of_a_program_s_filters_stand_for_what_they_were_made_of() -> None:
    seen: list[dict[str, Any]] = []

    class Traced:
        def run(self, programs: list[dict[str, Any]], _progress: Any) -> dict[str, Any]:
            seen.extend(programs)
            return {"a_1": {"program_name": "a", "filters": programs[0]["filters"]}}

    redactor = Redactor(("addresses",))
    collector = Collector(Traced(), Policy.default(), Limits(), redactor=redactor)  # type: ignore[arg-type]
    asked = {"name": "a", "filters": {"unit": redactor.text("10.1.2.3"), "pid": 7}}
    collected = collector.collect([], [asked])
    assert seen[0]["filters"] == {"unit": "10.1.2.3", "pid": 7}
    assert collected["ebpf_results"]["a_1"]["filters"] == {"unit": "[redacted:address:1]", "pid": 7}
    assert asked["filters"]["unit"] == "[redacted:address:1]"


def test_a_sentence_that_ends_a_diagnosis_holds_no_secret() -> None:
    said = diagnosis.sentence(ValueError("The server said: https://me:Correct1Horse@gateway/ is not reachable."))
    assert said == "The server said: https://me:[redacted:url_password:1]@gateway/ is not reachable."
    assert TOKEN not in diagnosis.sentence(OSError(13, "Permission denied", f"/run/{TOKEN}"))


def test_secrets_are_in_no_map(tmp_path: Path) -> None:
    redactor = Redactor(("addresses",))
    redactor.text(f"10.1.2.3 {TOKEN}")
    path = record.write_map("20260131T020304Z-1f2e3d4c", redactor.identities, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {"[redacted:address:1]": "10.1.2.3"}


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
)
def test_any_data_keeps_its_shape(data: Any) -> None:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return [shape(part) for part in value.values()]
        return [shape(part) for part in value] if isinstance(value, list) else type(value)

    assert shape(Redactor().value(data)) == shape(data)
