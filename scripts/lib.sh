# shellcheck shell=sh
# What the scripts beside this file share. Sourced, never run.

NANNYAPI_CACHE="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/nannyapi-diagnostics"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# A name on PATH proves little: version managers put shims there that fail when run, so candidates are run.
find_python() { # MINIMUM, such as "3, 10"; prints the first interpreter that works
    for candidate in /usr/bin/python3 python3 python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info < ($1))" >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    say "No Python $(echo "$1" | sed 's/, /./') or newer was found (tried /usr/bin/python3, and python3 to python3.13 on PATH)." \
        "Install one, for example: apt-get install python3 python3-venv"
    return 1
}

# Runs a command as root: directly, or by sudo where that needs no question or there is a terminal to ask on.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null 2>&1; then
        say "This needs root and there is no sudo: $*"
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# apt-get for the packages that dpkg does not know as installed; nothing at all when there are none.
need_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "These packages are needed and there is no apt-get to install them:$missing"
    say "Installing by apt-get:$missing"
    # shellcheck disable=SC2086 # a list of words is meant
    {
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
            { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; }
    } || die "apt-get could not install:$missing. Install them by hand and try again."
}

# Debian and Ubuntu ship venv without ensurepip until python3-venv is installed.
need_venv_module() { # PYTHON
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 && return 0
    case "$1" in
    /usr/bin/*) need_packages python3-venv ;;
    *) die "$1 cannot make virtual environments (its ensurepip module is missing). Install its venv package." ;;
    esac
}

# Makes the environment in DIRECTORY hold what the requirements files say, unless it was made so before.
make_venv() { # DIRECTORY PYTHON FLAG|"" REQUIREMENTS [NO_DEPS_REQUIREMENTS]
    venv_dir="$1" venv_python="$2" venv_flag="$3" venv_needs="$4" venv_bare="${5:-}"
    venv_key="$({ "$venv_python" -VV; echo "$venv_flag"; cat "$venv_needs"; [ -z "$venv_bare" ] || cat "$venv_bare"; } | sha256sum | cut -c1-16)"
    [ "$(cat "$venv_dir/.made-from" 2>/dev/null)" = "$venv_key" ] && "$venv_dir/bin/python" -c '' 2>/dev/null && return 0
    need_venv_module "$venv_python"
    say "Making the Python environment $venv_dir"
    rm -rf "$venv_dir"
    mkdir -p "$(dirname "$venv_dir")"
    # shellcheck disable=SC2086 # an empty flag is no argument
    "$venv_python" -m venv $venv_flag "$venv_dir" || die "Making $venv_dir failed; is $(dirname "$venv_dir") writable?"
    "$venv_dir/bin/python" -m pip install -qq --no-input --disable-pip-version-check -r "$venv_needs" ||
        die "pip could not install $venv_needs. Is a package index reachable?"
    [ -z "$venv_bare" ] || "$venv_dir/bin/python" -m pip install -qq --no-input --disable-pip-version-check --no-deps -r "$venv_bare" ||
        die "pip could not install $venv_bare. Is a package index reachable?"
    echo "$venv_key" >"$venv_dir/.made-from"
}

# A test environment in the cache outside the checkout, named by what it was made from; prints its path.
cached_venv() { # NAME PYTHON FLAG|""
    cached_key="$({ "$2" -VV; echo "$2$3"; cat "requirements/$1"*.txt; } | sha256sum | cut -c1-12)"
    cached_dir="$NANNYAPI_CACHE/venvs/$1-$cached_key"
    mkdir -p "$NANNYAPI_CACHE/venvs"
    cached_bare=
    [ ! -f "requirements/$1-no-deps.txt" ] || cached_bare="requirements/$1-no-deps.txt"
    (
        flock 9 || exit 1
        make_venv "$cached_dir" "$2" "$3" "requirements/$1.txt" "$cached_bare"
    ) 9>"$NANNYAPI_CACHE/venvs/$1.lock" || exit 1
    echo "$cached_dir"
}

# The checkout under the name by which Python and mypy import a collection. Regular packages on the way down, so that
# an ansible_collections package of the system cannot come before it.
link_source() {
    mkdir -p .cache/src/ansible_collections/nannyapi
    : >.cache/src/ansible_collections/__init__.py
    : >.cache/src/ansible_collections/nannyapi/__init__.py
    ln -sfn ../../../.. .cache/src/ansible_collections/nannyapi/diagnostics
}

# What tests that trace this machine need, by the playbook that an operator uses; a test environment is on PATH.
set_this_machine_up() {
    say "Setting this machine up by the playbook nannyapi.diagnostics.setup"
    ANSIBLE_COLLECTIONS_PATH="$PWD/.cache/src" ANSIBLE_DISPLAY_SKIPPED_HOSTS=false \
        ansible-playbook -i scripts/this-machine.ini playbooks/setup.yml -e nannyapi_compiler=always
}

# Whether arguments for pytest name tests; what is to be left out is not what is named.
names_tests() {
    before=
    for argument; do
        case "$before" in
            --ignore | --ignore-glob | --deselect) ;;
            *) case "$argument" in tests/*) return 0 ;; esac ;;
        esac
        before="$argument"
    done
    return 1
}

# What belongs to the project, separated by NUL: what git knows or would add, as far as it is still there. Without git,
# or where git distrusts a checkout that another user owns, everything that is not made by us.
list_sources() {
    if git ls-files --error-unmatch galaxy.yml >/dev/null 2>&1; then
        # shellcheck disable=SC2016 # the inner shell expands it
        git ls-files -z -co --exclude-standard | xargs -0 sh -c 'for path; do [ ! -e "$path" ] || printf "%s\0" "$path"; done' sh
    else
        find . \( -name .git -o -name .cache -o -name .venv -o -name build -o -name reports -o -name __pycache__ \) -prune -o \
            -type f -printf '%P\0'
    fi
}
