# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: command rules for programs that show processes, load and memory.

Those that repeat themselves are accepted only with an end: a count of at most twenty, ten seconds apart at most.
"""

from __future__ import annotations

from .schema import Rule

_COUNT = "number:1..20"
_INTERVAL = "number:0.1..10"
_SAMPLES = f"@{_INTERVAL} @{_COUNT}"
_SAMPLES_NOTE = "give the interval (10 s at most) together with a count (20 at most), else it never ends"
_DEVICES = r"@re:[A-Za-z][\w./-]*..."
_CHANGES = "with more than the process it changes how that process runs"
# What ps does not understand it reads once more, with BSD letters for its options: `-e` shows environments then.
_AS_BSD = "ps would read its options in the other way, in which e shows environments, where secrets are"
_AUX = ("-aux", "-auxf", "-auxw", "-auxww", "-auxwww", "-auxfw", "-auxfww", "-auxwf", "-auxwwf", "-auxH")

RULES: dict[str, Rule] = {
    "ps": {
        "style": "ps",
        "flags": "-A -a -d -e -f -F -H -j -l -L -M -N -P -T -V -w -y -Z -c --deselect --forest --headers --no-headers"
        " --no-heading --context --cumulative",
        "values": {
            "-C": "text",
            "-G --Group": "groups",
            "-g --group": "groups",
            "-p --pid": "pids",
            "-q --quick-pid": "pids",
            "-s --sid": "pids",
            "-t --tty": "word",
            "-u --user": "accounts",
            "-U --User": "accounts",
            "-o --format": "ps_fields",
            "-O": "ps_fields",
            "--ppid": "pids",
            "--sort": "ps_sort",
            "--cols --columns --width": "number",
            "--rows --lines": "number",
        },
        "matching": ["|".join(_AUX)],
        "excludes": {
            "-T -L -m m H": {"-H --forest f": _AS_BSD},
            "-T": {"-L -m": _AS_BSD},
            "-L": {"-m": _AS_BSD},
            " ".join(_AUX): {"-e -C -G -g -u -U --Group --group --User --user": _AS_BSD},
        },
        "bsd_flags": "aAcfHhjlLmnrsSTuvwxXZ",
        "bsd_values": {"o": "ps_fields", "O": "ps_fields", "k": "ps_sort", "p": "pids", "q": "pids", "U": "accounts"},
        "refused": {"e": "as a BSD letter it shows environments, where secrets are; use -e for every process"},
        "forms": ["@pids..."],
        "example": "ps -eo pid,ppid,user,stat,pcpu,rss,args --sort=-pcpu",
    },
    "top": {
        "flags": "-b -c -H -i -S -1",
        "values": {
            "-n": "number:1..5",
            "-d": _INTERVAL,
            "-p": "pids",
            "-u": "user",
            "-U": "user",
            "-o": "re:[-+]?[%A-Za-z]+",
            "-e": "word",
            "-E": "word",
            "-w": "number:40..512",
        },
        "needs": {
            "-b": "without -b it wants a terminal",
            "-n": "without -n it never ends; give one to five",
        },
        "example": "top -b -n 1 -o %CPU",
    },
    "pgrep": {
        "flags": "-a -c -f -i -l -n -o -v -w -x --list-full --list-name --count --full --newest --oldest --exact"
        " --ignore-case --inverse --lightweight",
        "values": {
            "-u --euid": "user",
            "-U --uid": "user",
            "-P --parent": "pids",
            "-g --pgroup": "pids",
            "-t --terminal": "word",
            "-r --runstates": "word",
            "-d --delimiter": "text",
        },
        "forms": ["@text?"],
        "example": "pgrep -a nginx",
    },
    "pidof": {"flags": "-c -q -s -w -x", "forms": ["@word..."]},
    "pstree": {
        "flags": "-a -A -c -g -h -l -n -p -s -S -t -T -u -U -Z --arguments --ascii --show-pgids --long --numeric-sort"
        " --show-pids --show-parents --hide-threads --uid-changes --unicode",
        "forms": ["@word?"],
    },
    "pmap": {
        "capability": {"": "SYS_PTRACE"},
        "flags": "-d -p -q -x -X --extended --device --show-path --quiet",
        "forms": ["@pids..."],
    },
    "pwdx": {"capability": {"": "SYS_PTRACE"}, "forms": ["@pids..."]},
    "lsns": {
        "capability": {"": "SYS_PTRACE DAC_READ_SEARCH"},
        "flags": "-J -l -n -r -u -W",
        "values": {"-t --type": "word", "-p --task": "pids", "-o": "word"},
    },
    "ipcs": {"flags": "-a -b -c -l -m -p -q -s -t -u --human", "values": {"-i --id": "number"}},
    "prlimit": {
        "values": {"-p --pid": "pids", "-o --output": "word"},
        "flags": "-n --nofile -u --nproc -m --rss -v --as -s --stack -l --memlock -c --core -f --fsize -t --cpu"
        " --noheadings --raw",
        "needs": {"-p --pid": "without --pid it runs a program; a limit with a value changes it"},
        "example": "prlimit --pid 1",
    },
    "taskset": {
        "flags": "-p -c -a --pid --cpu-list --all-tasks",
        "needs": {"-p --pid": "without -p it runs a program"},
        "operands_note": _CHANGES,
        "forms": ["@pids"],
        "example": "taskset -cp 1",
    },
    "chrt": {
        "flags": "-p --pid",
        "needs": {"-p --pid": "without -p it runs a program"},
        "operands_note": _CHANGES,
        "forms": ["@pids"],
        "example": "chrt -p 1",
    },
    "ionice": {
        "values": {"-p --pid": "pids"},
        "needs": {"-p --pid": "without -p it runs a program"},
        "operands_note": _CHANGES,
        "example": "ionice -p 1",
    },
    "uptime": {"flags": "-p -s --pretty --since"},
    "w": {"flags": "-f -h -i -o -s -u --no-header --no-current --short --from", "forms": ["@word?"]},
    "who": {
        "flags": "-a -b -d -H -l -m -p -q -r -s -t -T -u -w --all --boot --dead --heading --login --runlevel --users",
        "forms": ["", "am i|I"],
    },
    "whoami": {},
    "users": {},
    "id": {"flags": "-g -G -n -r -u -z -Z --group --groups --name --real --user", "forms": ["@word..."]},
    "groups": {"forms": ["@word..."]},
    "last": {
        "flags": "-a -d -F -i -R -w -x --fulltimes --hostlast --dns --ip --nohostname --fullnames --system",
        "values": {"-n --limit": "number", "-s --since": "text", "-t --until": "text", "-p --present": "text"},
        "matching": [r"-\d+"],
        "forms": ["@word..."],
        "example": "last -n 20 reboot",
    },
    "lastlog": {
        "flags": "",
        "values": {"-u --user": "user", "-t --time": "number", "-b --before": "number"},
        "refused": {"-C --clear": "it changes the records", "-S --set": "it changes the records"},
        "example": "lastlog -t 7",
    },
    "free": {
        "flags": "-b -g -h -k -l -m -t -v -w -L --bytes --kibi --mebi --gibi --kilo --mega --giga --human --si --lohi"
        " --total --wide --committed",
        "values": {"-s --seconds": _INTERVAL, "-c --count": _COUNT},
        "needs_with": {"-s --seconds": {"-c --count": _SAMPLES_NOTE}},
        "example": "free -h",
    },
    "vmstat": {
        "flags": "-a -d -D -f -m -n -s -t -w -y --active --disk --disk-sum --forks --slabs --one-header --stats"
        " --timestamp --wide --no-first",
        "values": {"-S --unit": "word", "-p --partition": "word"},
        "operands_note": _SAMPLES_NOTE,
        "forms": ["", _SAMPLES],
        "example": "vmstat 1 5",
    },
    "mpstat": {
        "flags": "-A -n -T -u",
        "values": {"-P": "word", "-I": "word", "-N": "word", "-o": "re:JSON"},
        "operands_note": _SAMPLES_NOTE,
        "forms": ["", _SAMPLES],
        "example": "mpstat -P ALL 1 3",
    },
    "iostat": {
        "flags": "-c -d -h -k -m -N -p -s -t -x -y -z --human --pretty --compact",
        "values": {"-o": "re:JSON"},
        "operands_note": _SAMPLES_NOTE,
        "forms": [_DEVICES, f"{_DEVICES} {_SAMPLES}"],
        "example": "iostat -xz 1 3",
    },
    "pidstat": {
        "capability": {"-d -v": "SYS_PTRACE DAC_READ_SEARCH"},
        "flags": "-d -h -H -I -l -r -R -s -t -u -v -w --human",
        "values": {"-p": "re:[0-9,]+|ALL|SELF", "-C": "text", "-G": "text", "-T": "word"},
        "optional": {"-U": "word"},
        "refused": {"-e": "it runs a program"},
        "operands_note": _SAMPLES_NOTE,
        "forms": ["", _SAMPLES],
        "example": "pidstat -u 1 3",
    },
    "sar": {
        "flags": "-A -b -B -C -d -F -h -H -p -q -r -R -S -t -u -v -w -W -y -z --human",
        "values": {"-n": "word", "-P": "word", "-m": "word", "-I": "word", "-s": "word", "-e": "word", "-f": "read"},
        "refused": {"-o": "it writes a file; the output comes back as it is"},
        "operands_note": _SAMPLES_NOTE,
        "forms": ["ALL?", f"ALL? {_SAMPLES}"],
        "example": "sar -n DEV 1 3",
    },
    "nproc": {"flags": "--all"},
    "arch": {},
    "lscpu": {
        "flags": "-a -b -B -c -C -J -x -y --all --online --bytes --offline --json --hex --physical",
        "optional": {"-e --extended": "word", "-p --parse": "word"},
    },
    "lsmem": {"flags": "-a -b -J -n -P -r -S --all --bytes --json --noheadings", "optional": {"--summary": "word"}},
    "slabtop": {
        "flags": "-o --once",
        "values": {"-s --sort": "word"},
        "needs": {"-o --once": "without -o it never ends"},
        "example": "slabtop -o",
    },
    "numastat": {"flags": "-c -m -n -s -v -z", "values": {"-p": "word"}},
    "numactl": {
        "flags": "-H --hardware -s --show",
        "needs": {"-H --hardware -s --show": "otherwise it runs a program"},
        "example": "numactl --hardware",
    },
    "timeout": {
        "flags": "-v --verbose --foreground --preserve-status",
        "values": {"-k --kill-after": r"re:\d{1,3}s?", "-s --signal": r"re:[A-Z0-9]+"},
        "options_first": True,
        "runs": 1,
        "forms": [r"@re:\d{1,3}s|\d{1,3}"],
        "operands_note": "give the seconds and then the command",
        "example": "timeout 5 cat /proc/net/tcp",
    },
    "nice": {
        "values": {"-n --adjustment": "number:0..19"},
        "options_first": True,
        "runs": 0,
        "example": "nice -n 10 du -xsh /var",
    },
    "stdbuf": {
        "values": {"-i --input": "re:0|L", "-o --output": "re:0|L", "-e --error": "re:0|L"},
        "options_first": True,
        "runs": 0,
        "example": "stdbuf -oL vmstat 1 3",
    },
}
