#!/bin/sh
# make-system.sh ARCHITECTURE ROOT.tar PACKAGE.deb APPLIANCE OUT [MODULE]: the package installed into the root.
#
# MODULE is a kernel module of our own for the root's kernel, which is loaded at boot.
# APPLIANCE is the folder that becomes /etc/rtu-bridge-appliance. OUT gets root.sqfs, kernel, initrd, what
# dpkg knows of its packages (status), and for arm64 in firmware/ what the boot partitions need beside them.
# Root, or a user with sub-ids. With SOURCE_DATE_EPOCH the same input gives the same bits.
set -eu
architecture=$1 root=$2 package=$3 appliance=$4 out=$5 module=${6:-}
here=$(cd "$(dirname "$0")" && pwd)
units=$(cd "$here/../systemd" && ls)
mkdir -p "$out"
tar -x -C "$out" --strip-components=2 -f "$root" ./boot/kernel ./boot/initrd
tar -x -C "$out" --strip-components=4 -f "$root" ./var/lib/dpkg/status
if [ "$architecture" = arm64 ]; then
	mkdir -p "$out/firmware"
	tar -x -C "$out/firmware" --strip-components=4 -f "$root" ./usr/lib/raspi-firmware
	tar -x -C "$out/firmware" --strip-components=7 -f "$root" --wildcards './usr/lib/modules/*/dtb/broadcom/*.dtb'
fi
# Everybody may read it, whoever builds.
(
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	cp -R "$here/files/." "$tree/"
	mkdir -p "$tree/etc/rtu-bridge-appliance"
	cp "$appliance"/* "$tree/etc/rtu-bridge-appliance/"
	if [ -n "$module" ]; then
		kernel=$(tar -t -f "$root" --wildcards './usr/lib/modules/*/modules.dep' | cut -d/ -f5)
		mkdir -p "$tree/usr/lib/modules/$kernel/updates" "$tree/usr/lib/modules-load.d"
		cp "$module" "$tree/usr/lib/modules/$kernel/updates/"
		basename "$module" .ko >"$tree/usr/lib/modules-load.d/rtu-bridge.conf"
	fi
	tar -c -C "$tree" --sort=name --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner \
		--mtime="@${SOURCE_DATE_EPOCH:-1}" -f "$out/files.tar" $(ls "$tree")
)
index=true
if [ -n "$module" ]; then index='depmod -b "$1" "$(ls "$1/usr/lib/modules")"'; fi
enabled=
for unit in $units; do
	# Those that nothing else starts.
	if grep -q '^\[Install\]' "$here/../systemd/$unit"; then enabled="$enabled $unit"; fi
done
mmdebstrap --verbose --architectures="$architecture" --variant=custom --format=tar --skip=update,setup,cleanup \
	--setup-hook="tar -x -C \"\$1\" -f '$root'" \
	--customize-hook="upload '$package' /tmp/package.deb" \
	--customize-hook='chroot "$1" dpkg -i /tmp/package.deb; rm "$1/tmp/package.deb"' \
	--customize-hook="python3 -I '$here/trust_bytecode.py' \"\$1/usr\"" \
	--customize-hook="tar-in '$out/files.tar' /" \
	--customize-hook="$index" \
	--customize-hook="chroot \"\$1\" systemctl --quiet enable systemd-networkd systemd-resolved systemd-timesyncd $enabled" \
	--customize-hook='chroot "$1" systemctl --quiet disable wpa_supplicant nftables systemd-networkd-wait-online 2>/dev/null || true' \
	--customize-hook='chroot "$1" systemctl --quiet mask ssh.service ssh.socket sshd-keygen.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service getty@tty1.service serial-getty@ttyS0.service ldconfig.service systemd-update-done.service systemd-journal-catalog-update.service systemd-pcrphase.service' \
	--customize-hook='ln -sf /run/rtu-bridge-appliance/bridge.toml "$1/etc/rtu-bridge/bridge.toml"; ln -sf ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"' \
	--customize-hook='chroot "$1" systemctl --quiet set-default multi-user.target; mkdir -p "$1/etc/systemd/system-generators"; ln -s /dev/null "$1/etc/systemd/system-generators/systemd-ssh-generator"' \
	--customize-hook='mkdir -p "$1/boot/config" "$1/data"; : > "$1/etc/machine-id"' \
	--customize-hook='rm -rf "$1"/boot/kernel "$1"/boot/initrd "$1"/boot/System.map-* "$1"/boot/firmware "$1"/usr/lib/raspi-firmware "$1"/usr/lib/linux-image-* "$1"/usr/lib/modules/*/dtb' \
	--customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/cache/ldconfig/* "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1"/var/lib/systemd/random-seed "$1"/var/lib/dbus/machine-id "$1"/etc/*- "$1"/run/*; find "$1/var/log" -type f -delete' \
	trixie - - </dev/null >"$out/root.tar"
sqfstar -comp zstd -no-progress -quiet "$out/root.sqfs" <"$out/root.tar"
rm "$out/root.tar" "$out/files.tar"
