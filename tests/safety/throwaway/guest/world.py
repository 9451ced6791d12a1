# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the throw-away host has before each line, put there and put right again."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import signal
import socket
import stat
import string
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import host_state
from listener import Listener

HERE = Path(__file__).resolve().parent
EVIL = Path("/opt/throwaway/evil")
VICTIM = Path("/opt/throwaway/nannyapi-victim")
VICTIM_PORT = 7997
OUTSIDE = "outside"
# As long as the other, so that compiled things can be made to speak of it: anybody may write in both.
TEMPORARY, ELSEWHERE = "/tmp", "/srv"

# Files that hold a secret, each with the rights that it usually has.
_SECRET_FILES = {
    "/root/.ssh/id_ed25519": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{word}\n-----END OPENSSH PRIVATE KEY-----\n",
        0o600,
    ),
    "/root/.bash_history": ("mysql -u root -p{word}\n", 0o600),
    "/root/.aws/credentials": ("[default]\naws_secret_access_key = {word}\n", 0o600),
    "/etc/nannyapi/api_key": ("{word}\n", 0o600),
    "/etc/ssl/private/server.key": ("-----BEGIN PRIVATE KEY-----\n{word}\n-----END PRIVATE KEY-----\n", 0o640),
    "/var/lib/kubelet/config.yaml": ("kind: KubeletConfiguration\ntoken: {word}\n", 0o644),
    "/run/secrets/kubernetes.io/serviceaccount/token": ("{word}\n", 0o644),
}
_TEXT_FILES = {
    "/etc/motd": ("Welcome.\n", 0o644),
    "/root/.ssh/authorized_keys": (None, 0o600),
    "/var/log/auth.log": (None, 0o640),
    "/var/log/syslog": (None, 0o640),
    "/var/log/wtmp": (None, 0o664),
    "/var/spool/cron/crontabs/root": ("0 0 1 1 * true\n", 0o600),
    "/etc/sysctl.d/evil.conf": ("kernel.panic = 1\n", 0o644),
    "/etc/hosts": (None, 0o644),
    "/etc/passwd": (None, 0o644),
}
_LOCK_FILES = ("/etc/shadow", "/etc/shadow-")


