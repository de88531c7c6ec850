#!/bin/sh
# make-bare.sh OUT.tar: Debian trixie's arm64 kernel and Python, unpacked and not installed: nothing of arm64 runs
# on this machine, so it takes a quarter of a minute and no emulation. Root, or a user with sub-ids.
# DEBIAN_MIRROR is the archive to take it from.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
mmdebstrap --quiet --architectures=arm64 --variant=extract --format=tar \
	--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt="$here/dpkg.conf" \
	--include=busybox-static,kmod,linux-image-arm64,libpython3.13-stdlib,python3.13-minimal \
	trixie "$out" "deb ${mirror%/} trixie main"
