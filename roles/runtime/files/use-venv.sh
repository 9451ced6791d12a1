#!/bin/sh
# Points the symbolic link LINK at the environment NAME beside it, in one step, and removes the others.
set -eu
link="$1" name="$2"
parent="$(dirname "$link")"
[ -L "$link" ] || rm -rf "$link"
ln -s "$name" "$link.new.$$"
mv -T "$link.new.$$" "$link"
for old in "$parent"/venv-*; do
    [ "$old" = "$parent/$name" ] || rm -rf "$old"
done
