#!/bin/sh
# Writes images/start-qemu.sh from the line of this defconfig in a readme.txt, and tells the sizes.
set -eu

name=$(basename "$2")
line=$(cat "$(dirname "$0")"/*/readme.txt | grep "# $name\$") || {
	echo "post-image: no readme.txt has a line for $name" >&2
	exit 1
}
line=${line%%#*}
{
	echo '#!/bin/sh'
	# shellcheck disable=SC2016 # for the script that is written
	echo 'cd "$(dirname "$0")" || exit 1'
	echo "PATH=$HOST_DIR/bin:\$PATH"
	echo "exec $line \"\$@\"" | sed 's|output/images/||g'
} >"$BINARIES_DIR/start-qemu.sh"
chmod 755 "$BINARIES_DIR/start-qemu.sh"
image=$BINARIES_DIR/rootfs.squashfs
echo "vipd: $(wc -c <"$TARGET_DIR/usr/sbin/vipd") bytes, image: $(wc -c <"$image") bytes"

# QEMU takes no memory card whose size is not a power of two.
case $line in
*if=sd*)
	size=1048576
	while [ "$size" -lt "$(wc -c <"$image")" ]; do
		size=$((size * 2))
	done
	truncate -s "$size" "$image"
	;;
esac
