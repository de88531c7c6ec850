#!/bin/sh
# make-bare.sh OUT: an arm64 machine with a PL011 UART, and nothing but Debian's kernel and Python: kernel, initrd.
#
# Packages are unpacked, not installed, so nothing of arm64 runs here and it takes half a minute. All is in memory.
# DEBIAN_MIRROR is the archive to take it from. Root, or a user with sub-ids.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
mkdir -p "$out"
mmdebstrap --quiet --architectures=arm64 --variant=extract --format=tar \
	--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt="$here/dpkg.conf" \
	--include=busybox-static,kmod,linux-image-arm64,libpython3.13-stdlib,python3.13-minimal \
	trixie - "deb ${mirror%/} trixie main" >"$out/root.tar"
