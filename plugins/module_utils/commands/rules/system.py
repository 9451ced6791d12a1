# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: command rules for programs that show the system, its services, logs and hardware."""

from __future__ import annotations

from .schema import Rule

_CHANGES = "only forms that show are accepted"
_NEVER_ENDS = "it would never end; ask for the last lines with -n, and again in the next round"
_JOURNAL = "it changes the journal's files"
_OTHER_SYSTEM = "it looks at another machine, container or root"
_RING = "it changes what the kernel's log holds or shows"

_PROPERTIES = ["org.freedesktop.DBus.Properties.Get", "org.freedesktop.DBus.Properties.GetAll"]


def _methods(interface: str, names: str) -> list[str]:
    """Reading properties, and the named methods of one interface, separated by blanks."""
    return [*_PROPERTIES, *(f"{interface}.{name}" for name in names.split())]


_UNITS = _methods(
    "org.freedesktop.systemd1.Manager",
    "GetUnit GetUnitByPID GetUnitByControlGroup LoadUnit ListUnits ListUnitsFiltered ListUnitsByPatterns"
    " ListUnitsByNames ListUnitFiles ListUnitFilesByPatterns GetUnitFileState GetUnitFileLinks GetDefaultTarget"
    " ListJobs GetJob GetUnitProcesses",
)

_SHORT = (
    "short|short-full|short-iso|short-iso-precise|short-precise|short-monotonic|short-delta|short-unix|with-unit|cat"
)
# What formats that show all fields show where nothing else is asked for: not COREDUMP_ENVIRON, in which the environment
# of what crashed is kept.
_FIELDS = (
    "MESSAGE,MESSAGE_ID,PRIORITY,SYSLOG_IDENTIFIER,SYSLOG_FACILITY,SYSLOG_PID,ERRNO,CODE_FILE,CODE_LINE,CODE_FUNC,_PID,"
    "_UID,_GID,_COMM,_EXE,_CMDLINE,_HOSTNAME,_TRANSPORT,_BOOT_ID,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT,_SYSTEMD_SLICE,"
    "_SYSTEMD_INVOCATION_ID,_SOURCE_REALTIME_TIMESTAMP,_KERNEL_DEVICE,_KERNEL_SUBSYSTEM,_SELINUX_CONTEXT,UNIT,USER_UNIT,"
    "INVOCATION_ID,JOB_TYPE,JOB_RESULT,EXIT_CODE,EXIT_STATUS,COREDUMP_EXE,COREDUMP_COMM,COREDUMP_PID,COREDUMP_UNIT,"
    "COREDUMP_SIGNAL,COREDUMP_SIGNAL_NAME,COREDUMP_TIMESTAMP"
)

