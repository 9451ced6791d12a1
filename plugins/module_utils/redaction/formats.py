# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: how secrets look and where they stand, as data.

Beginnings are from the issuers' public documentation. What may be cut off by a capture slot is known by its beginning:
so the lengths are the least that cannot be a word, not those of whole tokens. No expression repeats within a repeated
part, and what stands before the secret is bounded: the time is proportional to the text, whatever it holds.
"""

from __future__ import annotations

import re

from .issuers import ISSUED

# What has a digit and a letter and is no path, number with a unit, option or setting.
_NO_WORD = (
    r"(?=[^\s]{0,40}[0-9])(?=[^\s]{0,40}[A-Za-z])(?![\[(<{/$%-]|\d{1,6}[a-z]{0,3}\b|\w{1,32}=[^=\s])[^\s\"',;<>\[]{6,}"
)
_URL = r"[A-Za-z0-9_-]"
# What stands between words of a command, and the end of a line as a trace's buffer or a log has it.
_GAP = r"[= \t]{1,8}"
_EOL = r"(?:\r|\\r)?(?:\n|\\n)"
_WORD = r"(?:\b|(?<=\\n))"
_SCHEME = r"(?:[A-Za-z][\w.-]{1,40}[ \t]{1,4})?"
# A header's value that is no word of a sentence: it has a digit or a sign, or is long.
_CREDENTIAL = r"(?!--)(?=[^\s\"']{0,200}[0-9=]|[^\s\"']{16})[^\s\"']{6,}"
# What follows a command's name up to an option of it.
_TO = r"[ \t][^\n]{0,400}?(?<=[ \t])"

# kind, what a text must hold for the expression to be tried (lower case), expression; group 1, or all, is the secret.
SHAPES: list[tuple[str, tuple[str, ...], re.Pattern[str]]] = [
    (kind, hints, re.compile(expression))
    for kind, hints, expression in [
        ("jwt", ("eyj",), r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_=-]*){0,4}"),
        ("aws_key", ("akia", "asia", "aroa", "aida"), r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}"),
        ("google_key", ("aiza",), rf"AIza{_URL}{{8,}}"),
        ("google_token", ("ya29.",), r"ya29\.[A-Za-z0-9_.-]{8,}"),
        ("google_secret", ("gocspx-",), rf"GOCSPX-{_URL}{{4,}}"),
        ("azure_secret", ("8q~", "7q~"), rf"(?<![A-Za-z0-9]){_URL}{{3}}[78]Q~[A-Za-z0-9_.~-]{{8,}}"),
        ("azure_signature", ("sig=",), r"[?&]sig=([A-Za-z0-9%/+=]{8,})"),
        ("github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9_]{4,}"),
        ("github_token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{4,}"),
        ("gitlab_token", ("gl",), r"\bgl(?:pat|rt|dt|ptt|soat|cbt|agent|ft|imt|oas|ffct)-[A-Za-z0-9_.-]{6,}"),
        ("slack_token", ("xox", "xapp-"), r"\b(?:xox[a-z]|xapp)-[A-Za-z0-9-]{6,}"),
        ("webhook", ("hooks.slack.com/",), r"hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/_-]{6,})"),
        ("webhook", ("/api/webhooks/",), r"/api/webhooks/(\d{5,}/[A-Za-z0-9_-]{6,})"),
        ("stripe_key", ("k_live_", "k_test_"), r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{4,}"),
        ("stripe_secret", ("whsec_",), r"whsec_[A-Za-z0-9+/=]{4,}"),
        ("twilio_key", ("sk", "ac"), r"\b(?:SK|AC)[0-9a-f]{32}\b"),
        ("sendgrid_key", ("sg.",), rf"\bSG\.{_URL}{{10,}}(?:\.{_URL}*)?"),
        ("mailgun_key", ("key-",), r"\bkey-[0-9a-f]{32}\b"),
        ("npm_token", ("npm_",), r"\bnpm_[A-Za-z0-9]{12,}"),
        ("pypi_token", ("pypi-age",), rf"pypi-AgE{_URL}{{4,}}"),
        ("docker_token", ("dckr_",), rf"dckr_(?:pat|oat)_{_URL}{{4,}}"),
        ("digitalocean_token", ("_v1_",), r"\bdo[por]_v1_[0-9a-f]{6,}"),
        ("model_key", ("sk-",), r"\bsk-(?:proj|svcacct|admin|ant|or|None)-[A-Za-z0-9_-]{6,}"),
        ("model_key", ("sk-",), r"\bsk-[A-Za-z0-9]{20,}"),
        ("huggingface_token", ("hf_",), r"\bhf_[A-Za-z]{10}[A-Za-z0-9]{2,}|\bhf_(?=[A-Za-z]{0,12}\d)[A-Za-z0-9]{12,}"),
        ("vault_token", ("hvs.", "hvb.", "hvr."), rf"\bhv[sbr]\.{_URL}{{6,}}"),
        ("databricks_token", ("dapi",), r"\bdapi[0-9a-f]{12,}"),
        ("shopify_token", ("shp",), r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{6,}"),
        ("telegram_token", (":aa",), rf"(?<!\d)\d{{8,10}}:AA{_URL}{{12,}}"),
        ("age_key", ("age-secret-key-",), r"AGE-SECRET-KEY-1[A-Za-z0-9]{4,}"),
        ("linear_key", ("lin_",), r"\blin_(?:api|oauth)_[A-Za-z0-9]{6,}"),
        ("grafana_token", ("glsa_", "glc_"), r"\bgl(?:sa|c)_[A-Za-z0-9_=+/]{8,}"),
        ("newrelic_key", ("nrak-",), r"\bNRAK-[A-Z0-9]{6,}"),
        *ISSUED,
        ("ceph_key", ("aq",), r"(?<![A-Za-z0-9+/])AQ[A-Za-z0-9+/]{36}==(?![A-Za-z0-9+/=])"),
        ("ceph_key", ("aq",), r"\bkey[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?(AQ[A-Za-z0-9+/]{10,}={0,2})"),
        ("private_key", ("mii", "mhcc", "migh", "mc4c"),
         r"(?:MII[A-Za-z0-9+/]{1,3}IBA|MHcCAQEE|MIGHAgEAM|MC4CAQAw)[A-Za-z0-9+/=\\]{12,}"),
        ("private_key", ("b3blbnnzac1rzxktdj",), r"b3BlbnNzaC1rZXktdj[A-Za-z0-9+/=\\]{4,}"),
        # PRIVATE KEY- in base64, at each of the three places where it can begin, and the lines that go on from there.
        ("private_key", ("ufjjvkfursblrvk", "bssvzbveugs0vzl", "quklwqvrfietfws"),
         r"(?:UFJJVkFURSBLRVk|BSSVZBVEUgS0VZL|QUklWQVRFIEtFWS)"
         r"(?:[A-Za-z0-9+/=]|\\?\n[ \t]{0,16}(?=[A-Za-z0-9+/]{16})|\\n)*"),
        ("private_key", ("\"kty\"",), rf"\"(?:d|k|p|q|dp|dq|qi)\"[ \t]{{0,4}}:\s{{0,4}}\"({_URL}{{16,}})"),
        ("key", ("key", "private", "shared"),
         r"(?<![\w-])(?:key|private|shared):[ \t]{1,4}[\"']?([A-Za-z0-9+/]{43}=)"),
        ("key", ("seal key", "very key"), r"(?i)\b(?:unseal|recovery) key(?: \d{1,2})?:[ \t]{1,4}([^\s]{8,})"),
        ("password", ("}",),
         r"\{(?:PLAIN|CLEAR|CLEARTEXT|CRAM-MD5|DIGEST-MD5|PLAIN-MD5|LDAP-MD5|HMAC-MD5|MD5|SMD5|NT|LANMAN|NTLM)"
         r"(?:\.(?:b64|B64|hex|HEX))?\}(?!\[redacted:[a-z_]{1,24}:(?:\d{1,6}|other)\])([^\s:,\"']{3,})"),
        ("password_hash", ("$",),
         r"\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[a-z0-9-]{0,12})"
         r"\$[./A-Za-z0-9$=,+-]{8,}"),
        ("password_hash", ("{s",), r"\{(?:SHA|SSHA|SSHA256|SSHA512|SCRAM-SHA-256)\}[A-Za-z0-9+/=$:]{8,}"),
        ("password_hash", ("scram-sha-256$",), r"SCRAM-SHA-256\$[A-Za-z0-9+/=$:]{8,}"),
        ("authorization", ("authorization",),
         r"(?i)authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
         r"(?:bearer|basic|digest|token|negotiate|apikey|key)\s{1,4}([^\s\"']{2,})"),
        ("authorization", ("digest",), r"(?i)authorization:\s{0,4}digest\s{1,4}([^\n]{2,2000})"),
        # Schemes of parameters, whatever their name; then those of one word, none, and headers that servers set.
        ("authorization", ("authorization",),
         r"(?i)authorization[\"']?\s{0,4}[:=,]\s{0,4}(?:\[(?!redacted:))?[\"']?[A-Za-z][\w.-]{1,40}[ \t]{1,4}"
         r"((?=\w{1,30}=[\"'\w])[^\n]{2,2000})"),
        ("authorization", ("authorization",),
         rf"(?i)authorization[\"']?\s{{0,4}}[:=,]\s{{0,4}}(?:\[(?!redacted:))?[\"']?{_SCHEME}((?!\$){_CREDENTIAL})"),
        ("authorization", ("authorization",),
         rf"(?i)authorization[ \t]{{1,8}}[\"'](?!{_SCHEME}\$){_SCHEME}([^\"'\n]{{4,2000}})"),
        ("authorization", ("authorization",),
         rf"(?i)(?:_header|_param|header[ \t]{{1,4}}\w{{3,8}})[ \t]{{1,8}}(?:http_|proxy-)?authorization[ \t]{{1,8}}"
         rf"{_SCHEME}((?!\$){_CREDENTIAL})"),
        ("bearer", ("bearer",), r"(?i)\bbearer\s{1,4}((?=[A-Za-z._~+/=-]{0,40}\d)[A-Za-z0-9._~+/=-]{8,})"),
        ("header_key", ("x-",),
         r"(?i)\bx-(?!cache-|idempotency-)(?:[a-z0-9]{1,20}-){0,3}(?:api-?key|key|token|secret|signature|password)"
         r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?([^\s\"']{4,})"),
        ("cookie", ("cookie:",), r"(?i)\b(?:set-)?cookie:[ \t]{0,4}([^\s\"'=;]{1,100}=[^\n\"']{4,})"),
        ("url_token", ("token=", "signature=", "sig=", "auth=", "password=", "secret="),
         r"(?i)[?&](?:x-(?:amz|goog)-)?(?:signature|sig|(?:\w{1,20}[_-]){0,2}(?:token|auth|password|secret))"
         r"=([^&\s\"'<>#]{6,})"),
        ("url_token", ("key=", "code=", "sid="),
         r"(?i)[?&](?:\w{1,20}[_-]){0,2}(?:key|code|sid)="
         r"((?=[^&\s\"'<>#]{0,40}\d|[^&\s\"'<>#]{16})[^&\s\"'<>#]{8,})"),
        ("session", ("jsessionid=", "phpsessid=", "sessionid=", "session_id=", "connect.sid="),
         r"(?i)(?:jsessionid|phpsessid|sessionid|session_id|connect\.sid)=([A-Za-z0-9%._~+/-]{6,})"),
        ("url_password", ("://",),
         r"://[^\s/:@\"'<>]{0,128}:((?!\d{1,5}/)(?:[^\s/\"'<>]{1,1024}|[^\s\"'<>]{1,256}?))@"),
        ("url_token", ("://",), r"://([A-Za-z0-9_-]{20,200})@"),
        ("option", ("mysql", "mariadb"), r"\b(?:mysql|mariadb)\w{0,16}[ \t][^\n]{0,400}?(?<=[ \t])-p([^\s]{2,})"),
        ("option", ("curl", "wget", "etcdctl"),
         rf"\b(?:curl|wget|etcdctl){_TO}"
         r"(?:-\w{0,6}u|--user|--proxy-user|-U)[ =\t]{0,8}[\"']?[^\s:\"']{1,100}:([^\s]{1,})"),
        ("option", ("curl",),
         rf"\bcurl{_TO}(?:-\w{{0,6}}E|--(?:proxy-)?cert){_GAP}[\"']?[^\s:\"']{{1,200}}:([^\s]+)"),
        ("cookie", ("curl",),
         rf"\bcurl{_TO}(?:-\w{{0,6}}b|--cookie){_GAP}[\"'][^\s\"'=;]{{1,100}}=([^\n\"']{{4,}})"),
        ("cookie", ("curl",), rf"\bcurl{_TO}(?:-\w{{0,6}}b|--cookie){_GAP}[^\s\"'=;]{{1,100}}=([^\s\"']{{4,}})"),
        ("option", ("oauth2-bearer",), rf"--oauth2-bearer{_GAP}([^\s]+)"),
        ("option", ("chpasswd",),
         r"\b(?:echo|printf)[ \t]{1,4}(?:-\w{1,3}[ \t]{1,4}){0,2}[\"']?[\w.-]{1,64}:([^\s|]{1,256})"
         r"[ \t]{0,4}\|[^\n|]{0,100}?\bchpasswd"),
        ("option", ("chpasswd",), r"\bchpasswd[ \t]{1,4}[^\n]{0,40}?<<<[ \t]{0,4}[\"']?[\w.-]{1,64}:([^\s]+)"),
        ("option", ("ssh-keygen",), rf"\bssh-keygen{_TO}-N[ \t]{{0,8}}([^\s]+)"),
        ("option", ("ssh-keygen",), rf"\bssh-keygen{_TO}-P[ \t]{{0,8}}([^\s]+)"),
        ("option", ("openssl",),
         r"\bopenssl[ \t]{1,8}(?:enc|aes|aria|camellia|des|rc[24]|chacha|bf|sm4)[^\n]{0,400}?(?<=[ \t])"
         r"-[kK][ \t]{1,8}(?!pass:)([^\s]+)"),
        ("option", ("configure",),
         r"\bconfigure[ \t]{1,8}set[ \t]{1,8}[\w.-]{0,80}(?:secret|token|password)[\w-]{0,20}[ \t]{1,8}([^\s]+)"),
        ("option", ("rabbitmqctl",),
         r"\brabbitmqctl[ \t][^\n]{0,100}?\b(?:add_user|change_password|authenticate_user)[ \t]{1,8}"
         r"(?:--[ \t]{1,8})?[^\s]{1,64}[ \t]{1,8}([^\s]+)"),
        ("option", ("sqlcmd", "bcp"), rf"\b(?:sqlcmd|bcp){_TO}-P[ \t]{{0,8}}([^\s]+)"),
        ("option", ("plink", "pscp", "psftp", "putty"), rf"\b(?:plink|pscp|psftp|putty){_TO}-pw[ \t]{{1,8}}([^\s]+)"),
        ("option", ("lftp",), rf"\blftp{_TO}(?:-u|--user)[ \t]{{0,8}}[\"']?[^\s,\"']{{1,100}},([^\s]+)"),
        ("option", ("mosquitto_",), rf"\bmosquitto_(?:pub|sub|rr){_TO}-P[ \t]{{0,8}}([^\s]+)"),
        ("option", ("unseal",),
         r"\b(?:vault|bao)[ \t]{1,8}operator[ \t]{1,8}unseal[ \t]{1,8}(?:-[^\s]{1,60}[ \t]{1,8}){0,4}"
         r"([^\s-][^\s]{7,})"),
        ("community", ("community",), r"\bsnmp(?:-server)?[ \t]{1,8}community[ \t]{1,8}(?:[0-9][ \t])?([^\s]+)"),
        ("password", ("auth-pass",), r"\bauth-pass[ \t]{1,8}[^\s]{1,128}[ \t]{1,8}([^\s]+)"),
        ("password", ("dsn",),
         r"(?i)dsn[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?[\w.-]{1,64}:([^\s@\"'/]{1,128})@"),
        ("option", ("sshpass",), r"\bsshpass[ \t]{1,8}-p[ \t]{0,8}([^\s]+)"),
        ("option", ("pass:",), r"-(?:pass(?:in|out)?|k)[ \t]{1,4}pass:([^\s]+)"),
        ("option", ("ldap",), r"\bldap\w{2,12}[ \t][^\n]{0,400}?(?<=[ \t])-w[ \t]{0,2}([^\s]+)"),
        ("option", ("redis-cli",), r"\bredis-cli[ \t][^\n]{0,400}?(?<=[ \t])-a[ \t]{0,2}([^\s]+)"),
        ("option", ("-u",), r"(?<=[ \t])-U[ \t]{0,2}[^\s%]{1,100}%([^\s]+)"),
        ("option", ("snmp",), r"\bsnmp\w{2,12}[ \t][^\n]{0,400}?(?<=[ \t])-[cAX][ \t]{1,2}([^\s]+)"),
        ("option", ("ipmitool",), r"\bipmitool[ \t][^\n]{0,400}?(?<=[ \t])-P[ \t]{0,2}([^\s]+)"),
        ("option", ("htpasswd",),
         r"\bhtpasswd[ \t]{1,4}-\w{0,6}b\w{0,6}[ \t]{1,4}[^\s]{1,200}[ \t]{1,4}[^\s]{1,100}[ \t]{1,4}([^\s]+)"),
        ("netrc", ("login",), r"\blogin[ \t\n]{1,8}[^\s]{1,128}[ \t\n]{1,8}password[ \t\n]{1,8}([^\s]+)"),
        ("community", ("community",), r"\br[ow]community6?[ \t]{1,8}([^\s]+)"),
        ("community", ("com2sec",),
         r"\bcom2sec6?(?:[ \t]{1,8}-Cn[ \t]{1,8}\S{1,64})?(?:[ \t]{1,8}\S{1,64}){2}[ \t]{1,8}([^\s]+)"),
        ("password", ("createuser",),
         r"(?i)\bcreateUser[ \t]{1,8}(?:-e[ \t]{1,8}\S{1,64}[ \t]{1,8})?\S{1,64}[ \t]{1,8}(?:MD5|SHA\S{0,4})"
         r"[ \t]{1,8}([^\s]+(?:[ \t]{1,8}(?:DES|AES)\S{0,4}[ \t]{1,8}[^\s]+)?)"),
        # A directive whose value follows after white space, where the value cannot be a word.
        ("password", ("pass", "pw"),
         r"(?i)(?<![A-Za-z])(?:password|passphrase|(?:auth|db|user|admin|root|smtp|bind|key)[_-]?pass|bindpw|rootpw)"
         rf"[ \t]{{1,8}}(?:[0578][ \t])?({_NO_WORD})"),
        ("password", ("password",), r"(?i)password[ \t]{0,2}(?:[ \t]|\([ \t]{0,2})'([^'\n]{1,200})'"),
        ("password", ("password",), r"(?i)password[ \t]{1,2}\"([^\"\n]{1,200})\""),
        ("password", ("password",),
         rf"(?i)\bpassword(?:[ \t](?:is|was|has been))?(?:[ \t](?:changed to|set to|reset to))?"
         rf"[: \t]{{1,3}}[\"']?({_NO_WORD})"),
        ("password", ("password",), r"(?i)\bpassword (?:is |was )?generated for \S{1,128}: ([^\s]+)"),
        ("password", ("password",), r"(?i)\bpassword to proceed to installation:\s{1,8}([0-9a-f]{32})\b"),
        ("password", ("identified",),
         r"(?i)\bidentified[ \t]{1,4}(?:by|with[ \t]{1,4}\S{1,40}[ \t]{1,4}(?:by|as))[ \t]{1,4}"
         r"(?:password[ \t]{1,4})?[\"']([^\"'\n]{1,200})[\"']"),
        ("password", ("define(",),
         r"(?i)\bdefine\([ \t]{0,4}[\"']\w{0,40}(?:pass|passwd|password|secret|key|salt|token)[\"'][ \t]{0,4},"
         r"[ \t]{0,4}(?:\"([^\"\n]{1,200})|'([^'\n]{1,200}))"),
        ("password", ("</",),
         r"(?i)<[\w.:-]{0,40}(?:password|passwd|passphrase|secret|api-?key|token)"
         r"(?:[ \t][^<>\n]{0,200})?>([^<\n]{2,400})</"),
        ("password", ("value=", "</property"),
         r"(?i)\b(?:key|name)=\"[^\"\n]{0,80}(?:password|passwd|secret|api-?key|token)\""
         r"(?:[ \t]{1,4}value=\"|>)([^\"<\n]{2,400})"),
        ("password", ("value=",), r"(?i)<[\w.:-]{0,40}(?:password|secret)[ \t]{1,4}value=\"([^\"\n]{2,400})"),
        ("password", ("psk \"", "eap \"", "xauth \"", "ntlm \""),
         r":[ \t]{1,4}(?:PSK|EAP|XAUTH|NTLM)[ \t]{1,4}\"([^\"\n]+)"),
        ("password", ("secret \"",), r"\bsecret[ \t]{1,4}\"([^\"\n]+)"),
        ("password", ("@tcp(", "@unix("), r"(?<![\w.:\[])[\w.-]{1,64}:([^\s:@/\"']{1,128})@(?:tcp|unix)\("),
        ("password", ("jdbc:oracle", "sqlplus"),
         r"(?:jdbc:oracle:\w{1,8}:|\bsqlplus(?:[ \t]{1,4}-\w{1,8}){0,4}[ \t]{1,4})[\w.$-]{1,64}/([^\s@]{1,128})"),
        ("password", ("stats auth",), r"\bstats auth[ \t]{1,4}[^\s:]{1,64}:([^\s]+)"),
        ("password", (">",), r"\buser[ \t]{1,4}\S{1,64}[ \t]{1,4}(?:on|off)[ \t][^\n]{0,200}?(?<=[ \t])>([^\s]{4,})"),
        ("password_hash", ("grub.pbkdf2",), r"grub\.pbkdf2\.sha512\.\d{1,8}\.([0-9A-Fa-f.]{4,})"),
        ("key", ("key:",),
         rf"(?i)\b(?:private|preshared|pre-shared|secret|encryption|shared) key:[ \t]{{1,4}}({_NO_WORD})"),
        ("key", ("0x",),
         r"\b(?:auth|auth-trunc|enc|aead|comp)[ \t]{1,4}[^\s()]{1,40}\([^\s]{1,60}[ \t]{1,4}0x([0-9a-f]{8,})"),
        ("cluster_token", ("k10",), r"\bK10[0-9a-f]{6,64}::\w{1,32}:([^\s]+)"),
        ("option", ("login",),
         r"\b(?:docker|podman|nerdctl|buildah|skopeo|helm|az|oc)[ \t][^\n]{0,100}?\blogin[ \t][^\n]{0,200}?(?<=[ \t])"
         r"(?:-p|--password)[ =]?([^\s]+)"),
        ("option", ("mongo",),
         r"\bmongo(?:sh|dump|restore|export|import|stat|top)?[ \t][^\n]{0,400}?(?<=[ \t])-p[ \t]{0,2}([^\s]+)"),
        ("option", ("vault",),
         r"\bvault[ \t]{1,4}login[ \t]{1,4}(?:-[^\s]{1,60}[ \t]{1,4}){0,4}([^\s=-][^\s=]{7,})(?!\S)"),
        ("password", ("credential",),
         r"(?i)(?<![A-Za-z])credentials?[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?[\w.@+-]{1,64}:"
         r"(?!\d{1,5}\b)([^\s\"'/:\[][^\s\"'/:]{3,})"),
        ("option", ("zip",), r"\b(?:un)?zip[ \t][^\n]{0,200}?(?<=[ \t])-P[ \t]{0,2}([^\s]+)"),
        ("option", ("7z",), r"\b7z\w{0,2}[ \t][^\n]{0,200}?(?<=[ \t])-p([^\s]{2,})"),
        ("option", ("pass ",), r"-(?:store|key|dest|src|new)(?:store|key)?pass[ \t]{1,4}(?!pass:)([^\s]+)"),
        ("option", ("/p:",), r"\bx?freerdp\w{0,2}[ \t][^\n]{0,400}?(?<=[ \t])/p:([^\s]+)"),
        ("option", ("setcookie",), r"-setcookie[ \t]{1,4}([^\s]+)"),
        # What clients write to servers, as a trace's buffer has it.
        ("password", ("auth ",), r"\bAUTH (?:PLAIN|LOGIN) (?![A-Z0-9-]{3,20}(?:\s|$))([A-Za-z0-9+/=]{4,})"),
        ("password", ("auth",), rf"{_WORD}AUTH{_EOL}\$\d{{1,6}}{_EOL}([^\s\\]+)"),
        ("password", ("auth",),
         rf"{_WORD}AUTH{_EOL}\$\d{{1,6}}{_EOL}[^\s\\]{{1,128}}{_EOL}\$\d{{1,6}}{_EOL}([^\s\\]+)"),
        ("password", ("requirepass", "masterauth"),
         rf"(?i){_WORD}(?:requirepass|masterauth){_EOL}\$\d{{1,6}}{_EOL}([^\s\\]+)"),
        ("password", ("requirepass", "masterauth"),
         r"(?i)\bset[ \t\"']{1,8}(?:requirepass|masterauth)[ \t\"']{1,8}([^\s\\]+)"),
        ("password", ("auth ",),
         r"(?:^|\n|\\n|: ?|> ?)(?:AUTH|HELLO \d AUTH) (?![A-Z0-9-]{3,20}(?:\s|\\|$))(?:[^\s\\]{1,64} )?([^\s\\]{4,})"
         r"[ \t]{0,4}(?=\r|\n|\\r|\\n|$)"),
        ("password", (" login ",), r"(?:^|\n|\\n|: ?)\w{1,8} LOGIN [^\s]{1,128} ([^\s\\]+)"),
        ("password", ("pass ",), r"(?:^|\n|\\n|: ?)PASS ([^\s\\]{2,})[ \t]{0,4}(?=\r|\n|\\r|\\n|$)"),
        ("password", ("kennwort", "contrase", "senha", "mot de passe", "\u043f\u0430\u0440\u043e\u043b\u044c"),
         r"(?i)\b(?:kennwort|contrase\u00f1a|contrasena|senha|mot de passe"
         r"|\u043f\u0430\u0440\u043e\u043b\u044c)[\"']?\s{0,4}[:=]\s{0,4}[\"']?([^\s\"']{4,})"),
    ]
]  # fmt: skip

# host:port:database:user:password, of .pgpass; what consists of hex digits and colons is an address.
PGPASS = re.compile(
    r"(?<!\S)(?:[^\s:]{1,255}:\d{1,7}:)?"
    r"(?:[A-Za-z0-9.*-]{1,255}|/[^\s:]{1,255}):(?:\d{1,5}|\*):([\w.*-]{1,63})"
    r":((?=[\d_.*-]{0,62}[A-Za-z])[\w.*-]{1,63}):([^\s]{4,})"
)

AN_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(?:[/%][\w.-]{1,32})?")

# Where the name of a value that may be secret ends, or goes on.
STEM = re.compile(
    r"(?i)pass(?:w(?:or)?d|phrase|code|wort)?|pwd|secret|token|key|psk"
    r"|authtok|erlang_cookie|salt|(?<=root)pw|(?<=bind)pw|(?:pw|auth|creds?|cookie|(?<=_)pat)(?=[\"'\\ \t]{0,8}[:=])"
)
# What follows the stem of a name: the rest of the name, what stands between, and the value, perhaps within quotes.
# Of a value without, as much as tells whether it is secret.
AFTER_STEM = re.compile(
    r"(?P<rest>[\w.-]{0,32}?)"
    r"(?P<between>(?:\\{0,8}[\"'])?\]?[ \t]{0,16}(?:=>|:=|[:=])[ \t]{0,16}|[ \t]{1,8})"
    r"(?P<value>\\{1,8}\"[^\"\\\n]*|\"(?:[^\"\\\n]|\\.)*|'[^'\n]*|[^\s\"'][^\s]{0,1000})"
)
# Names (lower case, without separators) whose values are secret, whatever they look like.
SECRET_NAME = re.compile(
    r"(?:password|passwd|passphrase|passwort|passcode|secretkey|secretaccesskey|apikey|accesskey|accountkey"
    r"|privatekey|presharedkey|encryptionkey|masterkey|signingkey|storagekey|clientkeydata|wepkey|rootpw|bindpw|userpw"
    r"|adminpw|requirepass|masterauth|apitoken|authtoken|accesstoken|refreshtoken|identitytoken|clientsecret"
    r"|sharedsecret|passwordsalt|secretsalt|(?:db|smtp|ldap|root|mail|ftp|mysql|login|proxy|sasl|imap|store|ssh|vnc)pass|subscriptionkey|functionskey|appkey"
    r"|fastopenkey|erlangcookie|licensekey|licencekey|(?:auth|setup|join|aes|hmac|cipher|stripe|mailgun|sendgrid)key)"
    r"(?:base|value|data|plain|text|in|old|new|hash)?\d{0,2}$"
)
# Last words of names whose values are secret, and of those whose values are where they look so.
SECRET_WORDS = frozenset(("secret", "psk", "pwd", "pass", "pw", "authtok"))
LIKELY_WORDS = frozenset(("token", "auth"))
# Last words of names of the environment (capitals) whose values are secret where they may be, and words before KEY
# that say it is none.
ENVIRONMENT_WORDS = frozenset(("token", "auth", "key", "salt", "pat", "creds", "cred", "cookie"))
PUBLIC_WORDS = frozenset(("public", "pub", "sort", "primary", "foreign", "partition", "group", "cache", "hot", "map"))
# Directives whose value follows after white space.
DIRECTIVES = frozenset(("requirepass", "masterauth", "auth_pass", "rootpw", "bindpw"))

_NOT_SECRET = (
    "yes no true false none null nil on off x required optional sufficient requisite include files file ask prompt auto"
    " default never always md5 sha256 sha512 plain plaintext scram-sha-256 enabled disabled empty unset set changed"
    " expired incorrect failed invalid locked unknown chauthtok"
)
NOT_SECRET = frozenset(_NOT_SECRET.split())
# A variable, a template, stars, what is redacted already.
STANDS_FOR = re.compile(
    r"\$\{?[A-Za-z_]\w*\}?(?:/.*|::.*)?|# .*|\$\(.*|\{\{.*"
    r"|%[a-z({].*|<[\w -]*>|[*x.•]+|[!-]|0{8}(?:-0{8}){3}"
)
# A placeholder, whole: text that only begins like one shields nothing.
REDACTED = re.compile(r"\[redacted:[a-z_]{1,24}:(?:\d{1,6}|other)\]")
A_PATH = re.compile(
    r"(?:~|\.{1,2})?/|/(?:etc|var|run|usr|root|home|opt|tmp|proc|sys|dev|srv|mnt|lib|bin|sbin|boot)(?:/|$)"
)
