# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: command rules for programs that show or probe the network.

Probes (ping, traceroute, dig …) are accepted with an end only. Of the programs that also configure, only the forms
that show are accepted, spelled so that no abbreviation can mean a change (`ip link s` is `set`).
"""

from __future__ import annotations

from .schema import Rule

_SHOW = "show|sh|list|lst|ls"
_CHANGES = "only forms that show are accepted"
_OTHER_NAMESPACE = "it works in another network namespace; that is not accepted yet"
_COMMAND_FILE = "it takes commands from a file"
_WRITES = "it writes a file; the output comes back as it is"
_NEVER_ENDS = "it would never end; ask again in the next round"
# Where name servers answer (8600: Consul's); what answers elsewhere might take a question for an order.
_DNS_PORT = "re:53|853|5353|8600"

# What dig's + options may say: how to ask and what to show. Not another kind of message (+opcode), nor another protocol
# than DNS, by which a web service would be asked for a path (+https).
DIG_SWITCHES = (
    "short|tcp|vc|trace|nssearch|recurse|rdflag|rec|dnssec|do|cdflag|cd|adflag|ad|all|answer|question|stats|comments"
    "|cmd|multiline|authority|additional|identify|edns|bufsize|ttlid|ttlunits|nsid|ignore|class|crypto|rrcomments"
    "|search|showsearch|qr|besteffort|aaonly|aaflag|yaml|unknownformat|mapped|keepopen|expire|fail|onesoa|split|subnet"
    "|cookie|badcookie|idnin|idnout|header-only|multi|auth|add|ans|stat"
)
DIG_VALUES = (
    r"(time|timeout)=\d{1,2}|(tries|retry)=\d|ndots=\d{1,2}|edns=\d{1,3}|bufsize=\d{1,5}|split=\d{1,3}"
    r"|subnet=[0-9A-Fa-f.:]+(/\d{1,3})?|domain=[A-Za-z0-9._-]+"
)

_PING: Rule = {
    "network": {"": "inet inet6"},
    "flags": "-4 -6 -n -q -D -O -v -r -U",
    "values": {
        "-c": "number:1..20",
        "-i": "number:0.2..10",
        "-w": "number:1..60",
        "-W": "number:0.1..10",
        "-s": "number:0..1472",
        "-t": "number:1..255",
        "-I": "source",
        "-M": "word",
    },
    "refused": {
        "-f": "it floods",
        "-l": "it floods",
        "-A": "it floods",
        "-b": "it asks every host of a network at once",
        "-p": "it says what the packets carry",
    },
    "needs": {"-c": "without a count it never ends; give -c with at most 20"},
    "forms": ["@unicast"],
    "example": "ping -c 3 -W 2 192.0.2.1",
}

_IPTABLES: Rule = {
    "capability": {"": "NET_ADMIN"},
    "network": {"": "netlink inet inet6"},
    "local": {"-n --numeric -S --list-rules": r".*"},
    "flags": "-L -S -n -v -x -4 -6 -w --list --list-rules --numeric --verbose --exact --line-numbers --wait",
    "values": {"-t --table": "re:filter|nat|mangle|raw|security"},
    "needs": {"-L -S --list --list-rules": _CHANGES},
    "operands_note": _CHANGES,
    "forms": ["@name?", "@name @number"],
    "example": "iptables -S",
}

_IPTABLES_SAVE: Rule = {
    "capability": {"": "NET_ADMIN"},
    "network": {"": "netlink inet inet6"},
    "local": {"": r""},
    "flags": "-c --counters",
    "values": {"-t --table": "re:filter|nat|mangle|raw|security"},
    "refused": {"-f --file": _WRITES, "-M --modprobe": "it runs a program"},
    "example": "iptables-save -t nat",
}

_TRACEROUTE: Rule = {
    "network": {"": "inet inet6"},
    "flags": "-4 -6 -n -I -T",
    "values": {
        "-w": "number:0.1..5",
        "-q": "number:1..3",
        "-m": "number:1..30",
        "-p": "number:1..65535",
        "-i": "interface",
    },
    "refused": {"-U": "a service could read what is sent; use -T, or neither"},
    "needs_with": {"-p": {"-T": "a service on that port could read what is sent otherwise"}},
    "forms": ["@unicast", "@unicast @number:28..1500"],
    "example": "traceroute -n -w 1 -q 1 192.0.2.1",
}

_RESOLVE = [
    "org.freedesktop.DBus.Properties.Get",
    "org.freedesktop.DBus.Properties.GetAll",
    *(
        f"org.freedesktop.resolve1.Manager.{method}"
        for method in ("ResolveHostname", "ResolveAddress", "ResolveRecord", "ResolveService", "GetLink")
    ),
]

RULES: dict[str, Rule] = {
    "ss": {
        "capability": {"-p --processes": "SYS_PTRACE DAC_READ_SEARCH"},
        "network": {"": "netlink", "-r --resolve": "inet inet6"},
        "flags": "-0 -4 -6 -a -b -d -e -h -H -i -l -m -M -n -o -O -p -r -s -S -t -T -u -w -x -z -Z --all --listening"
        " --numeric --resolve --options --extended --memory --processes --info --summary --ipv4 --ipv6 --packet --tcp"
        " --udp --raw --unix --sctp --dccp --vsock --mptcp --no-header --oneline --tos --threads --context --bpf",
        "values": {"-A --query --socket": "word", "-f --family": "word"},
        "refused": {
            "-K --kill": "it closes other processes' connections",
            "-D --diag": _WRITES,
            "-F --filter": "it takes its filter from a file; write the filter as arguments",
            "-N --net": _OTHER_NAMESPACE,
            "-E --events": _NEVER_ENDS,
        },
        "operands_note": "a filter names states, addresses, prefixes and ports; names of hosts would be looked up",
        "forms": ["@ss_filter..."],
        "example": "ss -tanp state established",
    },
    "ip": {
        "network": {"": "netlink", "-r -resolve": "inet inet6"},
        "style": "words",
        "options_first": True,
        "flags": "-4 -6 -0 -s -stats -statistics -d -details -o -oneline -br -brief -j -json -p -pretty -h -human"
        " -human-readable -r -resolve -N -Numeric -t -timestamp -c -c=never -color=never -iec",
        "values": {"-f -family": "word"},
        "refused": {
            "-b -batch": _COMMAND_FILE,
            "-force": _COMMAND_FILE,
            "-n -netns": _OTHER_NAMESPACE,
            "-a -all": _OTHER_NAMESPACE,
        },
        "operands_note": _CHANGES + ", with `show` or `list` written out",
        "forms": [
            "a|ad|add|addr|address|l|link|r|ro|route|ru|rule|n|neigh|neighbor|neighbour|m|maddr|maddress|tunnel|vrf"
            "|addrlabel|nexthop|mroute|ntable|tuntap|netconf|tcp_metrics",
            f"a|ad|add|addr|address s|{_SHOW} *links",
            f"l|link {_SHOW} *links",
            f"r|ro|route s|{_SHOW} *routes",
            f"n|neigh|neighbor|neighbour s|{_SHOW} *neighbours",
            f"ru|rule {_SHOW} *routes",
            f"m|maddr|maddress|tuntap|vrf {_SHOW} *links",
            f"tunnel|nexthop|mroute|netconf {_SHOW} *links",
            f"addrlabel|ntable|tcp_metrics {_SHOW}",
            "r|ro|route g|get *asked",
            "netns",
            f"netns {_SHOW}",
            "netns identify|pids @name",
            f"mptcp endpoint|limits {_SHOW}",
        ],
        "series": {
            # For an interface that is not there the kernel may load a module, and for `tunnel show mode gre` ip does.
            "links": [
                "dev|master|vrf @interface",
                r"type|scope|group|label|proto|protocol @re:[\w*-]+",
                "to @address",
                "up|nomaster|primary|secondary|permanent|dynamic|temporary|deprecated|tentative|home",
                "@interface",
            ],
            "routes": [
                "dev|oif|iif|vrf @interface",
                "table|proto|protocol|scope|type|priority|metric|pref|prio|dsfield|tos|realm|realms|fwmark @word",
                "via|src|to|from|root|match|exact @re:default|all|any",
                "via|src|to|from|root|match|exact @address",
                "cache|cloned|default|all",
                "@address",
            ],
            "neighbours": [
                "dev|master|vrf @interface",
                "nud|proto|protocol @word",
                "to @address",
                "unused|proxy|nomaster|router",
                "@address",
            ],
            "asked": [
                "dev|oif|iif|vrf @interface",
                "from|to|via @address",
                "mark|uid|sport|dport|ipproto|tos @word",
                "fibmatch|connected|notify",
                "@address",
            ],
        },
        "example": "ip -s link show dev eth0",
    },
    "bridge": {
        "network": {"": "netlink"},
        "style": "words",
        "options_first": True,
        "flags": "-s -stats -statistics -d -details -j -json -p -pretty -o -oneline -c -c=never",
        "refused": {"-b -batch": _COMMAND_FILE, "-n -netns": _OTHER_NAMESPACE},
        "operands_note": _CHANGES,
        "forms": ["link|fdb|vlan|mdb", f"link|fdb|vlan|mdb {_SHOW} *ports"],
        "series": {"ports": ["dev|br|brport|master @interface", "vlan|vid|state @word", "dynamic|static"]},
        "example": "bridge fdb show",
    },
    "tc": {
        "network": {"": "netlink"},
        "style": "words",
        "options_first": True,
        "flags": "-s -stats -statistics -d -details -r -raw -p -pretty -j -json -g -graph -nm",
        "refused": {"-b -batch": _COMMAND_FILE, "-n -netns": _OTHER_NAMESPACE, "-force": _COMMAND_FILE},
        "operands_note": _CHANGES,
        "forms": ["qdisc", f"qdisc|class|filter|chain {_SHOW} *queues", f"action {_SHOW}|ls action @name"],
        "series": {
            "queues": [
                "dev @interface",
                "parent|handle|classid|protocol|proto|pref|prio|chain|block @word",
                "root|ingress|egress|clsact|invisible",
            ],
        },
        "example": "tc -s qdisc show dev eth0",
    },
    "netstat": {
        "capability": {"-p --programs": "SYS_PTRACE DAC_READ_SEARCH"},
        "network": {"": "inet inet6 unix"},
        "local": {"-n --numeric": r""},
        "flags": "-4 -6 -a -e -g -i -l -M -n -N -o -p -r -s -S -t -T -u -U -v -w -W -x -Z --all --extend --groups"
        " --interfaces --listening --masquerade --numeric --numeric-hosts --numeric-ports --numeric-users --programs"
        " --route --statistics --tcp --udp --raw --timers --unix --verbose --wide",
        "values": {"-A --protocol": "word"},
        "refused": {"-c --continuous": _NEVER_ENDS},
        "operands_note": "a delay would make it go on for ever",
        "example": "netstat -tulpn",
    },
    "nstat": {
        "flags": "-a -s -z -j -p --ignore --noupdate --zeros --json --pretty",
        "refused": {
            "-d --scan": "it starts a daemon",
            "-t --interval": "it starts a daemon",
            "-r --reset": "it changes nstat's history file",
        },
        # Without both it creates and rewrites a history file in /tmp.
        "insert": ["-a", "-s"],
        "forms": ["@text..."],
        "example": "nstat -asz",
    },
    "arp": {
        "network": {"": "inet"},
        "local": {"-n --numeric": r""},
        "flags": "-a -e -n -v -H --verbose --numeric",
        "values": {"-i --device": "interface"},
        "forms": ["@host?"],
    },
    "route": {"flags": "-4 -6 -e -n -v -F -C --numeric --extend --verbose", "operands_note": _CHANGES},
    "ifconfig": {
        "network": {"": "inet inet6"},
        "local": {"": r".*"},
        "flags": "-a -s -v",
        "operands_note": _CHANGES,
        "forms": ["@interface?"],
    },
    "ethtool": {
        "network": {"": "netlink inet"},
        "local": {"": r".*"},
        "style": "words",
        "flags": "-i --driver -S --statistics -k --show-features --show-offload -g --show-ring -c --show-coalesce -a"
        " --show-pause -l --show-channels -T --show-time-stamping -P --show-permaddr -x --show-rxfh"
        " --show-rxfh-indir -n --show-nfc --show-ntuple -m --module-info --dump-module-eeprom --show-eee --show-fec"
        " --show-priv-flags --phy-statistics --get-phy-tunable -j --json -I --include-statistics",
        "operands_note": _CHANGES,
        "forms": ["@interface"],
        "example": "ethtool -S eth0",
    },
    "iptables": _IPTABLES,
    "ip6tables": _IPTABLES,
    "iptables-save": _IPTABLES_SAVE,
    "ip6tables-save": _IPTABLES_SAVE,
    "nft": {
        "capability": {"": "NET_ADMIN"},
        "network": {"": "netlink"},
        "flags": "-n -a -s -j -y -S -N -u -t -p -T --numeric --handle --stateless --json --terse",
        "refused": {"-f --file": _COMMAND_FILE, "-i --interactive": "there is nobody to type", "-I": _COMMAND_FILE},
        "operands_note": _CHANGES,
        # nft joins its arguments to one command line of its own: nothing but plain names may come through.
        "forms": [
            "list ruleset|tables|chains|sets|maps|flowtables|counters|quotas|limits|hooks @name?",
            "list table|chain|set|map|flowtable|counter @name @name? @name?",
        ],
        "example": "nft list ruleset",
    },
    "conntrack": {
        "capability": {"": "NET_ADMIN"},
        "network": {"": "netlink"},
        "flags": "-L -S -C -n --dump --stats --count",
        "values": {
            "-p --proto": "word",
            "-s --src": "address",
            "-d --dst": "address",
            "-f --family": "word",
            "-o": "word",
            "--state": "re:[A-Z_0-9]+",
        },
        "needs": {"-L -S -C --dump --stats --count": _CHANGES},
        "operands_note": _CHANGES,
        "forms": ["conntrack|expect", ""],
        "example": "conntrack -S",
    },
    "ping": _PING,
    "ping6": _PING,
    "traceroute": _TRACEROUTE,
    "traceroute6": _TRACEROUTE,
    "tracepath": {
        "network": {"": "inet inet6"},
        "flags": "-4 -6 -b -n",
        "values": {"-m": "number:1..30"},
        "forms": ["@unicast"],
    },
    "mtr": {
        "network": {"": "inet inet6"},
        "flags": "-4 -6 -n -b -w -r -T -j --report --report-wide --no-dns --show-ips --tcp --json",
        "values": {
            "-c --report-cycles": "number:1..20",
            "-i --interval": "number:0.5..5",
            "-m --max-ttl": "number:1..30",
            "-P --port": "number:1..65535",
        },
        "needs": {
            "-r -w -j --report --report-wide --json": "without a report it wants a terminal",
            "-c --report-cycles": "without a count it goes on; give -c with at most 20",
        },
        "needs_with": {"-P --port": {"-T --tcp": "a service on that port could read what is sent otherwise"}},
        "refused": {
            "-u --udp": "a service could read what is sent; use -T, or neither",
            "-z --aslookup": "it asks somebody on the internet about each address on the way",
        },
        "forms": ["@unicast"],
        "example": "mtr -rn -c 5 192.0.2.1",
    },
    "dig": {
        "network": {"": "inet inet6 netlink"},
        "style": "words",
        "flags": "-4 -6 -u",
        "values": {"-t": "word", "-c": "word", "-q": "host", "-x": "host", "-p": _DNS_PORT, "-b": "host"},
        "matching": [rf"\+(no)?({DIG_SWITCHES})|\+({DIG_VALUES})", r"@[A-Za-z0-9._:-]+"],
        "operands_note": "names and types are accepted, and + options that say how a question is asked over DNS",
        "refused": {
            "-f": _COMMAND_FILE,
            "-k": "it reads a key file",
            "-y": "it takes a key",
        },
        "forms": ["@host..."],
        "example": "dig +short +time=2 +tries=1 example.org A",
    },
    "nslookup": {
        "network": {"": "inet inet6 netlink"},
        "style": "words",
        "flags": "-debug -nodebug -recurse -norecurse -vc -novc -all",
        "matching": [r"-(type|query|querytype|class|timeout|retry|domain)=[A-Za-z0-9.-]+|-port=(53|853|5353|8600)"],
        "operands_note": "name what to look up; there is nobody to type",
        "forms": ["@host", "@host @host"],
        "example": "nslookup example.org",
    },
    "host": {
        "network": {"": "inet inet6 netlink"},
        "flags": "-4 -6 -a -d -r -s -T -U -v",
        "values": {"-t": "word", "-W": "number:1..10", "-R": "number:1..3", "-p": _DNS_PORT, "-c": "word"},
        "forms": ["@host", "@host @host"],
        "example": "host -W 2 example.org",
    },
    "getent": {
        "network": {"": "inet inet6 netlink unix"},
        "local": {"": r"(services|protocols|rpc|passwd|group|aliases|ethers)( .*)?"},
        "style": "words",
        "options_first": True,
        "flags": "-i --no-idn",
        "operands_note": "other databases hold secrets or cannot be listed",
        "forms": [
            "ahosts|ahostsv4|ahostsv6|hosts|networks|services|protocols|rpc|passwd|group|aliases|ethers @word...",
        ],
        "example": "getent ahosts example.org",
    },
    "hostname": {
        "network": {"-f -d -i -A -I --fqdn --long --domain --ip-address --all-fqdns": "inet inet6 netlink"},
        "local": {"-I --all-ip-addresses": r""},
        "flags": "-a -A -d -f -i -I -s -y --alias --all-fqdns --domain --fqdn --long --ip-address --all-ip-addresses"
        " --short",
        "refused": {"-F --file": "it sets the host's name", "-b --boot": "it sets the host's name"},
        "operands_note": "a name would be set; by itself it shows the name",
        "example": "hostname -f",
    },
    "resolvectl": {
        "dbus": _RESOLVE,
        "network": {"": "netlink"},
        "local": {"": r"|(status|statistics|show-cache|dns|domain|default-route)( .*)?"},
        "flags": "-4 -6 --no-pager --cache=no",
        "values": {"-i --interface": "interface", "-t --type": "word", "-p --protocol": "word"},
        "operands_note": _CHANGES,
        "forms": [
            "",
            "status @interface...",
            "query @host...",
            "statistics|show-cache",
            "dns|domain|default-route @interface?",
        ],
        "example": "resolvectl status",
    },
    "chronyc": {
        "network": {"": "inet inet6 unix"},
        "local": {"": r"(?!ntpdata).*"},
        "flags": "-n -c -N",
        "options_first": True,
        "operands_note": _CHANGES,
        "forms": [
            "tracking|activity|serverstats|rtcdata|selectdata|smoothing",
            "sources|sourcestats|selectdata -v|-a",
            "sources|sourcestats",
            "ntpdata @host?",
        ],
        "example": "chronyc tracking",
    },
    "ntpq": {
        "network": {"": "inet inet6"},
        "local": {"-n --numeric": r""},
        "flags": "-4 -6 -n -p --peers --numeric",
        "values": {"-c --command": "re:peers|lpeers|rv|as|associations|sysinfo|kerninfo|pe"},
        "needs": {"-p --peers -c --command": "there is nobody to type"},
        "forms": ["@host?"],
        "example": "ntpq -pn",
    },
    "rpcinfo": {
        "network": {"": "inet inet6 unix"},
        "local": {"": r""},
        "flags": "-p -s",
        "needs": {"-p -s": _CHANGES},
        "forms": ["@host?"],
        "example": "rpcinfo -p",
    },
    "showmount": {
        "network": {"": "inet inet6"},
        "local": {"": r""},
        "flags": "-a -d -e --all --directories --exports --no-headers",
        "forms": ["@host?"],
    },
    "nfsstat": {
        "flags": "-2 -3 -4 -a -c -l -m -n -o -r -s -v --all --client --list --mounts --nfs --rpc --server",
        "example": "nfsstat -c",
    },
}
