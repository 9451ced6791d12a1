#!/bin/sh
# Versions of a directory side by side in /opt/nannyapi/diagnostics, and a symbolic link to the one in use.
#   look LINK NAME     prints `in use` or `to be made`, or in a sentence what is in the way
#   begin LINK NAME    makes the directory NAME empty, also where an interrupted run left one
#   use LINK NAME      points LINK at NAME in one step, then removes the versions before it, which are called LINK-*
# What is removed is a directory that carries our marker, and nothing else.
set -eu
mode="$1" root=/opt/nannyapi/diagnostics
link="$root/$2" directory="$root/$3" marker=.made-by-nannyapi

ours() { [ -d "$1" ] && [ ! -L "$1" ] && [ -f "$1/$marker" ]; }

in_the_way() {
    if [ -e "$link" ] && [ ! -L "$link" ]; then
        echo "$link"
    elif [ -e "$directory" ] || [ -L "$directory" ]; then
        ours "$directory" || echo "$directory"
    fi
}

refusal() { echo "$1 is in the way: this role did not make it, and removes nothing that is not its own. Move it away and run the role again."; }

stranger="$(in_the_way)"
case "$mode" in
look)
    if [ "$(readlink "$link")" = "$3" ] && [ -d "$directory" ]; then
        echo 'in use'
    elif [ -n "$stranger" ]; then
        refusal "$stranger"
    else
        echo 'to be made'
    fi
    ;;
begin)
    [ -z "$stranger" ] || { refusal "$stranger" >&2; exit 1; }
    umask 022
    rm -rf "$directory"
    mkdir -p "$directory"
    echo "Made by the Ansible collection nannyapi.diagnostics, which removes it when another takes its place." >"$directory/$marker"
    ;;
use)
    # mv puts a link in the place of a link, and refuses where a directory is.
    ln -s "$3" "$link.new.$$"
    mv -T "$link.new.$$" "$link"
    for old in "$link"-*; do
        [ "$old" = "$directory" ] || ! ours "$old" || rm -rf "$old"
    done
    ;;
esac
