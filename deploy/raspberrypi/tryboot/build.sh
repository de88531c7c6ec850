#!/bin/sh
# build.sh KERNEL OUT: compile rtu_bridge_tryboot.ko for a kernel of Debian's arm64, into the folder OUT.
#
# KERNEL is the name of its folder below /usr/lib/modules, such as "7.3.4+deb13-arm64". It is compiled against
# that kernel's own headers, by the compiler that Debian has for them, in a Debian that is thrown away
# afterwards: what this machine runs does not matter. A minute; needs mmdebstrap and the network; root, or a
# user with sub-ids. DEBIAN_MIRROR is the archive to take it from.
set -eu
if [ $# -ne 2 ]; then
	echo "usage: $0 KERNEL OUT" >&2
	exit 2
fi
kernel=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
mirror=${mirror%/}
mkdir -p "$out"
# Debian keeps the headers of a kernel only as long as the kernel: build the image and this at one time.
mmdebstrap --quiet --architectures=amd64,arm64 --variant=apt --format=null \
	--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--include="make,linux-headers-$kernel:arm64" \
	--customize-hook="copy-in '$here/rtu_bridge_tryboot.c' '$here/Makefile' /tmp" \
	--customize-hook="chroot \"\$1\" make -s -C '/usr/lib/modules/$kernel/build' M=/tmp ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC=aarch64-linux-gnu-gcc-14 modules" \
	--customize-hook='chroot "$1" aarch64-linux-gnu-strip --strip-debug /tmp/rtu_bridge_tryboot.ko' \
	--customize-hook="copy-out /tmp/rtu_bridge_tryboot.ko '$out'" \
	trixie - \
	"deb $mirror trixie main" \
	"deb $mirror trixie-backports main"
