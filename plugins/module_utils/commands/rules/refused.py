# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: programs that are often asked for and never run here, each with the way that is open.

Every other program without a rule is refused too; these only have a better sentence.
"""

from __future__ import annotations

_LANGUAGE = (
    "it is a programming language and can do anything; use `awk` or `sed` that only print, `grep`, `cut`, `tr`, `sort`"
)
_SHELL = "it runs other commands; write them directly: pipes, `;`, `&&` and `||` are understood"
_RUNS = "it runs another program; write that program's line by itself (each command has a time limit anyway)"
_NETWORK = (
    "it sends to the network what nobody has judged; use `ss -tan`, `getent ahosts NAME`, `dig`, `ping -c 3` or an"
    " eBPF program on syscalls/sys_enter_connect"
)
_TRACE = "it attaches to processes or devices; ask for an eBPF program instead, such as tracepoint syscalls/sys_enter_*"
_CONTAINER = (
    "a container engine's socket is as good as root; read /proc/PID/cgroup, `systemd-cgls` or `ps -eo pid,cgroup,args`"
)
_WRITES = "it changes files; reading is all that is done here"
_PAGER = "it wants a terminal; use `cat`, `head -n` or `tail -n`"
_EDITOR = "it is an editor; use `cat`, `head -n` or `grep`"
_PROCESSES = "it acts on processes; name them in the resolution and leave that to the operator"
_BOOT = "it changes the system's state; put it into the resolution plan for the operator"
_PACKAGES = "it installs or removes software; use `dpkg -l NAME` or `rpm -q NAME` to look"
_ACCOUNTS = "it changes accounts or becomes another; everything accepted already runs with what it needs"
_LEAVE_OUT = "it becomes another account; leave it out, as everything accepted already runs with what it needs"
_ENVIRONMENT = "it shows or sets environments, where secrets are"
_BUILTIN = "it is a shell builtin, and there is no shell here"
_DAEMON = (
    "it is a service's own program; use `systemctl status NAME`, and `cat` and `grep` on its configuration and logs"
)
_CLIENT = (
    "it logs in to a service and may do there what that account may; use its logs, `ss -tnp` or an eBPF program; a"
    " site's own rules can accept it"
)
_DISKS = "it reads or changes raw disks; use `lsblk -f`, `findmnt` or `df`"
_KERNEL = "it changes the kernel; use `lsmod`, `modinfo NAME` or `sysctl NAME`"


def _same(reason: str, names: str) -> dict[str, str]:
    """One reason for several programs, their names separated by blanks."""
    return dict.fromkeys(names.split(), reason)


REFUSED: dict[str, str] = {
    **_same(_LANGUAGE, "perl python python2 python3 ruby lua node php tclsh expect bc dc"),
    **_same(_SHELL, "sh bash dash zsh ksh fish busybox eval source . exec"),
    **_same(_RUNS, "systemd-run start-stop-daemon runuser command builtin"),
    **_same(_RUNS, "xargs nohup setsid watch time script flock parallel unshare nsenter chroot"),
    **_same(_NETWORK, "curl wget nc ncat netcat telnet socat ftp sftp ssh scp rsync nmap iperf iperf3 ab"),
    **_same(_TRACE, "strace ltrace gdb tcpdump tshark perf bpftrace bpftool trace-cmd crash gcore"),
    **_same(_CONTAINER, "docker podman nerdctl crictl ctr kubectl lxc lxd-client machinectl virsh"),
    **_same(_WRITES, "tee dd cp mv rm ln mkdir rmdir touch truncate shred install chmod chown chgrp chattr setfacl"),
    **_same(_WRITES, "tar gzip gunzip bzip2 xz zip unzip cpio ar split mktemp mkfifo mknod rename sponge patch"),
    **_same(_PAGER, "less more most man info htop atop iotop iftop nethogs"),
    **_same(_EDITOR, "vi vim view nano emacs ed ex"),
    **_same(_PROCESSES, "kill pkill killall renice skill snice xkill"),
    **_same(_BOOT, "reboot shutdown halt poweroff init telinit service swapoff umount logrotate ldconfig update-grub"),
    **_same(_PACKAGES, "apt apt-get aptitude yum dnf zypper pacman apk snap flatpak pip pip3 gem npm apt-cache"),
    **_same(_LEAVE_OUT, "sudo doas"),
    **_same(_ACCOUNTS, "su pkexec passwd useradd usermod userdel groupadd chage visudo login newgrp"),
    **_same(_ENVIRONMENT, "env printenv export set declare typeset"),
    **_same(_DISKS, "fdisk sfdisk parted gdisk mkfs fsck e2fsck tune2fs dumpe2fs debugfs blkid hdparm wipefs losetup"),
    **_same(_KERNEL, "insmod rmmod modprobe kexec depmod"),
    "cd": _BUILTIN + "; commands start in /, so give absolute paths",
    "type": _BUILTIN + "; use `which NAME`",
    "ulimit": _BUILTIN + "; use `prlimit --pid PID` or `cat /proc/PID/limits`",
    "read": _BUILTIN,
    "alias": _BUILTIN,
    "unset": _BUILTIN,
    "trap": _BUILTIN,
    "jobs": _BUILTIN,
    "history": _BUILTIN,
    "zgrep": "it is a shell script around other programs; use `zcat FILE | grep PATTERN`",
    "strings": "it can take its arguments from a file; use `grep -a`",
    "multitail": _PAGER,
    "yes": "it never ends",
    "ldd": "it may run the program that it looks at; use `cat /proc/PID/maps`",
    "ausearch": "it is not accepted yet; use `grep AVC /var/log/audit/audit.log | tail`",
    "nmcli": "it changes connections and shows their passwords; use `ip addr`, `ip route` or `networkctl status`",
    **_same(
        _DAEMON, "nginx apache2 apachectl apache2ctl httpd sshd php-fpm haproxy named mysqld postgres postfix exim"
    ),
    **_same(
        _CLIENT, "psql mysql mariadb mysqladmin redis-cli mongosh mongo rabbitmqctl sqlite3 ldapsearch fail2ban-client"
    ),
}
