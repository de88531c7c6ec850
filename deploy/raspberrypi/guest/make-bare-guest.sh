#!/bin/sh
# make-bare-guest.sh ROOT.tar PACKAGE.deb OUT: a machine that is all in its initrd, with the package unpacked into it:
# kernel and initrd in OUT. No systemd: tests start the program themselves.
set -eu
root=$1 package=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
tar -x -C "$tree" -f "$root" --no-same-owner --exclude=./dev --exclude=./var --exclude=./usr/share \
	--exclude=./boot/System.map-* --exclude=./usr/lib/linux-image-* --exclude=./usr/lib/systemd \
	--exclude=./usr/lib/apt --exclude='./usr/lib/*/perl*'
mv "$tree"/boot/vmlinuz-* "$out/kernel"
dpkg-deb -x "$package" "$tree"
rm -rf "$tree/boot" "$tree/usr/share/doc"
# busybox loads what is not compressed.
for module in failover net_failover virtio_net; do
	find "$tree/usr/lib/modules" -name "$module.ko.xz" -exec unxz -c {} \; >"$tree/$module.ko"
done
rm -rf "$tree/usr/lib/modules"
for name in bin sbin lib; do [ -e "$tree/$name" ] || ln -s "usr/$name" "$tree/$name"; done
for name in dev proc sys run tmp etc usr/sbin; do mkdir -p "$tree/$name"; done
ln -sf busybox "$tree/usr/bin/sh"
ln -sf python3.13 "$tree/usr/bin/python3"
cp "$here/files/guest-agent" "$here/files/bare-init" "$tree/"
mv "$tree/bare-init" "$tree/init"
chmod 755 "$tree/init" "$tree/guest-agent"
(cd "$tree" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$out/initrd"
