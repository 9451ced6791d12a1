# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures this collection against bpftrace and Ansible on the same work, interleaved, in one run.

    bench.py [--rounds N] [NAME …]                  all figures, or those that are named
    bench.py --kernel 6.1 [--rounds N] [NAME …]     those of the warm path, in a virtual machine with that kernel

Writes reports/bench.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peers
from table import Row, alone, compared, shown, write

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import for_host
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports" / "bench.json"
# What a host has: the interpreter itself, without what the test environment loads at each start.
PYTHON = str(Path(sys.executable).resolve())
TRACED = [PYTHON, str(Path(__file__).with_name("traced.py"))]
PEAK = [PYTHON, "-S", "-E", str(Path(__file__).with_name("peak.py"))]
FOUR = ["sched/sched_process_exec", "block/block_rq_issue", "sock/inet_sock_set_state", "syscalls/sys_enter_openat"]
DD = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=1000000", "status=none"]
CALLS = 3_000_000
DETACHED_SECONDS = 1.0  # by then the kernel has let go of what was detached
Measure = Callable[[int], Row]


def requests(targets: list[str], seconds: int = 60, **filters: Any) -> str:
    """Programs as the protocol has them."""
    return json.dumps(
        [{"type": "tracepoint", "target": target, "duration": seconds, "filters": filters} for target in targets]
    )


def sent(without: str = "") -> str:
    """What a host is sent; `without`: bytecode that is missing, so that the host has to compile it."""
    whole = Bundle.from_directory(ROOT / "bpf")
    if without:
        return Bundle({name: text for name, text in whole.files.items() if name != without}).pack()
    return for_host(whole, compile_there=False).pack()


def environment(bundle: str = "") -> dict[str, str]:
    """Of a process of ours, whose modules Python keeps compiled as it does by itself."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "BENCH_BUNDLE": bundle or sent()}


def started(*arguments: str) -> subprocess.Popen[str]:
    """A process of ours that is spoken with."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*TRACED, *arguments], stdin=pipe, stdout=pipe, text=True, env=environment())


def one_attach(environment: dict[str, str]) -> float:
    """Seconds from the start of a process of ours to four probes attached."""
    began = time.time()
    return float(run_once(environment)) - began


def run_once(environment: dict[str, str]) -> str:
    """A process of ours that attaches four probes, detaches them and ends; what it prints."""
    command = [*TRACED, "once", "needed", requests(FOUR)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True).stdout


