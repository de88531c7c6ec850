#!/bin/sh
# install.sh COMMAND[:PACKAGE]...: what the tests drive and this machine has not, from Debian's archive.
#
# For who is not root, or has no apt, it says what is missing and ends with 1. "raspi4b" stands for a QEMU that
# emulates a Raspberry Pi 4, "arm64" for running arm64 programs.
set -eu
PATH=$PATH:/usr/sbin:/sbin

is_there() {
	case $1 in
	raspi4b) command -v qemu-system-aarch64 >/dev/null && qemu-system-aarch64 -M help | grep -q '^raspi4b ' ;;
	arm64) command -v arch-test >/dev/null && arch-test arm64 >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing() {
	for tool; do
		is_there "${tool%%:*}" || case $tool in
		raspi4b) echo qemu-system-arm ;;
		arm64) echo arch-test qemu-user-static ;;
		*) echo "${tool##*:}" ;;
		esac
	done
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o "Dir::Etc::sourceparts=$sources" "$@"; }

# Debian 12's own QEMU is too old for the Pi 4. Its backports are added for this installation only.
add_backports() {
	. /etc/os-release
	[ "${VERSION_CODENAME:-}" = bookworm ] || return 0
	echo "deb ${DEBIAN_MIRROR:-http://deb.debian.org/debian} bookworm-backports main" >"$sources/backports.list"
	release="-t bookworm-backports"
}

# Without systemd nobody has told the kernel who runs arm64 programs.
register_arm64() {
	[ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
	[ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] ||
		head -n 1 /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
}

packages=$(missing "$@" | sort -u | paste -sd ' ')
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "not installed: $packages" >&2
	exit 1
fi
echo "== installing $packages (a minute or two)"
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT
release=
cp -R /etc/apt/sources.list.d/. "$sources/"
case " $* " in *" raspi4b "*) add_backports ;; esac
apt update
# shellcheck disable=SC2086  # words
apt install --no-install-recommends $release $packages
case " $* " in *" arm64 "*) is_there arm64 || register_arm64 ;; esac
left=$(missing "$@" | sort -u | paste -sd ' ')
[ -z "$left" ] || { echo "installed, and still not there: $left" >&2; exit 1; }