RULES: dict[str, Rule] = {
    "uname": {
        "flags": "-a -i -m -n -o -p -r -s -v --all --kernel-name --kernel-release --kernel-version --machine"
        " --nodename --operating-system --processor --hardware-platform",
    },
    "hostnamectl": {
        "dbus": _methods("org.freedesktop.hostname1", "Describe"),
        "flags": "--no-pager",
        "operands_note": _CHANGES,
        "forms": ["", "status"],
    },
    "localectl": {"dbus": _PROPERTIES, "flags": "--no-pager", "operands_note": _CHANGES, "forms": ["", "status"]},
    "timedatectl": {
        "dbus": _PROPERTIES,
        "flags": "-a --all --no-pager --value",
        "values": {"-p --property": "word"},
        "operands_note": _CHANGES,
        "forms": ["", "status|show|timesync-status|show-timesync"],
        "example": "timedatectl show",
    },
    "date": {
        "flags": "-R -u --rfc-email --utc --universal",
        "values": {"-d --date": "text", "-r --reference": "list"},
        "optional": {"-I --iso-8601": "word", "--rfc-3339": "word"},
        "refused": {"-s --set": "it sets the clock", "-f --file": "it takes dates from a file"},
        "operands_note": "anything but a +FORMAT sets the clock",
        "forms": ["", r"@re:\+.*"],
        "example": "date -u +%FT%TZ",
    },
    "journalctl": {
        "capability": {"": "DAC_READ_SEARCH"},
        "flags": "-a -e -k -l -m -q -r -x -N --all --pager-end --dmesg --full --no-full --merge --quiet --reverse"
        " --catalog --fields --no-pager --no-hostname --utc --list-boots --disk-usage --header --user --system"
        " --no-tail --show-cursor --truncate-newline",
        "values": {
            "-u --unit": "word",
            "--user-unit": "word",
            "-n --lines": r"re:all|\d{1,4}|10000",
            "-p --priority": "word",
            "-t --identifier": "text",
            "-g --grep": "text",
            "-S --since": "text",
            "-U --until": "text",
            "-o --output": f"re:{_SHORT}|verbose|export|json(-pretty|-sse|-seq)?",
            "--output-fields": "journal_fields",
            "-F --field": "journal_fields",
            "-c --cursor": "text",
            "--after-cursor": "text",
            "--facility": "word",
        },
        "optional": {"-b --boot": r"re:-?\d+|[0-9a-f]{32}([+-]\d+)?|all", "--case-sensitive": "word"},
        # `-b -1` and `-b 0`: the boot as a word of its own.
        "matching": [r"-\d+"],
        "refused": {
            "-f --follow": _NEVER_ENDS,
            "--vacuum-size": _JOURNAL,
            "--vacuum-files": _JOURNAL,
            "--vacuum-time": _JOURNAL,
            "--rotate": _JOURNAL,
            "--flush": _JOURNAL,
            "--sync": _JOURNAL,
            "--relinquish-var": _JOURNAL,
            "--smart-relinquish-var": _JOURNAL,
            "--setup-keys": _JOURNAL,
            "--verify": "it makes files in the journal's directory; `journalctl --header` tells of the journal's state",
            "--update-catalog": _JOURNAL,
            "--cursor-file": "it writes a file",
            "-D --directory": "it reads a directory that nobody has judged",
            "--file": "it reads a file that nobody has judged",
            "-M --machine": _OTHER_SYSTEM,
            "--root": _OTHER_SYSTEM,
            "--image": _OTHER_SYSTEM,
        },
        "insert": ["--no-pager"],
        "insert_with": {"-o --output": {"verbose|export|json.*": f"--output-fields={_FIELDS}"}},
        "forms": [r"@re:(?!COREDUMP(_ENVIRON)?=)[A-Z_0-9]+=.*|\+|-?\d+|[0-9a-f]{32}|/(dev|usr)/(?!.*\.\.)[\w./-]+..."],
        "operands_note": "only FIELD=value, a device or a program under /usr may follow, and no memory or"
        " environment of what crashed",
        "example": "journalctl -u ssh -n 100 --since '1 hour ago'",
    },
    "dmesg": {
        "capability": {"": "SYSLOG"},
        "flags": "-d -e -H -J -k -P -r -S -t -T -u -x -p --show-delta --reltime --human --json --kernel --nopager --raw"
        " --syslog --notime --ctime --userspace --decode --force-prefix",
        "values": {
            "-l --level": "word",
            "-f --facility": "word",
            "-s --buffer-size": "number",
            "--since": "text",
            "--until": "text",
            "--time-format": "word",
        },
        "optional": {"-L --color": "word"},
        "refused": {
            "-C --clear": _RING,
            "-c --read-clear": _RING,
            "-D --console-off": _RING,
            "-E --console-on": _RING,
            "-n --console-level": _RING,
            "-w --follow": _NEVER_ENDS,
            "-W --follow-new": _NEVER_ENDS,
            "-F --file": "it reads a file; use cat",
            "-K --kmsg-file": "it reads a file; use cat",
        },
        "example": "dmesg -T --level=err,warn",
    },
    "systemctl": {
        "dbus": _UNITS,
        # For the last lines of a unit's log, which `status` shows. `cat` shows files, and gets nothing.
        "capability_on": {
            r"(?!(show|cat|list-.*|is-.*|get-default)$)[A-Za-z0-9:_.@\\*?\[\]-]+": "DAC_READ_SEARCH",
        },
        "flags": "-a -l -q -r --all --full --quiet --recursive --failed --no-pager --no-legend --plain --value"
        " --reverse --after --before --show-types --with-dependencies --no-ask-password",
        "values": {
            "-t --type": "word",
            "--state": "word",
            "-p -P --property": "word",
            "-n --lines": "number:0..1000",
            "-o --output": f"re:{_SHORT}",
            "--timestamp": "word",
        },
        "refused": {
            "-H --host": _OTHER_SYSTEM,
            "-M --machine": _OTHER_SYSTEM,
            "--root": _OTHER_SYSTEM,
            "--user": "it looks at another account's services",
            "-s --signal": "it sends a signal",
            "--now": _CHANGES,
            "-f --force": _CHANGES,
        },
        "insert": ["--no-pager"],
        "operands_note": _CHANGES,
        "forms": [
            "",
            "status|show|list-units|list-unit-files|list-timers|list-sockets|list-dependencies|list-automounts"
            "|list-paths @word...",
            "list-jobs|is-system-running|get-default",
            "is-active|is-enabled|is-failed|cat @word @word...",
        ],
        "example": "systemctl status nginx",
    },
    "loginctl": {
        "dbus": _methods(
            "org.freedesktop.login1.Manager",
            "ListSessions ListUsers ListSeats GetSession GetUser GetSeat GetSessionByPID",
        ),
        "flags": "-a -l --all --full --no-pager --no-legend",
        "values": {"-p --property": "word", "-n --lines": "number"},
        "operands_note": _CHANGES,
        "forms": [
            "",
            "list-sessions|list-users|list-seats",
            "session-status|show-session|user-status|show-user|seat-status|show-seat @word...",
        ],
    },
    "networkctl": {
        "dbus": _methods("org.freedesktop.network1.Manager", "ListLinks GetLinkByName GetLinkByIndex Describe"),
        "network": {"": "netlink"},
        "flags": "-a -l -s --all --full --no-pager --no-legend --stats",
        "operands_note": _CHANGES,
        "forms": ["", "list|status|lldp @word..."],
    },
    "systemd-analyze": {
        "dbus": _UNITS,
        "flags": "--no-pager",
        "operands_note": _CHANGES,
        "forms": ["", "time|blame", "critical-chain|security @word..."],
        "example": "systemd-analyze blame",
    },
    "systemd-cgls": {"dbus": _UNITS, "flags": "-a -k -l --all --full --no-pager", "values": {"-u --unit": "word"}},
    "systemd-cgtop": {
        "flags": "-b -c -i -k -m -p -r -t --batch --raw",
        "values": {"-n --iterations": "number:1..5", "-d --delay": "number:0.1..10", "--depth": "number"},
        "needs": {"-b --batch": "without -b it wants a terminal", "-n --iterations": "without -n it never ends"},
        "example": "systemd-cgtop -b -n 2",
    },
    "systemd-detect-virt": {"flags": "-c -r -v -q --container --vm"},
    "coredumpctl": {
        "capability": {"": "DAC_READ_SEARCH"},
        "flags": "-1 -r -q --no-pager --no-legend --reverse",
        "values": {"-n": "number", "-S --since": "text", "-U --until": "text"},
        "refused": {"-o --output": "it writes the core file"},
        "operands_note": "`dump` and `debug` are not accepted",
        "forms": ["", "list|info @word..."],
        "example": "coredumpctl list",
    },
    "sysctl": {
        "flags": "-a -A -b -e -n -N -X --all --binary --ignore --names --values --deprecated",
        "values": {"-r --pattern": "text"},
        "refused": {
            "-w --write": "it changes a kernel setting",
            "-p --load": "it changes kernel settings from a file",
            "-f": "it changes kernel settings from a file",
            "--system": "it changes kernel settings from files",
            "-q --quiet": "it is for writing",
        },
        "operands_note": "a name with `=` would change the setting, and keys are secrets",
        "forms": ["@setting..."],
        "example": "sysctl net.core.somaxconn",
    },
    "lsmod": {},
    "modinfo": {"flags": "-a -d -l -n -p", "values": {"-F --field": "word", "-k": "word"}, "forms": ["@word..."]},
    "lspci": {
        "flags": "-b -D -k -m -n -P -t -v",
        "values": {"-s": "word", "-d": "word"},
        "refused": {"-q -Q": "it asks a server on the internet, and writes down what that said"},
        "example": "lspci -nnk",
    },
    "lsusb": {"flags": "-t -v", "values": {"-s": "word", "-d": "word"}},
    "dmidecode": {
        "capability": {"": "DAC_READ_SEARCH"},
        "flags": "-q --quiet",
        "values": {"-t --type": "word", "-s --string": "word"},
        "refused": {"--dump-bin": "it writes a file", "--from-dump": "it reads a file", "-d --dev-mem": "a device"},
        "example": "dmidecode -t memory",
    },
    "dpkg": {
        "flags": "-l -L -p -s -S -V --list --listfiles --status --search --verify --print-avail --get-selections"
        " --print-architecture --print-foreign-architectures --audit",
        "needs": {
            "-l -L -p -s -S -V --list --listfiles --status --search --verify --print-avail --get-selections"
            " --print-architecture --print-foreign-architectures --audit": _CHANGES
        },
        "forms": ["@word..."],
        "example": "dpkg -l openssh-server",
    },
    "dpkg-query": {
        "flags": "-l -L -s -S -W --list --listfiles --status --search --show",
        "values": {"-f --showformat": "text"},
        "needs": {"-l -L -s -S -W --list --listfiles --status --search --show": _CHANGES},
        "forms": ["@word..."],
        "example": "dpkg-query -W linux-image-*",
    },
    "rpm": {
        "flags": "-q -a -c -d -f -i -l -R --query --all --configfiles --docfiles --file --info --list --requires"
        " --provides --last --changelog",
        "values": {"--qf --queryformat": "text"},
        "refused": {"-V --verify": "for what it verifies packages' scripts are run"},
        "needs": {"-q --query": "without -q it installs, or verifies, for which packages' scripts are run"},
        "forms": ["@word..."],
        "example": "rpm -qa --last",
    },
    "update-alternatives": {
        "style": "plain",
        "operands_note": _CHANGES,
        "forms": ["--list|--display|--query @name", "--get-selections"],
        "example": "update-alternatives --display editor",
    },
    "getconf": {
        "flags": "-a",
        "operands_note": "-v would run another program",
        "forms": ["", "@re:[A-Z0-9_]+ @list?"],
        "example": "getconf PAGESIZE",
    },
    "crontab": {
        "flags": "-l",
        "values": {"-u": "user"},
        "needs": {"-l": "without -l it replaces the table"},
        "example": "crontab -l -u root",
    },
    "openssl": {
        "style": "words",
        "flags": "-a -noout -dates -startdate -enddate -subject -issuer -serial -fingerprint -text -hash -modulus"
        " -purpose",
        "values": {"-in": "read", "-checkend": "number", "-ext": "re:[A-Za-z0-9,]+"},
        "operands_note": "only `version` and looking at a certificate are accepted; to see who connects where use `ss`"
        " or an eBPF program on syscalls/sys_enter_connect",
        "forms": ["version|x509"],
        "example": "openssl x509 -noout -dates -in /etc/ssl/certs/ca-certificates.crt",
    },
    "getenforce": {},
    "sestatus": {"flags": "-b -v"},
    "aa-status": {"flags": "--verbose --json --enabled --profiled --enforced --complaining"},
    "auditctl": {"flags": "-l -s", "needs": {"-l -s": _CHANGES}},
    "locale": {"flags": "-a -v"},
    "lsb_release": {"flags": "-a -c -d -i -r -s --all --codename --description --id --release --short"},
    "which": {"flags": "-a", "forms": ["@word..."]},
    "whereis": {"flags": "-b -m -s", "forms": ["@word..."]},
}
