#!/bin/sh
# Runs inside a copy of the root file system that all machines share, before it gets its kernel: the programs that hostile
# lines call, and the files that they want to be there.
#   PROGRAM…      packages; see machine.yml
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# No service is started in here.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
cp /etc/resolv.conf /tmp/resolv.conf
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
# One of the programs makes it a link to where there is nothing yet.
rm -f /etc/resolv.conf
cp /tmp/resolv.conf /etc/resolv.conf
rm /tmp/resolv.conf

# What a line is to find at /tmp, to be copied there: each makes /tmp/marker, by the way that the line has in mind.
evil=/opt/throwaway/evil
mkdir -p "$evil"
cd "$evil"
printf '#!/bin/sh\ntouch /tmp/marker\n' | tee evil.sh >./ls
cp evil.sh evil
chmod 755 evil.sh ls evil
cat >evil.c <<'C'
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { close(open("/tmp/marker", O_CREAT | O_WRONLY, 0644)); }
unsigned la_version(unsigned version) { return version; }
int plugin_is_GPL_compatible, dl_load;
C
gcc -shared -fPIC -o evil.so evil.c
rm evil.c
echo 'BEGIN { system("touch /tmp/marker") }' >evil.awk
echo '1e touch /tmp/marker' >evil.sed
echo 'exec touch /tmp/marker' >evil.tcl
echo 'syscmd(touch /tmp/marker)' >evil.m4
echo 'os.execute("touch /tmp/marker")' >evil.nse
echo 'link add marker type dummy' >evil.ip
echo 'add table inet marker' >evil.nft
echo 'openssh-server deinstall' | tee evil.txt >/dev/null
printf 'kernel.panic = 1\n' >evil.conf.sysctl
printf 'install dummy /bin/touch /tmp/marker\n' >evil.conf.modprobe
printf '/tmp\n' >evil.conf.ldconfig
printf '/tmp/keep {\n  rotate 1\n  prerotate\n    touch /tmp/marker\n  endscript\n}\n' >evil.conf.logrotate
printf '[Service]\nExecStart=/bin/touch /tmp/marker\n[Install]\nWantedBy=multi-user.target\n' >evil.service
touch marker
tar -c -P -f evil.tar --transform 's,^,/tmp/,' marker
rm marker
mkdir -p package/DEBIAN
printf 'Package: evil\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: evil\n' >package/DEBIAN/control
printf '#!/bin/sh\ntouch /tmp/marker\n' >package/DEBIAN/postinst
chmod 755 package/DEBIAN/postinst
dpkg-deb --root-owner-group -b package evil.deb >/dev/null
rm -r package

rm -f /usr/sbin/policy-rc.d
apt-get clean
