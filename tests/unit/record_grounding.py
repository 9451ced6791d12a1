# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records the evidence that the grounding cases are labelled against: real troubles, really traced, on this machine.

    sudo env PYTHONPATH=.cache/src /usr/bin/python3 tests/unit/record_grounding.py [name …]

Each trouble is a small process that has it, under a name of its own; the commands and programs are those that a model
asks for. What is written is what a model is shown: cut by the collection to what fits into a round. A new recording
has other pids and counts, so the claims in cases/grounding/*.yml, labelled by hand, have to be labelled anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import Programs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.collector import Collector
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.system import system_information
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.fitting import fit_evidence

CASES = Path(__file__).parent / "cases" / "grounding" / "evidence"
BPF = Path(__file__).parents[2] / "bpf"
CHARACTERS = 16_000
SECONDS = 5
PYTHON = "/usr/bin/python3"
TOLD = ("hostname", "cpus", "memory_mib", "uptime_s", "load_average", "disks", "addresses", "pressure")

AS = "import os,socket,sys,time,subprocess\nopen('/proc/self/comm','w').write(sys.argv[1])\n"
"""What each process begins with: it takes the name that it is called with."""

TROUBLES: dict[str, dict[str, Any]] = {
    "refused": {
        "issue": "The order service cannot reach its database",
        "process": (
            "orders",
            "while True:\n s=socket.socket(); s.connect_ex(('127.0.0.1',5432)); s.close(); time.sleep(0.1)",
        ),
        "commands": {
            "listeners": "ss -H -tln",
            "who": "ps -o pid,ppid,user,etimes,rss,args -C orders",
            "sockets": "ss -s",
            "services": "grep -w 5432 /etc/services",
        },
        "programs": {"connects": "syscalls/sys_enter_connect", "tcp_states": "sock/inet_sock_set_state"},
    },
    "missing_file": {
        "issue": "Invoices are not written since this morning",
        "before": (
            "mkdir -p /etc/billing /var/log/billing;"
            " printf '[rates]\\nfile = /etc/billing/rates.json\\nretry = 250 ms\\n'"
            " > /etc/billing/billing.conf; printf '%s\\n' '09:14:02 billing[311]: start, version 4.7.1'"
            " '09:14:02 billing[311]: ERROR cannot load rates: No such file or directory'"
            " > /var/log/billing/billing.log"
        ),
        "process": (
            "billing",
            "while True:\n"
            " try: open('/etc/billing/rates.json')\n"
            " except OSError: pass\n"
            " open('/etc/billing/billing.conf').close(); time.sleep(0.25)",
        ),
        "commands": {
            "folder": "ls -ln /etc/billing",
            "conf": "cat /etc/billing/billing.conf",
            "log": "cat /var/log/billing/billing.log",
            "who": "ps -o pid,ppid,user,nlwp,args -C billing",
        },
        "programs": {"opens": "syscalls/sys_enter_openat", "reads": "syscalls/sys_enter_read"},
        "filters": {"reads": {"comm": "billing"}},
        "after": "rm -rf /etc/billing /var/log/billing",
    },
    "slow_disk": {
        "issue": "Every commit of the ledger takes ages",
        "before": "mkdir -p /var/lib/ledger",
        "process": (
            "ledger",
            "f=os.open('/var/lib/ledger/journal',os.O_CREAT|os.O_WRONLY)\n"
            "while True:\n os.write(f,b'x'*1048576*8); os.fsync(f)\n os.ftruncate(f,0); os.lseek(f,0,0)",
        ),
        "commands": {
            "disks": "cat /proc/diskstats",
            "space": "df -h / /var/lib/ledger",
            "pressure": "cat /proc/pressure/io",
            "journal": "ls -l /var/lib/ledger",
            "load": "cat /proc/loadavg",
        },
        "programs": {"syncs": "syscalls/sys_enter_fsync", "writes": "syscalls/sys_enter_write"},
        "filters": {"writes": {"comm": "ledger"}},
        "after": "rm -rf /var/lib/ledger",
    },
    "dns": {
        "issue": "Names do not resolve in the shop",
        "process": (
            "shop",
            "q=bytes.fromhex('abcd01000001000000000000')+b'\\x02db\\x04shop\\x04test\\x00\\x00\\x01\\x00\\x01'\n"
            "while True:\n"
            " s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(('127.0.0.54',53)); s.settimeout(1)\n"
            " try: s.send(q); s.recvfrom(512)\n"
            " except OSError: pass\n"
            " s.close(); time.sleep(0.2)",
        ),
        "commands": {
            "udp": "ss -H -uln",
            "nsswitch": "cat /etc/host.conf",
            "resolve": "getent ahosts localhost",
            "udp_counters": "nstat -az UdpInDatagrams UdpNoPorts UdpOutDatagrams",
        },
        "programs": {"connects": "syscalls/sys_enter_connect", "receives": "syscalls/sys_enter_recvfrom"},
        "filters": {"connects": {"comm": "shop"}, "receives": {"comm": "shop"}},
    },
    "memory": {
        "issue": "The host gets slower and slower, free memory shrinks",
        "process": (
            "thumbs",
            "kept=[]\n"
            "while True:\n kept.append(bytearray(b'x'*4194304)); time.sleep(0.05)\n if len(kept)>150: time.sleep(9)",
        ),
        "commands": {
            "free": "free -m",
            "largest": "ps -eo pid,rss,comm --sort=-rss | head -n 6",
            "meminfo": "head -n 5 /proc/meminfo",
            "swap": "cat /proc/swaps",
        },
        "programs": {"faults": "exceptions/page_fault_user", "pages": "kmem/mm_page_alloc"},
    },
    "restarts": {
        "issue": "The mailer keeps restarting",
        "process": (
            "mailwatch",
            "while True:\n"
            " subprocess.run([sys.executable,'-Ic',"
            "\"import sys;open('/proc/self/comm','w').write('mailer');sys.exit(78)\"])\n"
            " time.sleep(0.3)",
        ),
        "commands": {
            "tree": "ps -o pid,ppid,etimes,comm -C mailwatch,mailer",
            "loadavg": "cat /proc/loadavg",
            "uptime": "cat /proc/uptime",
            "pids": "cat /proc/sys/kernel/pid_max",
        },
        "programs": {"exits": "sched/sched_process_exit", "starts": "syscalls/sys_enter_execve"},
        "filters": {"exits": {"comm": "mail*"}, "starts": {"comm": "mail*"}},
    },
    "busy": {
        "issue": "One CPU is always at 100 percent",
        "process": ("poller", "f=open('/proc/self/stat','rb',0)\nwhile True:\n f.seek(0); f.read(64)"),
        "commands": {
            "top": "ps -eo pid,pcpu,pmem,nlwp,comm --sort=-pcpu | head -n 5",
            "cpus": "nproc",
            "loadavg": "cat /proc/loadavg",
            "stat": "head -n 3 /proc/stat",
        },
        "programs": {"calls": "raw_syscalls/sys_enter", "switches": "sched/sched_switch"},
    },
    "no_space": {
        "issue": "Uploads fail half way",
        "before": "mkdir -p /srv/uploads; mount -t tmpfs -o size=2m uploads /srv/uploads; head -c 3000000 /dev/zero >"
        " /srv/uploads/archive.bin",
        "process": (
            "uploadd",
            "while True:\n"
            " f=os.open('/srv/uploads/part',os.O_CREAT|os.O_WRONLY)\n"
            " try: os.write(f,b'x'*8192)\n"
            " except OSError: pass\n"
            " os.close(f); time.sleep(0.2)",
        ),
        "commands": {
            "space": "df -k /srv/uploads",
            "inodes": "df -i /srv/uploads",
            "files": "ls -l /srv/uploads",
            "mounts": "findmnt -n /srv/uploads",
        },
        "programs": {"writes": "syscalls/sys_enter_write", "opens": "syscalls/sys_enter_openat"},
        "filters": {"writes": {"comm": "uploadd"}, "opens": {"comm": "uploadd"}},
        "after": "umount /srv/uploads; rmdir /srv/uploads",
    },
    "open_files": {
        "issue": "The gateway stops accepting after a while",
        "process": (
            "edge",
            "import resource; resource.setrlimit(resource.RLIMIT_NOFILE,(64,64))\n"
            "l=socket.socket(); l.setsockopt(1,2,1); l.bind(('127.0.0.1',8443)); l.listen(16); kept=[]\n"
            "while True:\n"
            " try: kept.append(os.open('/dev/null',0))\n"
            " except OSError: time.sleep(0.4)",
        ),
        "commands": {
            "listeners": "ss -H -tlnp",
            "limits": "cat /proc/{pid}/limits",
            "open_now": "ls /proc/{pid}/fd | wc -l",
            "status": "cat /proc/{pid}/status",
        },
        "programs": {"opens": "syscalls/sys_enter_openat", "accepts": "syscalls/sys_enter_accept4"},
        "filters": {"opens": {"comm": "edge"}},
    },
    "quiet": {
        "issue": "Something was slow last night",
        "process": ("idle", "time.sleep(600)"),
        "commands": {
            "loadavg": "cat /proc/loadavg",
            "rmem": "sysctl net.core.rmem_max",
            "oops": "cat /var/log/nothing-here.log",
            "change": "rm -rf /var/tmp/cache",
        },
        "programs": {"resets": "tcp/tcp_send_reset", "oom": "oom/mark_victim", "gone": "kprobe:no_such_function"},
    },
}


def main(names: list[str]) -> None:
    """Records the troubles of these names, all where none is given."""
    CASES.mkdir(parents=True, exist_ok=True)
    for name in names or TROUBLES:
        recorded = fit(record(TROUBLES[name]))
        (CASES / f"{name}.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(name, len(json.dumps(recorded)))


def record(trouble: dict[str, Any]) -> dict[str, Any]:
    """A trouble's evidence, collected while it is there."""
    shell = shutil.which("sh") or "sh"
    subprocess.run([shell, "-c", trouble.get("before", "true")], check=False)
    process = subprocess.Popen([PYTHON, "-Ic", AS + trouble["process"][1], trouble["process"][0]])
    try:
        time.sleep(1.5)
        commands = [
            {"id": key, "command": line.format(pid=process.pid), "description": ""}
            for key, line in trouble["commands"].items()
        ]
        collected = collector().collect(commands, requests(trouble))
    finally:
        process.kill()
        process.wait()
        subprocess.run([shell, "-c", trouble.get("after", "true")], check=False)
    host = system_information()
    return {"issue": trouble["issue"], "system_information": {key: host[key] for key in TOLD}, **collected}


def collector() -> Collector:
    """What the collection collects with."""
    bundle = Bundle.from_directory(BPF)
    tracer = Tracer(bundle, own_roots=[], limits=TraceLimits(seconds=30), programs=Programs(bundle))
    return Collector(tracer, Policy.default(), Limits(seconds=20, output_bytes=20_000))


def requests(trouble: dict[str, Any]) -> list[dict[str, Any]]:
    """The programs as a model asks for them."""
    asked = []
    for name, target in trouble["programs"].items():
        kind, _colon, plain = target.rpartition(":")
        filters = trouble.get("filters", {}).get(name, {})
        asked.append(
            {"name": name, "type": kind or "tracepoint", "target": plain, "duration": SECONDS, "filters": filters}
        )
    return asked


def fit(recorded: dict[str, Any]) -> dict[str, Any]:
    """The recording with its evidence as the loop gives it to a model."""
    return {**recorded, **fit_evidence({key: recorded[key] for key in ("command_results", "ebpf_results")}, CHARACTERS)}


if __name__ == "__main__":
    os.umask(0o022)
    main(sys.argv[1:])
