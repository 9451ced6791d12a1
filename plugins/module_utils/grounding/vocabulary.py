# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: words that mean something to whoever reads a resolution, as data."""

from __future__ import annotations

import errno


def word_set(text: str) -> frozenset[str]:
    """The words of a text, each once."""
    return frozenset(text.split())


ERRORS = frozenset(errno.errorcode.values()) | {"ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "EWOULDBLOCK"}

ANSWERS = word_set("NXDOMAIN SERVFAIL NODATA FORMERR NOTIMP")
"""What a name server answers where it has no address."""

PHRASES: dict[str, tuple[str, ...]] = {
    "connection refused": ("ECONNREFUSED",),
    "connection reset": ("ECONNRESET",),
    "permission denied": ("EACCES", "EPERM"),
    "no such file or directory": ("ENOENT",),
    "no space left on device": ("ENOSPC",),
    "too many open files": ("EMFILE", "ENFILE"),
    "no route to host": ("EHOSTUNREACH",),
    "network is unreachable": ("ENETUNREACH",),
    "input/output error": ("EIO",),
    "address already in use": ("EADDRINUSE",),
    "cannot allocate memory": ("ENOMEM",),
    "read-only": ("EROFS", "ro"),
    "broken pipe": ("EPIPE",),
    "stale file handle": ("ESTALE",),
}
"""What an error is called, in lower case, and the names that it may have in a result."""

SYSCALLS = word_set(
    """
    accept4 bpf brk chmod chown clone clone3 connect close creat dup2 epoll_ctl epoll_pwait epoll_wait execve
    execveat fallocate fchmod fchown fcntl fdatasync flock fork fstat fsync ftruncate futex getdents64 getpid
    getrandom getsockopt io_submit io_uring_enter ioctl kill lseek lstat madvise mkdirat mmap mprotect mremap
    msync munmap nanosleep newfstatat openat openat2 pipe2 ppoll prctl pread64 preadv pselect6 pwrite64 pwritev
    readlinkat readv recvfrom recvmsg renameat2 rt_sigaction sched_yield sendfile sendmmsg sendmsg sendto
    setsockopt statfs statx symlinkat sync_file_range tgkill unlink unlinkat vfork wait4 waitid writev
    clock_nanosleep
    """
)
"""System calls whose names are no English words, so that naming one is a claim about it."""

PROGRAMS = word_set(
    """
    activemq agetty airflow ansible apache apache2 apt-get auditd avahi-daemon bind9 cassandra celery ceph
    chronyd clamd clickhouse cockroach collectd consul containerd coredns cron crond cupsd dbus-daemon dhclient
    dnsmasq docker dockerd dovecot elasticsearch envoy etcd exim exim4 fail2ban filebeat firewalld fluentd ftpd
    galera gitlab grafana gunicorn haproxy hostapd httpd influxd iptables irqbalance java jenkins journald kafka
    keepalived kibana kubelet libvirtd lighttpd logrotate logstash mariadb mariadbd memcached minio mongod
    mongodb mosquitto multipathd munin mysql mysqld netdata networkmanager nfsd nftables nginx nodejs nscd ntpd
    openvpn oracle perl pgbouncer php php-fpm podman polkitd postfix postgres postgresql prometheus promtail
    proftpd puppet qemu rabbitmq redis redis-server rpcbind rsync rsyslogd ruby runc samba sendmail sidekiq
    slapd slurmd smbd snmpd solr sqlite squid sshd strongswan supervisord syslog-ng systemd systemd-journald
    systemd-logind systemd-networkd systemd-resolved systemd-udevd telegraf tomcat traefik udevd unbound uwsgi
    varnish varnishd vsftpd wpa_supplicant xfs_repair zabbix zookeeper
    """
)
"""Programs that are found on many hosts; naming one says that it has to do with the matter."""

PROCESS_NOUNS = word_set("process daemon program helper executable binary")

COMMON = word_set(
    """
    a about above after all also although an and another any are as at be because been before began being below
    both but by called can cannot causes caused client code connects could crashed data database did died do
    does each either ends ended even every exits exited fails failed for from gets given had has have he her
    here hits how i id if in into is it its itself keeps killed last leaks made makes many may might more most
    much named names never new no nobody none nor not nothing now of on once one only or other others our out
    over own reads restarted running runs same says seems server service several she shows since so some starts
    started still stops stopped such system table tables takes than that the their them then there these they
    this those time times to too tries trying under until up use used user uses via waits was we were what when
    where which while who whose why will with without work works would writes yet you your group tree limit list
    ids ebpf bpf kernel name pid pids
    """
)
"""Words that are never the name of something that was collected."""

THINGS = word_set(
    """
    thread cpu core process processor block inode datagram socket descriptor connection byte pid disk file limit
    user backlog
    """
)
"""What is counted on a host, but not by a program that counts events; in the singular."""

EVENTS = word_set("time call attempt event failure refusal error firing request occurrence")
"""What programs count, in the singular."""

FAILING = (
    "fail",
    "failed",
    "failing",
    "fails",
    "failure",
    "failures",
    "error",
    "errors",
    "refused",
    "refusal",
    "refusals",
)
STALLS = {
    "cpu": word_set("cpu processor core stall stalled wait waited waiting waits"),
    "io": word_set("disk storage device block stall stalled wait waited waiting waits"),
    "memory": word_set("ram reclaim swap stall stalled wait waited waiting waits"),
    "irq": word_set("interrupt stall stalled wait waited waiting waits"),
}
"""How sentences speak of what a file of /proc/pressure is about (Documentation/accounting/psi.rst)."""
SUCCEEDING = ("succeeded", "succeed", "successful", "ok", "returned")
WAITING = ("not returned", "in flight", "not come back", "still waiting", "under way", "unfinished", "pending")
WHOLE = ("in all", "in total", "altogether", "overall", "fired", "total", "counted", "firings")
HEDGES = (
    "about",
    "around",
    "roughly",
    "approximately",
    "approx",
    "some",
    "nearly",
    "almost",
    "~",
    "≈",
    "circa",
    "ca.",
    "close to",
)
ABOVE = ("more than", "over", "at least", "above", "exceeds", "exceeding", "no less than", "beyond", ">", "needed over")
BELOW = (
    "less than",
    "under",
    "at most",
    "below",
    "up to",
    "within",
    "fewer than",
    "no more than",
    "<",
    "not more than",
)
QUANTILES: dict[str, tuple[str, ...]] = {
    "p50": ("median", "half", "p50", "50th", "typical", "typically"),
    "p95": ("p95", "95th", "95 %", "95%"),
    "p99": ("p99", "99th", "99 %", "99%"),
    "max": ("max", "maximum", "longest", "slowest", "worst", "at most", "maximal", "peak"),
}
