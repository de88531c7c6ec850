#!/bin/sh
# make-root.sh ARCHITECTURE OUT.tar: Debian trixie with the kernel of trixie-backports, for the image (arm64) or
# its twin (amd64), without the bridge.
#
# amd64 takes a minute and a half. arm64 on another machine needs qemu-user-static and takes a quarter of an
# hour. Root, or a user with sub-ids (see mmdebstrap(1), --mode=unshare).
# DEBIAN_MIRROR is the archive to take it from.
set -eu
architecture=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
mirror=${mirror%/}
# No file is younger than this. The root is kept over many commits, so it is none of theirs.
export SOURCE_DATE_EPOCH=1763164800
# Run once at the end instead of after every package.
late='for tool in update-initramfs depmod; do printf "#!/bin/sh\n" > "$1/usr/local/sbin/$tool"; chmod 755 "$1/usr/local/sbin/$tool"; done'
packages=$(cat "$here/packages.list" "$here/packages.$architecture.list" | paste -sd, -)
modules=$(mktemp)
trap 'rm -f "$modules"' EXIT
cat "$here/modules.list" "$here/modules.$architecture.list" >"$modules"
chmod 644 "$modules"

mmdebstrap --verbose --architectures="$architecture" --variant=apt --format=tar \
	--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt="$here/dpkg.conf" \
	--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/initramfs-tools/scripts/init-bottom" "$1/usr/share/initramfs-tools/modules.d" "$1/usr/local/sbin" "$1/boot/firmware"' \
	--essential-hook='printf "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\nRESUME=none\n" > "$1/etc/initramfs-tools/conf.d/bridge.conf"' \
	--essential-hook="upload '$modules' /usr/share/initramfs-tools/modules.d/bridge" \
	--essential-hook="upload '$here/overlay-in-memory' /etc/initramfs-tools/scripts/init-bottom/overlay-in-memory" \
	--essential-hook='chmod 755 "$1/etc/initramfs-tools/scripts/init-bottom/overlay-in-memory"' \
	--essential-hook='printf "Package: linux-*\nPin: release n=trixie-backports\nPin-Priority: 600\n" > "$1/etc/apt/preferences.d/kernel"' \
	--essential-hook="$late" \
	--customize-hook='rm "$1/usr/local/sbin/update-initramfs" "$1/usr/local/sbin/depmod"' \
	--customize-hook='set -e; version=$(ls "$1/usr/lib/modules"); depmod -b "$1" "$version"; rm -f "$1"/etc/initramfs/post-update.d/z50-raspi-firmware; chroot "$1" update-initramfs -c -k "$version"' \
	--customize-hook='mv "$1"/boot/vmlinuz-* "$1/boot/kernel"; mv "$1"/boot/initrd.img-* "$1/boot/initrd"; rm -rf "$1"/boot/firmware/* "$1"/etc/ssh/ssh_host_*' \
	--include="$packages" \
	trixie "$out" \
	"deb $mirror trixie main non-free-firmware" \
	"deb $mirror trixie-updates main non-free-firmware" \
	"deb $mirror-security trixie-security main non-free-firmware" \
	"deb $mirror trixie-backports main non-free-firmware"
