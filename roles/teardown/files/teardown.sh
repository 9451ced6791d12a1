#!/bin/sh
# Takes away what this collection put on a host, and nothing else.
#   look|remove keep|drop    `look` only says what would be removed; `drop` removes records and the log of actions as well
# Prints a line for each thing that it removes, and `left: …` for what it leaves and why.
set -u
mode="$1" records="$2" marker=.made-by-nannyapi
comment='NannyAPI diagnostics (traces the kernel)' # as the role privileges gives it to the account
lock=/run/nannyapi-diagnostics.lock

gone() {
    echo "$1"
    shift
    [ "$mode" = look ] || "$@"
}

file() { if [ -f "$1" ] || [ -L "$1" ]; then gone "$1" rm -f "$1"; fi; }
tree() { if [ -d "$1" ] && [ ! -L "$1" ]; then gone "$1" rm -rf "$1"; fi; }
empty() { if [ "$mode" != look ] && [ -d "$1" ] && [ ! -L "$1" ]; then rmdir "$1" 2>/dev/null; fi; }

if [ -e "$lock" ] && ! flock --nonblock "$lock" true; then
    echo 'A diagnosis is under way on this host. Wait for its end, or stop it, and run the teardown again.' >&2
    exit 1
fi
# A diagnosis led from a controller leaves a lease between its rounds, in seconds since the start of the host.
until="$(sed -n 's/.*"lease_until": \([0-9]\{1,9\}\).*/\1/p' "$lock" 2>/dev/null)"
now="$(cut -d . -f 1 /proc/uptime)"
left=$((${until:-0} - now))
if [ "$left" -gt 0 ] && [ "$left" -le 3600 ]; then
    echo "A diagnosis led from a controller is between two rounds on this host. Run the teardown again after its end;" \
        "if nothing more comes of it, the host is free in $left s." >&2
    exit 1
fi

root=/opt/nannyapi/diagnostics
for link in venv headers; do
    if [ -L "$root/$link" ]; then
        file "$root/$link"
    elif [ -e "$root/$link" ]; then
        echo "left: $root/$link, which the roles did not make"
    fi
    for version in "$root/$link"-*; do
        [ -d "$version" ] || continue
        if [ -f "$version/$marker" ] && [ ! -L "$version" ]; then
            tree "$version"
        else
            echo "left: $version, which the roles did not make"
        fi
    done
done
file "$root/setup.state"
empty "$root"
empty /opt/nannyapi

for name in diagnostics.json api_key command_policy.json privileges.json; do
    file "/etc/nannyapi/$name"
done
empty /etc/nannyapi
tree /var/cache/nannyapi/diagnostics
empty /var/cache/nannyapi
file "$lock"
# What diagnoses that nobody ended had to know in their next round.
tree /run/nannyapi-diagnostics
for rest in /var/lib/nannyapi/diagnostics/*.between_rounds; do
    file "$rest"
done

if [ "$records" = drop ]; then
    tree /var/lib/nannyapi/diagnostics
    for log in /var/log/nannyapi/diagnostics.jsonl*; do
        file "$log"
    done
elif [ -d /var/lib/nannyapi/diagnostics ] || [ -d /var/log/nannyapi ]; then
    echo 'left: /var/lib/nannyapi and /var/log/nannyapi, records of what was done here (nannyapi_teardown_records: true removes them)'
fi
empty /var/lib/nannyapi
empty /var/log/nannyapi

account="$(getent passwd nannyapi)"
if [ "$(echo "$account" | cut -d : -f 5)" = "$comment" ]; then
    if [ "$mode" != look ]; then
        said="$(userdel nannyapi 2>&1)" || { echo "The account nannyapi could not be removed: $said" >&2; exit 1; }
        # Along with it goes the group of that name, where the host is set so.
        ! getent group nannyapi >/dev/null || groupdel nannyapi
    fi
    echo 'the account nannyapi'
elif [ -n "$account" ]; then
    echo 'left: the account nannyapi, which the role privileges did not make'
fi
exit 0
