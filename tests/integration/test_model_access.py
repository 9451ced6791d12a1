# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model on either side: hosts by real ssh, a model by real HTTP, the same diagnosis whoever asks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, inventory, make_keys
from kernel_state import await_true, loaded_programs
from model_server import ModelServer, model_server

from playbooks import Ansible

ISSUE = "application randomly fails to connect to database"
KEY = "sk-of-the-operator-4711"
SECRET = "hunter2hunter2x9"
LIBRARIES = ("httpx", "pydantic")

FAILING = f"""
import socket, time
open("/proc/self/comm", "w").write("orders")
open("/run/orders.conf", "w").write("password = {SECRET}\\n")
open("/run/orders.log", "w").write("login refused for {SECRET} today\\n")
while True:
    with socket.socket() as client:
        client.connect_ex(("127.0.0.1", 5432))
    time.sleep(0.1)
"""
CONNECTS = {
    "name": "connects",
    "type": "tracepoint",
    "target": "syscalls/sys_enter_connect",
    "duration": 2,
    "filters": {"comm": "orders"},
}
FIRST = {
    "response_type": "diagnostic",
    "reasoning": "see who connects where",
    "commands": [{"id": "conf", "command": "cat /run/orders.conf"}, {"id": "bad", "command": "rm -rf /"}],
    "ebpf_programs": [CONNECTS],
}
SECOND = {
    "response_type": "diagnostic",
    "reasoning": "see what it says",
    "commands": [{"id": "log", "command": "cat /run/orders.log"}],
    "ebpf_programs": [{**CONNECTS, "duration": 1}],
}
SOLVED = {
    "response_type": "resolution",
    "root_cause": "orders cannot connect to 127.0.0.1:5432",
    "resolution_plan": "1. Start the server that should listen there.",
    "confidence": "High",
    "ebpf_evidence": "connect(2) of orders returned ECONNREFUSED",
}
SIDES = ("host", "controller")
STARTED = "collection_started"


def without_libraries(host: Host) -> None:
    """Takes from a host's Python what only the side needs that asks the model."""
    places = " ".join(f"/run/venv/lib/python3*/site-packages/{name}*" for name in LIBRARIES)
    in_host(
        host,
        'venv="$(readlink -f /opt/nannyapi/diagnostics/venv)" && mkdir /run/venv && cp -a "$venv/." /run/venv'
        f' && rm -r {places} && mount --bind /run/venv "$venv"',
    )


