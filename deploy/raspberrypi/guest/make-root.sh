#!/bin/sh
# make-root.sh OUT.tar: Debian trixie for amd64 with the kernel of trixie-backports, which has gpio-sim.
#
# Takes a minute. Root, or a user with sub-ids (see mmdebstrap(1), --mode=unshare).
# DEBIAN_MIRROR is the archive to take it from.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
mirror=${mirror%/}
# Run once at the end instead of after every package.
late='for tool in update-initramfs depmod; do printf "#!/bin/sh\n" > "$1/usr/local/sbin/$tool"; chmod 755 "$1/usr/local/sbin/$tool"; done'

mmdebstrap --architectures=amd64 --variant=apt --format=tar \
	--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt="$here/dpkg.conf" \
	--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/initramfs-tools/scripts/init-bottom" "$1/usr/share/initramfs-tools/modules.d" "$1/usr/local/sbin"' \
	--essential-hook='printf "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\nRESUME=none\n" > "$1/etc/initramfs-tools/conf.d/guest.conf"' \
	--essential-hook="upload '$here/modules.list' /usr/share/initramfs-tools/modules.d/guest" \
	--essential-hook="upload '$here/overlay-in-memory' /etc/initramfs-tools/scripts/init-bottom/overlay-in-memory" \
	--essential-hook='chmod 755 "$1/etc/initramfs-tools/scripts/init-bottom/overlay-in-memory"' \
	--essential-hook='printf "Package: linux-*\nPin: release n=trixie-backports\nPin-Priority: 600\n" > "$1/etc/apt/preferences.d/kernel"' \
	--essential-hook="$late" \
	--customize-hook='rm "$1/usr/local/sbin/update-initramfs" "$1/usr/local/sbin/depmod"' \
	--customize-hook='set -e; version=$(ls "$1/usr/lib/modules"); chroot "$1" depmod "$version"; chroot "$1" update-initramfs -c -k "$version"' \
	--customize-hook='cp "$1"/boot/vmlinuz-* "$1/boot/kernel"; mv "$1"/boot/initrd.img-* "$1/boot/initrd"; rm "$1"/boot/vmlinuz-*' \
	--include="$(paste -sd, "$here/packages.list")" \
	trixie "$out" \
	"deb $mirror trixie main" \
	"deb $mirror trixie-updates main" \
	"deb $mirror-security trixie-security main" \
	"deb $mirror trixie-backports main"
