# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: command rules for programs that read and reshape text.

The keys of a rule are described in `rules/schema.py`.
"""

from __future__ import annotations

from .schema import Rule

_PATTERNS_FROM_FILE = "it takes its patterns from a file; write each pattern with -e"
_NAMES_FROM_FILE = "it takes file names from a file that nobody has judged; name the files themselves"
_NEVER_ENDS = "it would never end; ask for the last lines with -n, and again in the next round"

_GREP: Rule = {
    "flags": "-a -b -c -E -F -G -H -h -I -i -L -l -n -o -P -q -r -s -T -U -v -w -x -y -Z -z --text --byte-offset"
    " --count --extended-regexp --fixed-strings --basic-regexp --perl-regexp --with-filename --no-filename"
    " --ignore-case"
    " --no-ignore-case --files-without-match --files-with-matches --line-number --only-matching --quiet --silent"
    " --recursive --no-messages --initial-tab --invert-match --word-regexp --line-regexp --null --line-buffered",
    "values": {
        "-A --after-context": "number:0..1000",
        "-B --before-context": "number:0..1000",
        "-C --context": "number:0..1000",
        "-m --max-count": "number:0..100000",
        "-e --regexp": "text",
        "--include": "text",
        "--exclude": "text",
        "--exclude-dir": "text",
        "--binary-files": "word",
    },
    "optional": {"--color --colour": "word"},
    "matching": [r"-\d+"],
    "refused": {
        "-f --file": _PATTERNS_FROM_FILE,
        "-R --dereference-recursive": "it follows links out of the directory; use -r",
    },
    "recursive": "-r --recursive",
    "forms": ["@text @read..."],
    "forms_with": {"-e --regexp": ["@read..."]},
    "example": "grep -n error /var/log/syslog",
}

_DIGEST: Rule = {"flags": "-b -t --binary --text --tag", "forms": ["@read..."], "example": "sha256sum /usr/bin/ls"}
_DECOMPRESS: Rule = {"forms": ["@read..."], "example": "zcat /var/log/syslog.2.gz | grep error"}

# What an assignment among the operands of awk may set: nothing that awk itself reads files by.
_ASSIGNMENT = r"re:(?!ARG|SYMTAB|FUNCTAB|PROCINFO)[A-Za-z_]\w*=[^/]*"
_AWK: Rule = {
    "flags": "",
    "values": {"-F": "text", "-v": _ASSIGNMENT},
    "refused": {
        "-f --file": "it takes its program from a file; write the program itself",
        "-E --exec": "it takes its program from a file; write the program itself",
        "-i --include": "it loads a file",
        "-l --load": "it loads code",
        "-W": "it stands for other options",
    },
    "options_first": True,
    # gawk then refuses by itself what writes, runs or reads something else.
    "insert_for": {"gawk": ["--sandbox"]},
    "forms": ["@awk @read..."],
    "operands_note": "awk is accepted with a program that computes and prints",
    "example": "awk '$3 > 0 {print $1, $3}' /proc/partitions",
}

RULES: dict[str, Rule] = {
    "awk": _AWK,
    "gawk": _AWK,
    "mawk": _AWK,
    "sed": {
        "flags": "-n -E -r -s -u -z --quiet --silent --regexp-extended --separate --unbuffered --null-data",
        "values": {"-e --expression": "sed"},
        "refused": {
            "-i --in-place": "it changes the file; without it the result comes back as output",
            "-f --file": "it takes its script from a file; write the script itself",
            "--follow-symlinks": "it is for changing files",
            "--debug": "it is not needed here",
        },
        "insert_for": {"sed": ["--sandbox"]},
        "forms": ["@sed @read..."],
        "forms_with": {"-e --expression": ["@read..."]},
        "operands_note": "sed is accepted with a script that prints, deletes and replaces",
        "example": "sed -n '11,20p' /etc/services",
    },
    "jq": {
        "flags": "-r -c -s -n -S -e -M -j -a -C --raw-output --compact-output --slurp --null-input --sort-keys"
        " --exit-status --monochrome-output --join-output --tab",
        "values": {"--indent": "number:0..7"},
        "refused": {
            "-f --from-file": "it takes its filter from a file; write the filter itself",
            "-L": "it loads a file",
            "--slurpfile --rawfile --argfile": "it reads another file",
        },
        "forms": ["@jq @read..."],
        "operands_note": "jq is accepted with a filter that chooses and prints",
        "example": "lsblk -J | jq '.blockdevices[].name'",
    },
    "cat": {
        "flags": "-A -b -e -E -n -s -t -T -u -v --show-all --number-nonblank --show-ends --number --squeeze-blank"
        " --show-tabs --show-nonprinting",
        "forms": ["@read..."],
        "example": "cat /proc/meminfo",
    },
    "head": {
        "flags": "-q -v -z --quiet --silent --verbose --zero-terminated",
        "values": {"-n --lines": "amount", "-c --bytes": "amount"},
        "matching": [r"-\d+"],
        "forms": ["@read..."],
        "example": "head -n 50 /var/log/syslog",
    },
    "tail": {
        "flags": "-q -v -z --quiet --silent --verbose --zero-terminated",
        "values": {"-n --lines": "amount", "-c --bytes": "amount"},
        "matching": [r"-\d+"],
        "refused": {
            "-f --follow": _NEVER_ENDS,
            "-F": _NEVER_ENDS,
            "--retry": _NEVER_ENDS,
            "-s --sleep-interval": _NEVER_ENDS,
            "--pid": _NEVER_ENDS,
        },
        "forms": ["@read..."],
        "example": "tail -n 100 /var/log/syslog",
    },
    "grep": _GREP,
    "egrep": _GREP,
    "fgrep": _GREP,
    "zcat": _DECOMPRESS,
    "xzcat": _DECOMPRESS,
    "bzcat": _DECOMPRESS,
    "wc": {
        "flags": "-c -m -l -L -w --bytes --chars --lines --max-line-length --words",
        "refused": {"--files0-from": _NAMES_FROM_FILE},
        "forms": ["@read..."],
        "example": "wc -l /etc/passwd",
    },
    "sort": {
        "flags": "-b -c -C -d -f -g -h -i -M -m -n -R -r -s -u -V -z --ignore-leading-blanks --dictionary-order"
        " --ignore-case --general-numeric-sort --human-numeric-sort --ignore-nonprinting --month-sort --numeric-sort"
        " --random-sort --reverse --version-sort --stable --unique --merge --zero-terminated",
        "values": {
            "-k --key": r"re:\d+(\.\d+)?[bdfgiMhnRrV]*(,\d+(\.\d+)?[bdfgiMhnRrV]*)?",
            "-t --field-separator": "text",
        },
        "optional": {"--check": "word"},
        "refused": {
            "-o --output": "it writes a file; the output comes back as it is",
            "-T --temporary-directory": "it says where to write temporary files",
            "-S --buffer-size": "it says how much memory to take",
            "--compress-program": "it runs a program of its own",
            "--files0-from": _NAMES_FROM_FILE,
            "--random-source": "it reads a file that is not needed for a diagnosis",
        },
        "forms": ["@read..."],
        "example": "ps -eo rss,comm | sort -rn | head",
    },
    "uniq": {
        "flags": "-c -d -D -i -u -z --count --repeated --ignore-case --unique --zero-terminated",
        "values": {"-f --skip-fields": "number", "-s --skip-chars": "number", "-w --check-chars": "number"},
        "forms": ["@read?"],
        "operands_note": "a second name would be written to",
        "example": "sort | uniq -c",
    },
    "cut": {
        "flags": "-s -n -z --complement --only-delimited --zero-terminated",
        "values": {
            "-d --delimiter": "text",
            "-f --fields": "word",
            "-c --characters": "word",
            "-b --bytes": "word",
            "--output-delimiter": "text",
        },
        "forms": ["@read..."],
        "example": "cut -d : -f 1 /etc/passwd",
    },
    "tr": {
        "flags": "-c -C -d -s -t --complement --delete --squeeze-repeats --truncate-set1",
        "forms": ["@text @text?"],
        "example": "cat /proc/1/cmdline | tr '\\0' ' '",
    },
    "column": {
        "flags": "-t -x -J --table --fillrows --json",
        "values": {
            "-s --separator": "text",
            "-o --output-separator": "text",
            "-c --output-width": "number",
            "-N --table-columns": "text",
            "-R --table-right": "text",
        },
        "forms": ["@read..."],
        "example": "mount | column -t",
    },
    "nl": {"values": {"-b --body-numbering": "word", "-w --number-width": "number"}, "forms": ["@read..."]},
    "tac": {"forms": ["@read..."]},
    "rev": {"forms": ["@read..."]},
    "fold": {"flags": "-b -s --bytes --spaces", "values": {"-w --width": "number"}, "forms": ["@read..."]},
    "paste": {"flags": "-s -z --serial", "values": {"-d --delimiters": "text"}, "forms": ["@read..."]},
    "comm": {"flags": "-1 -2 -3 -i --check-order --nocheck-order --total", "forms": ["@read @read"]},
    "diff": {
        "flags": "-a -b -B -i -q -s -u -w -y --brief --report-identical-files --unified --side-by-side --ignore-case"
        " --ignore-all-space --ignore-space-change --ignore-blank-lines --text",
        "values": {"-U": "number", "-W --width": "number"},
        # `diff FILE DIRECTORY` reads the file of that name in the directory.
        "forms": ["@file @file"],
        "example": "diff -u /etc/hosts /etc/hosts.dpkg-old",
    },
    "cmp": {"flags": "-b -l -s --print-bytes --verbose --silent --quiet", "forms": ["@file @file"]},
    "od": {
        "flags": "-a -b -c -d -f -i -l -o -s -v -x --output-duplicates",
        "values": {
            "-A --address-radix": "word",
            "-t --format": "word",
            "-N --read-bytes": "amount",
            "-j --skip-bytes": "amount",
        },
        "forms": ["@read..."],
        "example": "od -A x -t x1 -N 64 /var/log/wtmp",
    },
    "hexdump": {"flags": "-b -c -C -d -o -v -x", "values": {"-n": "amount", "-s": "amount"}, "forms": ["@read..."]},
    "md5sum": _DIGEST,
    "sha1sum": _DIGEST,
    "sha256sum": _DIGEST,
    "cksum": {"forms": ["@read..."]},
    "echo": {"style": "plain", "forms": ["@text..."]},
    "printf": {"style": "plain", "forms": ["@text @text..."]},
    "true": {"style": "plain", "forms": ["@text..."]},
    "false": {"style": "plain", "forms": ["@text..."]},
    "test": {"style": "plain", "forms": ["@text..."]},
    "[": {"style": "plain", "forms": ["@text..."]},
    "seq": {"flags": "-w", "forms": ["@number:0..1000 @number:0..1000? @number:0..1000?"]},
    "sleep": {
        "forms": ["@number:0..10"],
        "operands_note": "at most ten seconds",
        "example": "cat /proc/net/dev; sleep 2; cat /proc/net/dev",
    },
    "basename": {"flags": "-a", "values": {"-s": "text"}, "forms": ["@text..."]},
    "dirname": {"forms": ["@text..."]},
}
