#!/bin/sh
# Runs inside a new root file system and makes a machine of it: packages, kernels, settings.
#   MIRROR RELEASE PACKAGES                        words separated by spaces
#   then on standard input a line for each kernel  NAME HEADERS IMAGE SUITE…
# Leaves /boot/by-name/NAME/{release,vmlinuz,initrd} for each kernel.
set -eu
mirror="$1" release="$2" packages="$3"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

source_of() { # SUITE
    case "$1" in
    *-security) echo "deb $mirror-security $1 main" ;;
    *) echo "deb $mirror $1 main" ;;
    esac
}

install_packages() { apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null; }

# No service is started in here.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
# An initial file system with the few modules that this machine needs unpacks quickly where the processor is emulated.
mkdir -p /etc/initramfs-tools/conf.d
echo 'MODULES=list' >/etc/initramfs-tools/conf.d/small
printf '%s\n' virtio_pci virtio_blk ext4 >/etc/initramfs-tools/modules

for suite in "$release" "$release-updates" "$release-security"; do source_of "$suite"; done >/etc/apt/sources.list
apt-get update -qq
# shellcheck disable=SC2086 # a list of words is meant
install_packages initramfs-tools zstd $packages

while read -r name headers image suites; do
    if [ -n "$suites" ]; then
        for suite in $suites; do source_of "$suite"; done >/etc/apt/sources.list.d/kernel.list
        apt-get update -qq
    fi
    package="$(apt-cache search --names-only "^$image\$" | cut -d' ' -f1 | sort -V | tail -n 1)"
    [ -n "$package" ] || { echo "No package is called $image in $release or $suites" >&2; exit 1; }
    kernel="${package#linux-image-}"
    install_packages "$package"
    [ "$headers" = missing ] || install_packages "linux-headers-$kernel"
    [ -e "/boot/initrd.img-$kernel" ] || update-initramfs -c -k "$kernel"
    mkdir -p "/boot/by-name/$name"
    echo "$kernel" >"/boot/by-name/$name/release"
    mv "/boot/vmlinuz-$kernel" "/boot/by-name/$name/vmlinuz"
    mv "/boot/initrd.img-$kernel" "/boot/by-name/$name/initrd"
done
rm -f /etc/apt/sources.list.d/kernel.list
apt-get update -qq

echo '/dev/vda / ext4 defaults 0 1' >/etc/fstab
echo machine >/etc/hostname
printf '127.0.0.1 localhost machine\n' >/etc/hosts
printf '[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nLinkLocalAddressing=no\n' >/etc/systemd/network/wired.network
systemctl enable -q systemd-networkd
# Nothing runs by itself that a test would see, and nobody waits for a network that leads nowhere.
systemctl mask -q apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    e2scrub_reap.service systemd-networkd-wait-online.service
echo 'UseDNS no' >/etc/ssh/sshd_config.d/quick.conf
ssh-keygen -A >/dev/null
# A refusal at once, instead of a timeout, where something asks for a name.
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
rm -f /usr/sbin/policy-rc.d
apt-get clean