def one_attach_of_bpftrace() -> float:
    """The same of bpftrace."""
    began = time.time()
    with subprocess.Popen(peers.attaching(FOUR), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as peer:
        assert peer.stdout is not None
        while (line := peer.stdout.readline()) != "attached\n":
            assert line, "bpftrace ended without having attached"
        attached = time.time()
        peer.communicate()
    assert peer.returncode == 0
    return attached - began


def took(action: Callable[[], object]) -> float:
    """Seconds."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def peak(command: list[str]) -> float:
    """The peak memory of a command, in KiB."""
    ran = subprocess.run(
        [*PEAK, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(), check=True
    )
    return float(ran.stdout.splitlines()[-1])


def attach_warm(rounds: int) -> Row:
    with_bytecode = environment()
    one_attach(with_bytecode)  # compiles the modules
    pairs = [(one_attach(with_bytecode), one_attach_of_bpftrace()) for _round in range(rounds)]
    return compared("attach_warm", "s", *split(pairs), "bpftrace", 0.08)


def run_warm(rounds: int) -> Row:
    """From the start of a process to its end, with four probes attached and detached again."""
    with_bytecode = environment()
    run_once(with_bytecode)  # as above
    pairs = [(took(lambda: run_once(with_bytecode)), took(one_attach_of_bpftrace)) for _round in range(rounds)]
    return compared("run_warm", "s", *split(pairs), "bpftrace", 1.0)


def rss_warm(rounds: int) -> Row:
    once = [*TRACED, "once", "needed", requests(FOUR)]
    peak(once)  # as above
    pairs = [(peak(once), peak(peers.attaching(FOUR))) for _round in range(rounds)]
    return compared("rss_warm", "KiB", *split(pairs), "bpftrace", 0.2)


def attach_cold(rounds: int) -> Row:
    """BCC must compile the generic tracepoint program; nothing is kept from one round to the next."""
    pairs = []
    without = environment(sent(without="bytecode/tracepoint.json"))
    for _round in range(rounds):
        with hidden_store():
            ours = one_attach(without)
        pairs.append((ours, one_attach_of_bpftrace()))
    return compared("attach_cold", "s", *split(pairs), "bpftrace", 1.0)


@contextlib.contextmanager
def hidden_store() -> Iterator[None]:
    """An empty cache of what was compiled."""
    store = Path("/var/cache/nannyapi/diagnostics")
    store.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(store)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(store)], check=True)


def attach_warm_inproc(rounds: int) -> Row:
    pairs = []
    with started("serve", "needed", requests(FOUR)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _round in range(rounds + 1):
            process.stdin.write("\n")
            process.stdin.flush()
            ours = float(process.stdout.readline())
            # We detach beside what follows, and the kernel makes who attaches meanwhile wait for it.
            time.sleep(DETACHED_SECONDS)
            pairs.append((ours, one_attach_of_bpftrace()))
        process.stdin.close()
    return compared("attach_warm_inproc", "s", *split(pairs[1:]), "bpftrace", 0.01)


def work() -> float:
    """Seconds that the workload takes, of which a thousandth is spent outside of system calls."""
    began = time.perf_counter()
    subprocess.run(DD, check=True)
    return time.perf_counter() - began


@contextlib.contextmanager
def ours_running(plan: str, targets: list[str], **filters: Any) -> Iterator[list[dict[str, Any]]]:
    """Traces during the block; the results are in the list after it."""
    results: list[dict[str, Any]] = []
    with started("hold", plan, "needed", requests(targets, 300, **filters)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "attached\n"
        yield results
        results += json.loads(process.communicate()[0])
    assert not any("error" in result for result in results), results


def effect(name: str, rounds: int, plan: str, script: str, **filters: Any) -> Row:
    """Time added to the work: both sides in every round, with the work alone before each."""
    pairs = []
    for _round in range(rounds):
        alone_before = work()
        with ours_running(plan, ["syscalls/sys_enter_*"], **filters):
            with_ours = work()
        alone_between = work()
        with contextlib.closing(peers.Running(script)):
            with_peer = work()
        base = min(alone_before, alone_between)
        pairs.append((with_ours - base, with_peer - base))
    return compared(name, "s", *split(pairs), "bpftrace", 1.0)


def probe_effect(rounds: int) -> Row:
    return effect("probe_effect", rounds, "count", peers.COUNT.format(filter=""))


def probe_effect_paired(rounds: int) -> Row:
    return effect("probe_effect_paired", rounds, "whole", peers.PAIRED)


def probe_effect_filtered(rounds: int) -> Row:
    with subprocess.Popen(["sleep", "infinity"]) as other:
        try:
            script = peers.COUNT.format(filter=f"/pid == {other.pid}/")
            return effect("probe_effect_filtered", rounds, "count", script, pid=other.pid)
        finally:
            other.kill()


def exact(rounds: int) -> Row:
    """Events counted of those made, while three other programs run."""
    targets = ["syscalls/sys_enter_getppid", "syscalls/sys_enter_*", "sched/sched_switch", "sched/sched_wakeup"]
    ratios = []
    for _round in range(max(2, rounds // 4)):
        body = f"import os, sys\nsys.stdin.readline()\nfor _ in range({CALLS}): os.getppid()\n"
        with (
            subprocess.Popen([sys.executable, "-c", body], stdin=subprocess.PIPE, text=True) as caller,
            ours_running("whole", targets, pid=caller.pid) as results,
        ):
            caller.communicate("go\n")
        ratios += [results[0]["event_count"] / CALLS, results[1]["by_syscall"]["getppid"] / CALLS]
    return alone("exact", "events counted / made", ratios, 1.0, all(ratio == 1.0 for ratio in ratios))


def round_overhead(rounds: int) -> Row:
    """What a round takes beyond its longest trace."""
    # Only hosts that were set up for a diagnosis have what commands are judged with.
    from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
    from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits
    from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.collector import Collector

    targets = ["sched/sched_switch", "block/block_rq_issue", "syscalls/sys_enter_openat", "syscalls/sys_enter_connect"]
    lines = ["uptime", "df -h", "ps aux", "cat /proc/meminfo", "cat /proc/loadavg", "uname -a"]
    commands = [{"id": f"c{number}", "command": line} for number, line in enumerate(lines)]
    sources = Bundle.from_directory(ROOT / "bpf")
    took = []
    for _round in range(max(2, rounds // 4)):
        tracer = Tracer(sources, own_roots=[os.getpid()])
        began = time.monotonic()
        collected = Collector(tracer, Policy.for_host(), Limits()).collect(commands, json.loads(requests(targets, 10)))
        took.append(time.monotonic() - began - 10)
        assert not any("error" in result for result in collected["ebpf_results"].values()), collected["ebpf_results"]
        assert all(result["exit_code"] == 0 for result in collected["command_results"]), collected["command_results"]
    return alone("round_overhead", "s", took, 0.3, statistics.median(took) <= 0.3)


def module_overhead(rounds: int) -> Row:
    import through_ansible  # a virtual machine has no Ansible

    return compared("module_overhead", "s", *split(through_ansible.pairs(rounds)), "ansible.builtin.command", 1.3)


def split(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [one for one, _other in pairs], [other for _one, other in pairs]


WARM: list[Measure] = [
    attach_warm,
    run_warm,
    attach_warm_inproc,
    rss_warm,
    probe_effect,
    probe_effect_paired,
    probe_effect_filtered,
    exact,
]
MEASURES = {measure.__name__: measure for measure in [*WARM, attach_cold, round_overhead, module_overhead]}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--kernel", help="measure the warm path in a virtual machine with this kernel of Debian's")
    given = parser.parse_args()
    if given.kernel:
        import in_machine  # brings what boots machines

        names = given.names or [measure.__name__ for measure in WARM]
        rows = in_machine.measured(given.kernel, ["--rounds", str(given.rounds), *names])
    else:
        rows = measured(given.names or list(MEASURES), given.rounds)
    write(rows, REPORT)
    print(shown(rows))
    return 0


def measured(names: list[str], rounds: int) -> list[Row]:
    rows = []
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        rows.append(MEASURES[name](rounds))
        print(shown(rows[-1:]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