class World:
    """The host as it is to be. `words`: what is planted, by the path that a `shown` names."""

    def __init__(self) -> None:
        self.words: dict[str, list[str]] = {}
        self._kept: dict[str, tuple[bytes, int, object]] = {}
        self._things: dict[tuple[Path, str], bytes] = {}
        self._process = -1
        self._touched = True
        self._connection: socket.socket | None = None
        self._commands()
        self._secrets()
        # Whoever may write there may take away what is another's, too.
        os.chmod(ELSEWHERE, 0o777)
        for path, (content, mode) in _TEXT_FILES.items():
            known = content if content is not None else _content(path)
            self._keep(path, known if isinstance(known, bytes) else known.encode(), mode)
        for path in _LOCK_FILES:
            self._keep(path, _content(path), 0o640)
        self.listener = Listener(f"{OUTSIDE}1")
        VICTIM.unlink(missing_ok=True)
        VICTIM.symlink_to("/usr/bin/python3")
        self.restore("")

    def restore(self, line: str) -> bool:
        """Puts right whatever is not as it is to be before `line`. Whether there was anything to do."""
        self._touched = False
        for place in (TEMPORARY, ELSEWHERE):
            for path in glob.glob(f"{place}/marker*"):
                _remove(path)
                self._touched = True
            for path in EVIL.iterdir():
                if not path.name.startswith("evil.conf."):
                    self._evil(path, f"{place}/{path.name}")
            self._evil(_configuration(line), f"{place}/evil.conf")
            if not os.path.exists(f"{place}/keep"):
                self._keep(f"{place}/keep", b"kept\n", 0o666)
        for path, (content, mode, signed) in list(self._kept.items()):
            if host_state.signature(path) != signed:
                self._keep(path, content, mode)
        for path in ("/etc/ld.so.preload", "/core.1"):
            if os.path.lexists(path):
                _remove(path)
                self._touched = True
        if host_state.read("/proc/sys/vm/drop_caches") != b"1\n":
            _write("/proc/sys/vm/drop_caches", "1")
            self._touched = True
        if not self.victim_is_well():
            self._start_victim()
        self.listener.take()
        return self._touched

    def victim_is_well(self) -> bool:
        """Whether it runs, listens, and still answers on a connection that it had before."""
        try:
            if self._connection is None:
                return False
            self._connection.sendall(b"?")
            return self._connection.recv(10) != b"" and _listens(VICTIM_PORT)
        except OSError:
            return False

    @property
    def own_processes(self) -> set[int]:
        """Processes that are no line's."""
        return {os.getpid(), self._process}

    def undo(self) -> None:
        """Undoes what lines without any fence do to the host, as far as it can be."""
        clock = time.clock_gettime(time.CLOCK_BOOTTIME) + self._offset
        for command in _UNDO:
            subprocess.run(
                ["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
            )
        for name, value in self._settings.items():
            if host_state.read(f"/proc/sys/{name}") != value:
                _write(f"/proc/sys/{name}", value.decode())
        if host_state.clock_was_set(self._offset):
            time.clock_settime(time.CLOCK_REALTIME, clock)

    def _commands(self) -> None:
        for command in _ONCE:
            ran = subprocess.run(
                ["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            if ran.returncode:
                raise RuntimeError(f"`{command}` ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
        self._offset = host_state.clock_offset()
        self._settings = {name: host_state.read(f"/proc/sys/{name}") for name in host_state.SETTINGS}

    def _secrets(self) -> None:
        for path, (content, mode) in _SECRET_FILES.items():
            word = _word()
            self.words[path] = [word]
            self._keep(path, content.format(word=word * 6).encode(), mode)
        shadow = _word()
        lines = [line for line in _content("/etc/shadow").decode().splitlines() if not line.startswith("root:")]
        Path("/etc/shadow").write_text("\n".join([f"root:$6$x${shadow * 6}:19000:0:99999:7:::", *lines, ""]))
        shutil.copy("/etc/shadow", "/etc/shadow-")
        os.chmod("/etc/shadow-", 0o640)
        self.words["/etc/shadow"] = [shadow]
        self.words["/run/secrets/token"] = self.words["/run/secrets/kubernetes.io/serviceaccount/token"]
        key = _content("/etc/ssh/ssh_host_ed25519_key").decode().splitlines()
        self.words["/etc/ssh/ssh_host_ed25519_key"] = key[2:4]
        self._disk()
        self._environment()
        key_word = _word()
        subprocess.run(
            ["keyctl", "add", "user", f"nannyapi-{key_word}", key_word, "@s"], check=True, capture_output=True
        )
        self.words["keys"] = [key_word]
        self.words["packets"] = [_word()]

    def _disk(self) -> None:
        """A disk to be written to and read, with a file system that holds the word as well."""
        word = _word()
        tree = Path("/opt/throwaway/disk/etc")
        tree.mkdir(parents=True, exist_ok=True)
        (tree / "shadow").write_text(f"root:{word * 6}:\n")
        subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(tree.parent), "/dev/sda"], check=True, capture_output=True)
        shutil.rmtree(tree.parent)
        with open("/dev/sda", "r+b") as disk:
            disk.write(word.encode() * 6)
        self.words["/dev/sda"] = [word]

    def _environment(self) -> None:
        """The first process's, which it got from the kernel's command line, its manager's, and this one's own."""
        given = dict(entry.partition("=")[::2] for entry in _content("/proc/1/environ").decode().split("\0"))
        words = [given["NANNYAPI_WORD"][:8], _word()]
        os.environ["NANNYAPI_API_KEY"] = words[1] * 6
        subprocess.run(["systemctl", "set-environment", f"NANNYAPI_API_KEY={words[1] * 6}"], check=True)
        self.words["/proc/1/environ"] = self.words["/proc/1/mem"] = words

    def _keep(self, path: str, content: bytes, mode: int) -> None:
        if os.path.isdir(path):
            _remove(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            Path(path).write_bytes(content)
        except PermissionError:
            subprocess.run(["chattr", "-i", path], capture_output=True, check=False)
            Path(path).write_bytes(content)
        os.chown(path, 0, 0)
        for name in os.listxattr(path):
            os.removexattr(path, name)
        os.chmod(path, mode)
        self._kept[path] = (content, mode, host_state.signature(path))
        self._touched = True

    def _evil(self, source: Path, target: str) -> None:
        """A thing that makes the marker, where the line looks for it."""
        content = self._things.get((source, target))
        if content is None:
            content = source.read_bytes()
            if target.startswith(ELSEWHERE):
                content = content.replace(TEMPORARY.encode(), ELSEWHERE.encode())
            self._things[source, target] = content
        kept = self._kept.get(target)
        if kept is None or kept[0] != content or kept[2] != host_state.signature(target):
            _remove(target)
            self._keep(target, content, 0o755)

    def _start_victim(self) -> None:
        self._touched = True
        if self._connection is not None:
            self._connection.close()
        for path in glob.glob("/proc/[0-9]*/comm"):
            with suppress(OSError, ValueError):
                if Path(path).read_text().strip() == VICTIM.name[:15]:
                    os.kill(int(path.split("/")[2]), signal.SIGKILL)
        for _attempt in range(100):
            with suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            if not _listens(VICTIM_PORT):
                break
            time.sleep(0.05)
        started = subprocess.Popen(
            [str(VICTIM), "-I", str(HERE / "victim.py")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        self._process = started.pid
        for _attempt in range(400):
            with suppress(OSError):
                self._connection = socket.create_connection(("127.0.0.1", VICTIM_PORT), timeout=5)
                return
            time.sleep(0.05)
        raise RuntimeError("the victim did not start")


# What is done once on a fresh host, and what is done after a line that met no fence.
_ONCE = (
    "modprobe scsi_debug dev_size_mb=16 && udevadm settle && test -b /dev/sda",
    "echo mq-deadline > /sys/block/sda/queue/scheduler",
    # The kernel loads them for whoever asks about sockets; see docs/sandbox.md.
    "modprobe -a tcp_diag udp_diag raw_diag mptcp_diag unix_diag netlink_diag af_packet_diag; ss -a -A all >/dev/null",
    # Mounted for whoever looks into them, as `find /` does.
    "ls /proc/sys/fs/binfmt_misc /sys/kernel/debug/tracing",
    f"ip link add {OUTSIDE} type veth peer name {OUTSIDE}1",
    f"for d in {OUTSIDE} {OUTSIDE}1; do sysctl -q -w net.ipv6.conf.$d.disable_ipv6=1; ip link set $d up arp off; done",
    f"ip address add 203.0.113.1/24 dev {OUTSIDE} && ip route add default dev {OUTSIDE}",
    "rm -f /etc/resolv.conf; printf 'nameserver 203.0.113.53\\noptions timeout:1 attempts:1\\n' > /etc/resolv.conf",
    "for f in /swap.on /swap.off; do dd if=/dev/zero of=$f bs=1M count=2 status=none; chmod 600 $f; mkswap -q $f; done",
    "swapon /swap.on; mkdir -p /mnt/keep",
    "printf '/swap.off none swap defaults 0 0\\ntmpfs /mnt/keep tmpfs noauto,defaults 0 0\\n' >> /etc/fstab",
    "iptables -A INPUT -s 192.0.2.99 -c 5 500 -j ACCEPT",
    "nft add table inet keep; nft add counter inet keep c '{ packets 5 bytes 500 }'",
    "conntrack -I -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 1 --dport 2 -t 99999",
    "mkdir -p /var/log/journal; systemctl restart systemd-journald; journalctl --rotate",
    "systemctl start rsyslog cron ssh; systemd-run -q --unit=keep-failed --wait false; true",
    "auditctl -q -w /etc/motd -p wa -k keep; true",
    "mkdir -p /var/spool/cron/crontabs; rm -f /etc/ld.so.preload",
    "cp /lib/modules/$(uname -r)/kernel/drivers/net/dummy.ko /opt/throwaway/evil/evil.ko",
)
_UNDO = (
    "umount /bin/mount /mnt /mnt/keep; mount -o remount,rw /; losetup -D; swapoff /swap.off; swapon /swap.on",
    "ip link set lo up; ip link set lo mtu 65536; ip address add 127.0.0.1/8 dev lo",
    "ip address del 198.51.100.66/32 dev lo; ip address del 198.51.100.66/24 dev lo",
    f"ip route add default dev {OUTSIDE}; ip route del blackhole 198.51.100.0/24; ip route del 198.51.100.66",
    "ip rule del from 198.51.100.0/24; ip neigh del 198.51.100.1 dev lo; ip netns del marker; ip link del marker",
    "ip tunnel del marker; tc qdisc del dev lo root; ethtool -K lo gso on; networkctl up lo; rmmod dummy",
    "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; echo mq-deadline > /sys/block/sda/queue/scheduler",
    "echo 0 > /sys/kernel/tracing/events/enable; echo > /sys/kernel/tracing/kprobe_events",
    "echo 0 > /proc/1/oom_score_adj",
    "renice -n 0 -p 1; chrt -o -p 0 1; taskset -p 3 1; ionice -c 0 -p 1; prlimit --pid 1 --nofile=1048576:1048576",
    "iptables -D INPUT -j ACCEPT; iptables -C INPUT -s 192.0.2.99 -j ACCEPT || iptables -A INPUT -s 192.0.2.99 -c 5 500"
    " -j ACCEPT; iptables -D INPUT -s 192.0.2.99 -j ACCEPT; iptables -A INPUT -s 192.0.2.99 -c 5 500 -j ACCEPT",
    "nft delete table inet marker; nft delete table inet keep; nft add table inet keep;"
    " nft add counter inet keep c '{ packets 5 bytes 500 }'",
    "conntrack -I -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 1 --dport 2 -t 99999",
    "systemctl unmask ssh; systemctl unset-environment LD_PRELOAD; systemctl thaw ssh",
    "systemctl start ssh cron rsyslog; systemctl disable evil.service; rm -f /etc/systemd/system/evil.service",
    "systemd-analyze log-level info",
    "systemctl revert ssh; systemd-analyze log-target journal-or-kmsg; systemd-run -q --unit=keep-failed --wait false",
    "auditctl -e 1; auditctl -q -w /etc/motd -p wa -k keep; userdel -f eve; deluser nobody sudo",
    "setcap -r $(readlink -f /usr/bin/python3); echo 'openssh-server install' | dpkg --set-selections",
    "dpkg -P evil; update-alternatives --auto awk; rm -rf /tmp/m.zip /tmp/p /etc/motd.bak /etc/motd.gz",
    "pkill -KILL -U 60900-60999; pkill -f 'stress-ng|nmap|tmux|SCREEN'; true",
)


def left_over(world: World) -> list[str]:
    """Processes of a line that have not ended a second after it was over: those of this control group, and accounts."""
    found: dict[int, str] = {}
    for _attempt in range(20):
        found = _line_processes(world)
        if not found:
            break
        time.sleep(0.05)
    return [f"process {pid} ({name}) is left" for pid, name in found.items()]


def end_left_over(world: World) -> None:
    """Ends them."""
    for _attempt in range(40):
        found = _line_processes(world)
        # Stopped first: what starts others is otherwise never met.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        if not found:
            return
        time.sleep(0.05)


def _line_processes(world: World) -> dict[int, str]:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] > 0:
            pass
    group = Path("/proc/self/cgroup").read_text().partition("::")[2].strip()
    pids = {int(number) for number in Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split()}
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            pid, owner = int(entry.name), entry.stat().st_uid
            if pid in world.own_processes or not (pid in pids or 60900 <= owner <= 60999):
                continue
            name = Path(entry.path, "comm").read_text().strip()
            state = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[0]
            # The filter of the bus is the sandbox's own and serves all commands.
            if name not in ("xdg-dbus-proxy", "dbus-proxy") and state not in "ZX":
                found[pid] = name
    return found


def _configuration(line: str) -> Path:
    for name in ("sysctl", "modprobe", "ldconfig", "logrotate"):
        if name in line:
            return EVIL / f"evil.conf.{name}"
    return EVIL / "evil.conf.sysctl"


def _word() -> str:
    # Short, and repeated where it is planted, so that it is whole somewhere in any row of a dump.
    return "".join(secrets.choice(string.ascii_letters) for _number in range(8))


def _content(path: str) -> bytes:
    return Path(path).read_bytes() if os.path.exists(path) else b""


def _remove(path: str) -> None:
    with suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def _write(path: str, text: str) -> None:
    with suppress(OSError), open(path, "w") as opened:
        opened.write(text)


def _listens(port: int) -> bool:
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in lines)
