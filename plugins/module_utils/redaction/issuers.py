# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: tokens of services that put their own mark in front, as data; more are in formats.py.

Marks are from the issuers' public documentation. The lengths are about half a token's: less is a word, or says nothing.
"""

from __future__ import annotations

# Where a mark is short, a digit has to be near: names of functions have none there.
_DIGIT = r"(?=[A-Za-z]{0,24}[0-9])"
_URL = r"[A-Za-z0-9_-]"
_B64 = r"[A-Za-z0-9_=/+-]"

# kind, what a text must hold (lower case), expression; as in formats.SHAPES
ISSUED: list[tuple[str, tuple[str, ...], str]] = [
    ("atlassian_token", ("atatt3", "atctt3"), rf"\bAT[AC]TT3{_B64}{{10,}}"),
    ("atlassian_token", ("atbb",), rf"\bATBB{_DIGIT}[A-Za-z0-9]{{12,}}"),
    ("terraform_token", (".atlasv1.",), rf"(?<![A-Za-z0-9])[A-Za-z0-9]{{10,20}}\.atlasv1\.{_B64}{{6,}}"),
    ("pulumi_token", ("pul-",), r"\bpul-[0-9a-f]{16,}"),
    ("sonar_token", ("sqp_", "squ_", "sqa_"), r"\bsq[pua]_[0-9a-f]{16,}"),
    ("artifactory_key", ("akcp",), rf"(?<![A-Za-z0-9])AKCp{_DIGIT}[A-Za-z0-9]{{16,}}"),
    ("square_token", ("sq0csp-", "sq0atp-"), rf"\bsq0(?:csp|atp)-{_URL}{{10,}}"),
    ("supabase_token", ("sbp_",), r"\bsbp_[0-9a-f]{16,}"),
    (
        "fly_token",
        ("flyv1", "fo1_", "fm1", "fm2_"),
        rf"\b(?:FlyV1[ \t])?(?:fo1|fm1[ar]|fm2)_{_DIGIT}[A-Za-z0-9_=/+,-]{{12,}}",
    ),
    ("sentry_token", ("sntryu_", "sntrys_"), rf"\bsntry[us]_{_B64}{{16,}}"),
    ("dynatrace_token", ("dt0",), r"\bdt0[a-z][0-9]{2}\.[A-Z0-9]{12,}(?:\.[A-Z0-9]*)?"),
    ("doppler_token", ("dp.",), r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{16,}"),
    ("alibaba_key", ("ltai",), rf"(?<![A-Za-z0-9])LTAI{_DIGIT}[A-Za-z0-9]{{10,}}"),
    ("nvidia_key", ("nvapi-",), rf"\bnvapi-{_URL}{{16,}}"),
    ("groq_key", ("gsk_",), rf"\bgsk_{_DIGIT}[A-Za-z0-9]{{12,}}"),
    ("replicate_token", ("r8_",), rf"\br8_{_DIGIT}[A-Za-z0-9]{{12,}}"),
    ("perplexity_key", ("pplx-",), rf"\bpplx-{_DIGIT}[A-Za-z0-9]{{12,}}"),
    ("xai_key", ("xai-",), rf"\bxai-{_DIGIT}[A-Za-z0-9]{{16,}}"),
    ("langsmith_key", ("lsv2_",), r"\blsv2_(?:pt|sk)_[0-9a-f_]{12,}"),
    ("pinecone_key", ("pcsk_",), r"\bpcsk_[A-Za-z0-9_]{12,}"),
    ("postman_key", ("pmak-",), r"\bPMAK-[0-9a-f]{12,}(?:-[0-9a-f]*)?"),
    ("figma_token", ("figd_",), rf"\bfigd_{_URL}{{12,}}"),
    ("notion_token", ("ntn_",), rf"\bntn_{_DIGIT}[A-Za-z0-9]{{12,}}"),
    ("rubygems_key", ("rubygems_",), r"\brubygems_[0-9a-f]{16,}"),
    ("clojars_token", ("clojars_",), r"\bCLOJARS_[0-9a-f]{16,}"),
    ("brevo_key", ("xkeysib-", "xsmtpsib-"), r"\bx(?:key|smtp)sib-[0-9a-f]{16,}(?:-[A-Za-z0-9]*)?"),
    ("tailscale_key", ("tskey-",), r"\btskey-[a-z]{2,16}-[A-Za-z0-9-]{8,}|\btskey-[A-Za-z0-9]{12,}"),
    ("swarm_token", ("swmtkn-1-",), r"\bSWMTKN-1-[0-9a-z-]{8,}"),
    ("newrelic_key", ("nrii-",), rf"\bNRII-{_URL}{{12,}}"),
    ("mailchimp_key", ("-us",), r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    ("planetscale_token", ("pscale_",), r"\bpscale_(?:pw|tkn|oauth)_[A-Za-z0-9._-]{12,}"),
    ("shippo_token", ("shippo_",), r"\bshippo_(?:live|test)_[0-9a-f]{12,}"),
]
