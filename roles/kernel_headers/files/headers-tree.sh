#!/bin/sh
# Makes one tree of a headers package and of the packages it is split into, as BCC wants it: include/ and arch/.
#   name PACKAGE              prints how the tree is called: by the packages' versions, so that an update renames it
#   fill PACKAGE DIRECTORY    copies the headers to DIRECTORY
# Files are copied: the tree outlives an update that removes the packages.
set -eu

headers_among_depends() { # PACKAGE: the linux-headers-* packages that it depends on
    dpkg-query -W -f '${Depends}' "$1" | sed 's/[,|]/\n/g' | sed -n 's/^ *\(linux-headers-[^ (]*\).*/\1/p'
}

package_directory() { echo "/usr/src/$1"; }

concrete_package() { # a metapackage leads to the package of one kernel
    if [ -d "$(package_directory "$1")/include" ]; then
        echo "$1"
    else
        headers_among_depends "$1" | head -n 1
    fi
}

mode="$1"
concrete="$(concrete_package "$2")"
if [ -z "$concrete" ] || [ ! -d "$(package_directory "$concrete")/include" ]; then
    echo "The package $2 brought no headers to /usr/src; is it installed?" >&2
    exit 1
fi
name="headers-${concrete#linux-headers-}_$(dpkg-query -W -f '${Version}' "$concrete" | tr -c 'A-Za-z0-9.+~-' '_')"

if [ "$mode" = name ]; then
    echo "$name"
    exit 0
fi

tree="$3"
mkdir -p "$tree/arch"
# What is common first, then what is special to the kernel over it.
for package in $(headers_among_depends "$concrete") "$concrete"; do
    from="$(package_directory "$package")"
    [ -d "$from/include" ] || continue
    cp -RL "$from/include" "$tree/"
    for arch in "$(package_directory "$concrete")"/arch/*/; do
        arch="$(basename "$arch")"
        [ -d "$from/arch/$arch/include" ] || continue
        mkdir -p "$tree/arch/$arch"
        cp -RL "$from/arch/$arch/include" "$tree/arch/$arch/"
    done
done
