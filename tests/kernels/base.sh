#!/bin/sh
# Runs inside a new root file system and makes of it what all machines share: packages and settings, no kernel.
#   MIRROR RELEASE PACKAGE…
set -eu
mirror="$1" release="$2"
shift 2
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# No service is started in here.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
# An initial file system with the few modules that this machine needs unpacks quickly where the processor is emulated.
mkdir -p /etc/initramfs-tools/conf.d
echo 'MODULES=list' >/etc/initramfs-tools/conf.d/small
printf '%s\n' virtio_pci virtio_blk ext4 >/etc/initramfs-tools/modules
# Nothing has to be on the disk at once: what is not complete in the end is built anew.
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/quick

# A mirror may be a snapshot of some day, and that day long gone.
echo 'Acquire::Check-Valid-Until "false";' >/etc/apt/apt.conf.d/snapshot
{
    echo "deb $mirror $release main"
    echo "deb $mirror $release-updates main"
    echo "deb $mirror-security $release-security main"
} >/etc/apt/sources.list
apt-get update -qq
apt-get install -y -qq --no-install-recommends initramfs-tools zstd "$@" </dev/null >/dev/null

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
rm -f /usr/sbin/policy-rc.d
apt-get clean
