#!/bin/sh
# Runs inside a copy of the root file system that all machines share, and adds a kernel to it.
#   MIRROR IMAGE HEADERS HOW SUITE…     see cases/machines.yml
# Leaves /boot/{release,vmlinuz,initrd}.
set -eu
mirror="$1" image="$2" headers="$3" how="$4"
shift 4
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

install_packages() { apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null; }

# The image's package, and those of the same kernel that it is divided into.
unpack() { # PACKAGE KERNEL
    place="$(mktemp -d)"
    (
        cd "$place"
        # shellcheck disable=SC2046 # a list of words is meant
        apt-get download -qq -o APT::Sandbox::User=root "$1" $(apt-cache depends "$1" | awk '{ print $NF }' | grep -F -- "-$2" | sort -u)
        for part in *.deb; do dpkg-deb --fsys-tarfile "$part" | tar -x -C / --keep-directory-symlink; done
    )
    rm -r "$place"
    depmod "$2"
    # Newer packages leave it to their own scripts to put these where they are looked for.
    for name in vmlinuz config; do
        [ -e "/boot/$name-$2" ] || cp "/lib/modules/$2/$name" "/boot/$name-$2"
    done
}

for suite in "$@"; do
    case "$suite" in
    *-security) echo "deb $mirror-security $suite main" ;;
    *) echo "deb $mirror $suite main" ;;
    esac
done >/etc/apt/sources.list.d/kernel.list
[ $# -eq 0 ] || apt-get update -qq
package="$(apt-cache search --names-only "^$image\$" | cut -d' ' -f1 | sort -V | tail -n 1)"
[ -n "$package" ] || { echo "No package is called $image in $(cat /etc/apt/sources.list /etc/apt/sources.list.d/kernel.list)" >&2; exit 1; }
kernel="${package#linux-image-}"
if [ "$how" = unpacked ]; then unpack "$package" "$kernel"; else install_packages "$package"; fi
[ "$headers" = missing ] || install_packages "linux-headers-$kernel"
[ -e "/boot/initrd.img-$kernel" ] || update-initramfs -c -k "$kernel"
echo "$kernel" >/boot/release
mv "/boot/vmlinuz-$kernel" /boot/vmlinuz
mv "/boot/initrd.img-$kernel" /boot/initrd

rm /etc/apt/sources.list.d/kernel.list
[ $# -eq 0 ] || apt-get update -qq
# A refusal at once, instead of a timeout, where something asks for a name.
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
apt-get clean