def in_host(host: Host, script: str) -> str:
    entered = ["nsenter", "--target", str(host.pid), "--net", "--pid", "--mount", "sh", "-c", script]
    return subprocess.run(entered, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """`whole` has all libraries and reaches the model at its network's address 1; `bare` has and reaches nothing."""
    keys = make_keys(tmp_path_factory.mktemp("hosts"))
    made = {name: Host(name, number, keys) for number, name in enumerate(("whole", "bare"), 21)}
    try:
        without_libraries(made["bare"])
        for host in made.values():
            host.start(FAILING)
        yield made
    finally:
        for host in made.values():
            host.close()


def play(tmp_path: Path, **arguments: Any) -> Path:
    """A play that diagnoses and writes each result whole."""
    path = tmp_path / "play.yml"
    task = {"issue": ISSUE, "model": "scripted", "record_dir": str(tmp_path / "records"), **arguments}
    kept = {"content": "{{ found | to_json }}", "dest": str(tmp_path / "{{ inventory_hostname }}.json")}
    tasks = [
        {"nannyapi.diagnostics.diagnose": task, "register": "found", "ignore_errors": True},
        {"ansible.builtin.copy": kept, "delegate_to": "localhost", "vars": {"ansible_connection": "local"}},
    ]
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": tasks}]))
    return path


def diagnosed(
    ansible: Ansible, tmp_path: Path, hosts: dict[str, Host], variables: dict[str, Any] | None = None, **arguments: Any
) -> dict[str, dict[str, Any]]:
    """The results of a run, by host; its output is beside them."""
    tmp_path.mkdir(exist_ok=True)
    keys = next(iter(hosts.values())).keys
    run = ansible.playbook(
        str(play(tmp_path, **arguments)),
        inventory(keys, {name: host.address for name, host in hosts.items()}),
        variables,
        {"NANNYAPI_API_KEY": KEY, "ANSIBLE_FORKS": "10"},
    )
    (tmp_path / "output").write_text(run.output)
    assert KEY not in run.output
    return {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in hosts}


def shape(value: Any, depth: int = 3) -> Any:
    """What data is made of, its numbers and texts left out; the time in the key of a result is none of it."""
    if isinstance(value, dict) and depth:
        return {re.sub(r"_\d{10}$", "", key): shape(part, depth - 1) for key, part in value.items()}
    return type(value).__name__


def timeless(value: Any) -> str:
    """Data without the times in it, of keys and of what took how long."""
    return re.sub(r'_\d{10}"|"duration_s": [\d.]+', "", json.dumps(value, sort_keys=True))


def turns_of(model: ModelServer) -> list[list[str]]:
    """What kinds of turns the model was told, in order."""
    return [sorted(json.loads(messages[-1]["content"])) for messages in model.conversations]


def test_both_sides_give_the_same_resolution_for_the_same_model_and_workload(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path
) -> None:
    results, turns, models = {}, {}, {}
    whole = hosts["whole"]
    for side in SIDES:
        with model_server(whole.network_address, FIRST, SECOND, SOLVED) as models[side]:
            found = diagnosed(
                ansible, tmp_path / side, {"whole": whole}, model_access=side, endpoint=models[side].address
            )
        results[side], turns[side] = found["whole"], turns_of(models[side])
        assert models[side].keys == {f"Bearer {KEY}"}
    host, controller = (results[side] for side in SIDES)
    assert host["resolution"] == controller["resolution"] == SOLVED
    assert host["ended"] == controller["ended"] == "resolution"
    assert turns["host"] == turns["controller"]
    assert len(turns["host"]) == 3
    for part in ("grounding", "command_results", "usage", "redacted"):
        assert timeless(host[part]) == timeless(controller[part]), part
    assert [each["ebpf_programs"] for each in host["rounds"]] == [
        each["ebpf_programs"] for each in controller["rounds"]
    ]
    assert host.keys() == controller.keys()
    assert shape(host["ansible_facts"]) == shape(controller["ansible_facts"])
    assert shape(host["ebpf_results"]) == shape(controller["ebpf_results"])
    for result in (host, controller):
        outputs = {each["id"]: each["output"] for each in result["command_results"]}
        assert "[redacted:password:1]" in outputs["conf"]
        # Known from the first round, in a process that is gone.
        assert "[redacted:password:1]" in outputs["log"]
        assert SECRET not in json.dumps(result)
        refused = next(each for each in result["command_results"] if each["id"] == "bad")
        assert refused["refused"]
        (first, _second) = result["ebpf_results"].values()
        assert first["by_result"].keys() == {"ECONNREFUSED"}
    record = Path(controller["record"])
    assert record.parent == tmp_path / "controller" / "records" / "whole"
    assert record.name == f"{controller['diagnosis_id']}.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert json.loads(record.read_text())["resolution"] == SOLVED


@pytest.mark.parametrize("side", SIDES)
def test_what_is_asked_for_reaches_the_requests_on_either_side(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path, side: str
) -> None:
    whole = hosts["whole"]
    limits: dict[str, Any] = {"tokens": 90_000, "evidence_bytes": 50_000}
    if side == "controller":
        limits["model_requests_per_minute"] = 3
    with model_server(whole.network_address, FIRST, SECOND, SOLVED, refuses="response_format") as model:
        task = {"model": "tensorzero::model_name::scripted", "model_access": side, "endpoint": model.address, **limits}
        found = diagnosed(ansible, tmp_path, {"whole": whole}, **task)["whole"]
        again = diagnosed(ansible, tmp_path / "again", {"whole": whole}, **task)["whole"] if side == "host" else None
    assert found["resolution"] == SOLVED
    # It is found out once that the server takes no schema, and remembered there where the model is asked.
    asked = ["response_format" in request for request in model.requests]
    assert asked == [True, False, False, False] + ([False, False, False] if again else [])
    tags = [request["tensorzero::tags"] for request in model.requests[:4]]
    assert [each["diagnosis_id"] for each in tags] == [found["diagnosis_id"]] * 4
    assert all(each["host"] for each in tags)
    opening, evidence = (json.loads(model.conversations[number][-1]["content"]) for number in (0, 2))
    assert opening["limits"]["evidence_bytes"] == 50_000
    assert 0 < evidence["remaining"]["evidence_bytes"] < 50_000
    if side == "controller":
        assert model.begun[3] - model.begun[0] > 55  # the fourth within a minute had to wait


@pytest.mark.parametrize("side", SIDES)
def test_the_tokens_of_a_task_are_those_of_the_diagnosis(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path, side: str
) -> None:
    whole = hosts["whole"]
    with model_server(whole.network_address, FIRST, SOLVED) as model:
        task = {"model_access": side, "endpoint": model.address, "tokens": 2_000}
        found = diagnosed(ansible, tmp_path, {"whole": whole}, **task)["whole"]
    assert (found["ended"], model.requests) == ("token_limit", [])
    assert "do not suffice" in found["msg"]


@contextmanager
def watching(host: Host, secret: str) -> Iterator[list[str]]:
    """Processes of a host that show a secret, on their command line or in their environment, while the body runs."""
    seen: list[str] = []
    done = threading.Event()
    namespace = os.readlink(f"/proc/{host.pid}/ns/pid")

    def look() -> None:
        while not done.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if os.readlink(process / "ns" / "pid") == namespace:
                        text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                        seen.extend([text.decode(errors="replace")] if secret.encode() in text else [])
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_a_host_without_libraries_way_out_or_key_is_diagnosed(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path
) -> None:
    bare = hosts["bare"]
    for name in LIBRARIES:
        with pytest.raises(subprocess.CalledProcessError):
            in_host(bare, f"/opt/nannyapi/diagnostics/venv/bin/python -c 'import {name}' 2>/dev/null")
    kept = {"ansible_remote_tmp": "/run/ansible-tmp"}
    with model_server("127.0.0.1", FIRST, SOLVED) as model, watching(bare, KEY) as seen:
        os.environ["ANSIBLE_KEEP_REMOTE_FILES"] = "1"
        try:
            found = diagnosed(
                ansible, tmp_path, {"bare": bare}, kept, model_access="controller", endpoint=model.address
            )["bare"]
        finally:
            del os.environ["ANSIBLE_KEEP_REMOTE_FILES"]
    assert found["resolution"] == SOLVED
    logged = [json.loads(line) for line in in_host(bare, f"cat {found['action_log']['file']}").splitlines()]
    begun = [line for line in logged if (line["diagnosis_id"], line["action"]) == (found["diagnosis_id"], STARTED)]
    assert [line["model"] for line in begun] == ["scripted", "scripted"]
    assert found["sandbox"]["commands"] == "sandboxed"
    assert found["command_results"][0]["exit_code"] == 0
    assert seen == []
    # What is left lying about is at most what redaction remembers: nothing of the model's.
    left = in_host(bare, "grep -rlF -e sk-of-the-operator /run /var/lib/nannyapi /etc/nannyapi || true")
    assert left == ""
    assert in_host(bare, "ls /var/lib/nannyapi/diagnostics 2>/dev/null || true") == ""


def test_a_key_is_in_no_argument_that_a_host_gets(ansible: Ansible, hosts: dict[str, Host], tmp_path: Path) -> None:
    bare = hosts["bare"]
    variables = {"ansible_remote_tmp": "/run/ansible-tmp"}
    inventory_path = inventory(bare.keys, {"bare": bare.address})
    with model_server("127.0.0.1", FIRST, SOLVED) as model:
        task = {"model_access": "controller", "endpoint": model.address, "api_key": KEY}
        ansible.playbook(
            str(play(tmp_path, **task)),
            inventory_path,
            variables,
            {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "False"},
        )
        assert model.keys == {f"Bearer {KEY}"}
    sent = in_host(bare, "cat /run/ansible-tmp/*/AnsiballZ_diagnosis_collect.py")
    arguments = sent[sent.index("ANSIBLE_MODULE_ARGS") :]
    assert "lease_seconds" in arguments[:80_000]
    assert KEY not in sent
    assert model.address not in sent
    assert "api_key" not in arguments[: arguments.index("\n")]


def test_every_round_is_shown_while_it_goes_on_host_by_host(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path
) -> None:
    shown: dict[str, float] = {}
    with model_server("127.0.0.1", FIRST, SOLVED, seconds=2) as model:
        path = play(tmp_path, model_access="controller", endpoint=model.address)
        addresses = {name: host.address for name, host in hosts.items()}
        run = subprocess.Popen(
            ansible.command(str(path), inventory(hosts["bare"].keys, addresses), {}),
            env=ansible.environment({"NANNYAPI_API_KEY": KEY}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert run.stdout
        for line in run.stdout:
            shown.setdefault(line.strip(), time.monotonic())
        assert run.wait(30) == 0
    for name in hosts:
        asked = [at for line, at in shown.items() if line.startswith(f"{name}: Asking scripted")]
        round_one = shown[f"{name}: Round 1: 2 commands, 1 eBPF program"]
        ran = shown[f"{name}: cat /run/orders.conf (exit 0)"]
        assert asked[0] < round_one < ran
        # The trace alone takes two seconds, and then the model is asked once more.
        assert ran < max(model.begun) < shown["PLAY RECAP " + "*" * 69]


def test_all_hosts_together_keep_to_the_limit_of_parallel_requests(ansible: Ansible, tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    many = {f"host{number}": Host(f"host{number}", 30 + number, keys) for number in range(8)}
    try:
        with model_server("127.0.0.1", SOLVED, seconds=1.5) as model:
            found = diagnosed(
                ansible,
                tmp_path / "run",
                many,
                model_access="controller",
                endpoint=model.address,
                model_parallel_calls=2,
            )
    finally:
        for host in many.values():
            host.close()
    assert {result["resolution"]["root_cause"] for result in found.values()} == {SOLVED["root_cause"]}
    assert model.most_at_once == 2
    assert (
        "Waiting to ask the model: as many requests as allowed are under way: 2"
        in (tmp_path / "run" / "output").read_text()
    )


def interrupted_group(run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGINT)


def terminated(run: subprocess.Popen[bytes]) -> None:
    run.terminate()


def killed(run: subprocess.Popen[bytes]) -> None:
    run.kill()


@pytest.mark.parametrize("end", [interrupted_group, terminated, killed])
@pytest.mark.parametrize("when", ["round", "model"])
def test_ending_a_run_leaves_nothing_on_a_host(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path, end: Callable[[Any], None], when: str
) -> None:
    bare = hosts["bare"]
    before = loaded_programs()
    long_round = {**FIRST, "ebpf_programs": [{**CONNECTS, "duration": 50}]}
    script = (long_round,) if when == "round" else (FIRST, SOLVED)
    with model_server("127.0.0.1", *script, seconds=0 if when == "round" else 8) as model:
        run = subprocess.Popen(
            ansible.command(
                str(play(tmp_path, model_access="controller", endpoint=model.address)),
                inventory(bare.keys, {"bare": bare.address}),
                {},
            ),
            env=ansible.environment({"NANNYAPI_API_KEY": KEY}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if when == "round":
            await_true(lambda: len(loaded_programs() - before) >= 2)
        else:
            await_true(lambda: len(model.begun) == 2)
        assert "between_rounds" in in_host(bare, "ls /var/lib/nannyapi/diagnostics")
        end(run)
        run.wait(30)
        await_true(lambda: loaded_programs() <= before, 30)
        await_true(lambda: in_host(bare, "cat /run/nannyapi-diagnostics.lock") == "", 30)
        # All that stays is what the diagnosis needs to be gone on with.
        left = in_host(bare, "ls -A /var/lib/nannyapi/diagnostics").split()
        assert {name.partition(".")[2] for name in left} == {"between_rounds"}


def test_a_diagnosis_whose_run_was_killed_is_gone_on_with_from_the_controller(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path
) -> None:
    bare = hosts["bare"]
    with model_server("127.0.0.1", FIRST, SOLVED, seconds=4) as model:
        path = play(tmp_path, model_access="controller", endpoint=model.address)
        run = subprocess.Popen(
            ansible.command(str(path), inventory(bare.keys, {"bare": bare.address}), {}),
            env=ansible.environment({"NANNYAPI_API_KEY": KEY}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        await_true(lambda: len(model.begun) == 2)
        killed(run)
        run.wait(30)
        await_true(lambda: in_host(bare, "cat /run/nannyapi-diagnostics.lock") == "", 30)
    later = {**SECOND, "ebpf_programs": []}
    with model_server("127.0.0.1", FIRST, later, SOLVED) as model:
        found = diagnosed(
            ansible, tmp_path, {"bare": bare}, model_access="controller", endpoint=model.address, resume="latest"
        )["bare"]
    assert found["resolution"] == SOLVED
    assert [each["commands"] for each in found["rounds"]] == [["conf", "bad"], ["log"]]
    # The same secret in a round of another run of ansible, by a process that never saw it.
    assert "[redacted:password:1]" in found["command_results"][-1]["output"]
    assert len(model.begun) == 2
    assert f"{found['diagnosis_id']}" not in in_host(bare, "ls -A /var/lib/nannyapi/diagnostics")


def test_a_host_that_is_lost_in_a_round_is_named_with_its_evidence(
    ansible: Ansible, hosts: dict[str, Host], tmp_path: Path
) -> None:
    keys = make_keys(tmp_path)
    lost = Host("lost", 41, keys)
    lost.start(FAILING)
    long_round = {**SECOND, "ebpf_programs": [{**CONNECTS, "duration": 50}]}
    before = loaded_programs()
    try:
        with model_server("127.0.0.1", FIRST, long_round) as model:

            def cut() -> None:
                await_true(lambda: len(model.begun) == 2)
                await_true(lambda: len(loaded_programs() - before) >= 2)
                lost.close()

            cutter = threading.Thread(target=cut)
            cutter.start()
            # Without it, ssh itself takes a quarter of an hour to find out.
            notices = {"ansible_ssh_extra_args": "-o ServerAliveInterval=2 -o ServerAliveCountMax=2"}
            found = diagnosed(
                ansible, tmp_path / "run", {"lost": lost}, notices, model_access="controller", endpoint=model.address
            )["lost"]
            cutter.join()
    finally:
        lost.close()
    assert found["failed"]
    assert found["ended"] is None
    assert "could not be reached any more" in found["msg"]
    assert [each["id"] for each in found["command_results"]] == ["conf", "bad"]
    assert json.loads(Path(found["record"]).read_text())["rounds"] == found["rounds"]
    assert f"run it again with resume: {found['diagnosis_id']}" in found["msg"]


def test_in_the_background_it_is_refused_with_a_sentence(ansible: Ansible) -> None:
    result = ansible.module("diagnose", {"issue": ISSUE, "model_access": "controller"}, options=("-B", "60", "-P", "5"))
    assert result["failed"]
    assert "cannot do that in the background" in result["msg"]


def test_check_mode_says_what_would_be_done_and_does_nothing(ansible: Ansible) -> None:
    with model_server("127.0.0.1", SOLVED) as model:
        arguments = {"issue": ISSUE, "model_access": "controller", "endpoint": model.address, "api_key": KEY}
        result = ansible.module("diagnose", arguments, options=("--check",))
        assert model.begun == []
    assert result["would"].startswith("Ask tensorzero::function_name::diagnose_and_heal at http://127.0.0.1")
    assert result["ebpf_capabilities"]["kernel"]
    assert KEY not in json.dumps(result)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"issue": ""}, "The issue is empty"),
        ({"model_parallel_calls": -1}, "model_parallel_calls is -1"),
        ({"model_requests_per_minute": 10**6}, "model_requests_per_minute is 1000000"),
        ({"endpoint": "gateway"}, "The endpoint gateway is not a URL"),
        ({"model": "gpt"}, "no endpoint to ask it at"),
        ({"rounds": 0}, "rounds is 0"),
        ({"diagnosis_id": "x"}, "diagnosis_id"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(ansible: Ansible, arguments: dict[str, Any], sentence: str) -> None:
    result = ansible.module("diagnose", {"issue": ISSUE, "model_access": "controller", **arguments})
    assert result["failed"]
    assert sentence in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_the_hosts_part_alone_says_that_it_is_not_for_tasks(ansible: Ansible) -> None:
    result = ansible.module("diagnosis_collect", {"part": "round", "diagnosis_id": "mine"})
    assert "called by diagnose" in result["msg"]
    unknown = ansible.module("diagnosis_collect", {"part": "round", "diagnosis_id": "20260131T020304Z-1f2e3d4c"})
    assert "knows nothing of the diagnosis 20260131T020304Z-1f2e3d4c" in unknown["msg"]
