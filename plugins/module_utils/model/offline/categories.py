# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: which kind of trouble an issue speaks of, by the words that it uses.

The categories are those of the protocol's table. Words are data: (expression, weight); an expression is matched at the
beginning of a word, in any case. Weights say how surely the word means the category: 3 alone suffices, 1 needs company.
"""

from __future__ import annotations

import re

NETWORK, PROCESS, FILES, PERFORMANCE, MEMORY = "network", "process", "file I/O", "performance", "memory"
CATEGORIES = (NETWORK, PROCESS, FILES, PERFORMANCE, MEMORY)

_WORDS: dict[str, list[tuple[str, int]]] = {
    NETWORK: [
        (r"network|netz", 3),
        (r"connect|reconnect|disconnect", 3),
        (r"refused|unreachable|econn|etimedout|ehostunreach", 3),
        (r"dns\b|resolv|nameserver|hostname|lookup", 3),
        (r"tcp|udp|socket|port\b|packet|retransmi|routing|route\b|firewall|latency|bandwidth|interface|nic\b", 3),
        (r"http|https|tls\b|ssl\b|certificate|ssh\b|api\b|curl|ping\b|proxy|load ?balancer|gateway|endpoint", 2),
        (r"50[234]\b", 2),
        (r"time(s|d)?[ -]?out|timing out|unavailable|offline\b", 2),
        (r"database|postgres|mysql|mariadb|redis|mongo|kafka|rabbit|ldap|nfs\b|upstream|backend|remote", 2),
        (r"server|client|service|request|web", 1),
    ],
    PROCESS: [
        (r"crash|segfault|core ?dump|sigsegv|abort", 3),
        (r"restart|respawn|crash ?loop|flap", 3),
        (r"process|daemon|zombie|fork|exec\b|spawn|thread|pid\b", 3),
        (r"die[sd]?\b|dying|exit|kill|terminat|stops?\b|stopped|not running|fail(s|ed)? to start|won'?t start", 3),
        (r"unit\b|systemd|service fail|cron", 2),
        (r"hang|hung|stuck|froz|unresponsive", 2),
        (r"service|fail", 1),
    ],
    FILES: [
        (r"file ?system|disk|inode|partition|mount|volume|storage|raid|ssd\b|nvme", 3),
        (r"files?\b|director|folder|path\b|permission|denied|enoent|eacces|erofs|emfile|enospc", 3),
        (r"no space|space left|read[- ]only|too many open|i/?o\b|iops|write error|cannot (open|write|read)", 3),
        (r"logs?\b|log file|config|save|upload|backup|writ(e|es|ing)\b|read(s|ing)?\b|open(s|ing)?\b", 2),
        (r"full\b|missing|corrupt|nfs\b", 2),
    ],
    PERFORMANCE: [
        (r"slow|sluggish|lag|performance|throughput", 3),
        (r"cpu|load\b|load average|busy|saturat|interrupt|irq\b|softirq|context switch|steal", 3),
        (r"hang|hung|stuck|froz|unresponsive|latency|delay|takes (too )?long|spik|bottleneck", 2),
        (r"high|peak|time(s|d)?[ -]?out", 1),
    ],
    MEMORY: [
        (r"memory|\bram\b|heap|leak", 3),
        (r"oom|out of memory|swap|thrash|page ?fault|cache pressure|allocat|malloc|enomem", 3),
        (r"killed|evict", 2),
    ],
}

_ENOUGH = 2


def classify(issue: str) -> list[str]:
    """The categories that an issue speaks of, the likeliest first; none where its words say nothing."""
    scores = {category: _score(issue, words) for category, words in _WORDS.items()}
    likely = [category for category in CATEGORIES if scores[category] >= _ENOUGH]
    return sorted(likely, key=lambda category: -scores[category])


def _score(issue: str, words: list[tuple[str, int]]) -> int:
    return sum(weight for expression, weight in words if re.search(rf"(?<![a-z0-9])(?:{expression})", issue, re.I))
