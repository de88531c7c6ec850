#!/bin/sh
# make-guest.sh ROOT.tar PACKAGE.deb OUT: the package installed into the root; root.sqfs, kernel and initrd in OUT.
# Takes ten seconds. Root, or a user with sub-ids.
set -eu
root=$1 package=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
tar -x -C "$out" --strip-components=2 -f "$root" ./boot/kernel ./boot/initrd
mmdebstrap --quiet --variant=custom --format=tar --skip=update,setup,cleanup \
	--setup-hook="tar -x -C \"\$1\" -f '$root'" \
	--customize-hook="upload '$package' /tmp/package.deb" \
	--customize-hook='chroot "$1" dpkg -i /tmp/package.deb; rm "$1/tmp/package.deb"' \
	--customize-hook='mkdir -p "$1/usr/lib/guest"' \
	--customize-hook="copy-in '$here/files/guest-agent' '$here/files/guest-setup' /usr/lib/guest" \
	--customize-hook="copy-in '$here/files/guest-agent.service' '$here/files/guest-setup.service' /usr/lib/systemd/system" \
	--customize-hook='chroot "$1" systemctl enable guest-agent guest-setup' \
	--customize-hook='chroot "$1" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer getty@tty1 serial-getty@ttyS0 ldconfig proc-sys-fs-binfmt_misc.automount systemd-binfmt systemd-update-done systemd-pcrphase systemd-journal-catalog-update' \
	--customize-hook='echo 6b1d9a341f2e4e3c9c1b0123456789ac > "$1/etc/machine-id"' \
	--customize-hook='echo guest > "$1/etc/hostname"; echo "127.0.0.1 localhost guest" > "$1/etc/hosts"' \
	trixie - - </dev/null >"$out/root.tar"
sqfstar -comp lz4 -no-progress -quiet "$out/root.sqfs" <"$out/root.tar"
rm "$out/root.tar"
