# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: command rules for programs that look at files, file systems and disks.

They tell names, sizes and states, not contents, so their operands are not judged as files to be read.
"""

from __future__ import annotations

from .schema import Rule

_ACTS = "it acts on what it finds; print the names instead and leave acting to the operator"
_WRITES = "it writes a file; the output comes back as it is"
_NAMES_FROM_FILE = "it takes file names from a file that nobody has judged; name the files themselves"

# Names of what a process has open; nothing of its content is read.
_OPEN_FILES = {r"/proc/(\d+|self)(/task/\d+)?/(fd|fdinfo|ns|map_files)(/\d+)?/?": "SYS_PTRACE DAC_READ_SEARCH"}

_LVM: Rule = {
    "flags": "-a -v --all --noheadings --aligned --segments",
    "values": {"-o --options": "text", "--units": "word", "-O --sort": "word", "--separator": "text"},
    "insert": ["--readonly"],
    "forms": ["@word..."],
}

# Of smartctl: with a comma and a value behind it, some of them set something.
_DISK_LOGS = (
    r"re:error|xerror|selftest|xselftest|selective|directory|background|sasphy|sataphy|scttemp|scttempsts|scttemphist"
    r"|scterc|devstat|ssd|defects|farm"
)
# Of smartctl: others (jmb39x) talk to a disk by writing to it.
_DISK_TYPES = (
    r"re:auto|ata|scsi|nvme(,\w+)?|(sat(,(auto|0|12|16))?\+)?(megaraid,\d+|cciss,\d+|3ware,\d+|areca,\d+(/\d+)?)"
    r"|sat(,(auto|0|12|16))?"
)
# Of lsof: protocol, numeric address and port. A host's name would be looked up.
_NUMERIC = r"(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])"
_INTERNET = rf"[46]?([A-Za-z]+)?(@{_NUMERIC})?(:[\w,.-]+)?"

_POOLS = "iostat -v? @name? @number:0.1..10 @number:1..20"

RULES: dict[str, Rule] = {
    "ls": {
        "capability_on": _OPEN_FILES,
        # Links of a process lead everywhere, and what is there is not for everybody's eyes.
        "capability_without": "-L -R --dereference --recursive",
        "flags": "-1 -a -A -b -B -c -C -d -f -F -g -G -h -H -i -k -l -L -m -n -N -o -p -q -Q -r -R -s -S -t -u -U -v -x"
        " -X -Z --all --almost-all --author --escape --directory --dereference --group-directories-first --no-group"
        " --human-readable --si --inode --kibibytes --numeric-uid-gid --reverse --recursive --size --context --zero"
        " --full-time --file-type --literal",
        "values": {"-I --ignore": "text", "-w --width": "number", "--block-size": "word", "--hide": "text"},
        "optional": {"--color": "word", "--sort": "word", "--time": "word", "--time-style": "text", "--format": "word"},
        "forms": ["@list..."],
        "example": "ls -la /var/log",
    },
    "stat": {
        "flags": "-L -f -t --dereference --file-system --terse",
        "values": {"-c --format": "text", "--printf": "text"},
        "forms": ["@list..."],
        "example": "stat /etc/resolv.conf",
    },
    "find": {
        "style": "words",
        "flags": "-H -L -P -O0 -O1 -O2 -O3 -a -and -o -or -not -daystart -depth -mount -xdev -noleaf -nowarn -warn"
        " -ignore_readdir_race -empty -executable -false -true -nogroup -nouser -readable -writable -print -print0 -ls"
        " -prune -quit",
        "values": {
            "-maxdepth": "number",
            "-mindepth": "number",
            "-amin": "word",
            "-atime": "word",
            "-cmin": "word",
            "-ctime": "word",
            "-mmin": "amount",
            "-mtime": "amount",
            "-anewer": "list",
            "-cnewer": "list",
            "-newer": "list",
            "-newermt": "text",
            "-newerct": "text",
            "-fstype": "word",
            "-gid": "amount",
            "-uid": "amount",
            "-group": "word",
            "-user": "word",
            "-inum": "amount",
            "-links": "amount",
            "-name": "text",
            "-iname": "text",
            "-path": "text",
            "-ipath": "text",
            "-wholename": "text",
            "-regex": "text",
            "-iregex": "text",
            "-regextype": "word",
            "-lname": "text",
            "-perm": "text",
            "-samefile": "list",
            "-size": "amount",
            "-type": "word",
            "-xtype": "word",
            "-used": "amount",
            "-printf": "text",
        },
        "matching": [r"-newer[aBcm][aBcm]"],
        "refused": {
            "-delete": _ACTS,
            "-exec": _ACTS,
            "-execdir": _ACTS,
            "-ok": _ACTS,
            "-okdir": _ACTS,
            "-fprint": _WRITES,
            "-fprint0": _WRITES,
            "-fprintf": _WRITES,
            "-fls": _WRITES,
            "-files0-from": _NAMES_FROM_FILE,
        },
        "forms": ["@list..."],
        "example": "find /var/log -xdev -type f -size +100M -ls",
    },
    "du": {
        "flags": "-0 -a -b -c -D -h -H -k -l -L -m -P -s -S -x --all --apparent-size --bytes --total --human-readable"
        " --inodes --dereference-args --si --count-links --dereference --no-dereference --separate-dirs --summarize"
        " --one-file-system --null",
        "values": {
            "-d --max-depth": "number",
            "-B --block-size": "word",
            "-t --threshold": "amount",
            "--exclude": "text",
        },
        "optional": {"--time": "word"},
        "refused": {"--files0-from": _NAMES_FROM_FILE, "-X --exclude-from": _NAMES_FROM_FILE},
        "forms": ["@list..."],
        "example": "du -xh --max-depth=1 /var",
    },
    "df": {
        "flags": "-a -h -H -i -k -l -m -P -T --all --human-readable --si --inodes --local --portability --print-type"
        " --total --no-sync",
        "values": {"-B --block-size": "word", "-t --type": "word", "-x --exclude-type": "word"},
        "optional": {"--output": "text"},
        "refused": {"--sync": "it writes everything cached to the disks first; leave it out"},
        "forms": ["@list..."],
        "example": "df -hT",
    },
    "file": {
        "flags": "-b -i -L -h -k --brief --mime --mime-type --mime-encoding --dereference --no-dereference",
        "refused": {
            "-C --compile": "it writes a compiled magic file",
            "-f --files-from": _NAMES_FROM_FILE,
            "-m --magic-file": "it reads rules from another file",
            "-s --special-files": "it reads devices",
            "-z --uncompress": "it runs other programs",
        },
        "forms": ["@read..."],
        "example": "file -b /usr/bin/ls",
    },
    "readlink": {
        "capability_on": {**_OPEN_FILES, r"/proc/\d+/(exe|cwd|root)": "SYS_PTRACE DAC_READ_SEARCH"},
        "flags": "-e -f -m -n -v -z --canonicalize --canonicalize-existing --canonicalize-missing --no-newline",
        "forms": ["@list..."],
    },
    "realpath": {"flags": "-e -m -s -q -L -P --canonicalize-existing --canonicalize-missing", "forms": ["@list..."]},
    "namei": {"flags": "-l -m -o -v -x -n --long --modes --owners --vertical --mountpoints", "forms": ["@list..."]},
    "getfacl": {"flags": "-a -c -d -e -n -p -t --access --default --numeric --absolute-names", "forms": ["@list..."]},
    "getcap": {"flags": "-r -v -n", "forms": ["@list..."]},
    "lsattr": {"flags": "-a -d -l -R -v", "forms": ["@list..."]},
    "lsof": {
        "capability": {"": "SYS_PTRACE DAC_READ_SEARCH"},
        "flags": "-a -b -l -n -N -O -P -R -t -U -V -w -x -H",
        "values": {"-c": "text", "-d": "text", "-p": "text", "-u": "text"},
        "optional": {
            "-i": f"re:{_INTERNET}",
            "-s": "text",
            "-F": "word",
            "-g": "word",
            "-K": "word",
            "-L": "word",
            "-T": "word",
            "-o": "number",
        },
        "matching": [r"\+L\d*", r"\+c ?\d*", r"\+w", r"\+f[gGc]*", r"\+d(/.*)?"],
        "refused": {
            "-D": "it may write lsof's device cache",
            "-r": "it would never end; ask again in the next round",
            "+D": "it walks a whole directory tree; name one file, or use +d for one directory's own files",
            "-S": "the time limit is set already",
            "-k": "it reads another kernel image",
            "-m": "it writes a mount table",
            "+m": "it writes a mount table",
        },
        "forms": [rf"@re:/.*|[^+@/][^@]*|{_INTERNET}..."],
        "operands_note": "files are named by their whole paths, and hosts behind -i by their addresses",
        "example": "lsof -nP -iTCP -sTCP:LISTEN",
    },
    "fuser": {
        "network": {"": "inet inet6"},
        # Behind a port it takes another host's name.
        "local": {"": r"((/\S*|\d+/(tcp|udp))( |$))*"},
        "capability": {"": "SYS_PTRACE DAC_READ_SEARCH"},
        "flags": "-4 -6 -a -c -f -m -s -u -v --all --mount --user --verbose",
        "values": {"-n --namespace": "word"},
        "refused": {
            "-k --kill": "it ends processes; name them and leave that to the operator",
            "-K": "it ends processes; name them and leave that to the operator",
            "-i --interactive": "there is nobody to ask",
        },
        "forms": ["@list..."],
        "example": "fuser -v 80/tcp",
    },
    "findmnt": {
        "flags": "-A -a -b -C -c -D -e -f -i -J -k -l -n -P -r -R -u -U -v -x --all --ascii --bytes --canonicalize --df"
        " --first-only --invert --json --kernel --list --noheadings --pairs --raw --real --pseudo --submounts"
        " --notruncate --uniq --verify --verbose",
        "values": {
            "-o --output": "word",
            "-O --options": "word",
            "-S --source": "text",
            "-T --target": "text",
            "-M --mountpoint": "text",
            "-t --types": "word",
        },
        "refused": {"-p --poll": "it would never end; ask again in the next round"},
        "forms": ["@list..."],
        "example": "findmnt -o TARGET,SOURCE,FSTYPE,OPTIONS",
    },
    "mount": {
        "flags": "-l -v --show-labels --verbose",
        "values": {"-t --types": "word"},
        "refused": {"-a --all": "it mounts everything in /etc/fstab; use `mount` by itself to list"},
        "operands_note": "with operands it mounts; by itself it lists",
        "forms": [""],
        "example": "mount",
    },
    "mountpoint": {"flags": "-q -d -x --quiet --fs-devno --nofollow", "forms": ["@list"]},
    "lsblk": {
        "flags": "-a -b -d -D -e -f -i -J -l -m -n -N -O -p -P -r -s -S -t -T -z --all --bytes --nodeps --discard --fs"
        " --ascii --json --list --perms --noheadings --nvme --output-all --paths --pairs --raw --inverse --scsi"
        " --topology --tree --zoned",
        "values": {"-o --output": "word", "-x --sort": "word", "-I --include": "word"},
        "forms": ["@list..."],
        "example": "lsblk -f",
    },
    "swapon": {
        "flags": "-s --summary --noheadings --raw --bytes",
        "optional": {"--show": "word"},
        "needs": {"-s --summary --show": "without --show it may turn swap on"},
        "forms": [""],
        "example": "swapon --show",
    },
    "lslocks": {"flags": "-b -i -J -n -r -u --bytes --noinaccessible --json --noheadings --raw --notruncate"},
    "lvs": _LVM,
    "vgs": _LVM,
    "pvs": _LVM,
    "mdadm": {
        "flags": "-D --detail",
        "needs": {"-D --detail": "only showing an array's state is accepted"},
        "forms": [r"@device..."],
        "example": "mdadm --detail /dev/md0",
    },
    "smartctl": {
        "flags": "-a -A -c -H -i -x --all --attributes --capabilities --health --info --xall --scan",
        "values": {"-d --device": _DISK_TYPES, "-l --log": _DISK_LOGS},
        "forms": ["@device?"],
        "example": "smartctl -H -A /dev/sda",
    },
    "zpool": {
        "style": "plain",
        "forms": ["status|list|iostat", "status|list -v|-x|-H", "status @name", "list @name", _POOLS],
    },
    "zfs": {"style": "plain", "forms": ["list", "list -t all|snapshot|filesystem|volume", "get all @name"]},
}
