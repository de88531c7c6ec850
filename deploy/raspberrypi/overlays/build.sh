#!/bin/sh
# build.sh FOLDER: compile the overlays here to FOLDER/NAME.dtbo, where NAME is what `dtoverlay=` calls it.
#
# Needs dtc (package device-tree-compiler). A warning is a failure.
set -eu
if [ $# -ne 1 ]; then
	echo "usage: $0 FOLDER" >&2
	exit 2
fi
if ! command -v dtc >/dev/null; then
	echo "$0: dtc is not installed; apt-get install device-tree-compiler" >&2
	exit 1
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
for source in "$here"/*.dts; do
	overlay=$1/$(basename "$source" .dts).dtbo
	said=$(dtc -@ -I dts -O dtb -o "$overlay" "$source" 2>&1) || said=${said:-failed}
	if [ -n "$said" ]; then
		rm -f "$overlay"
		printf '%s\n' "$said" >&2
		exit 1
	fi
done
