#!/bin/sh
# Before the image is packed: what would make it useless is found here, not on the device.
set -eu

fail() {
	echo "post-build: $1" >&2
	exit 1
}

[ -x "$TARGET_DIR/usr/sbin/vipd" ] || fail "vipd is not in the image: is BR2_PACKAGE_VIPD set?"
[ -x "$TARGET_DIR/etc/init.d/S60vipd" ] || fail "S60vipd is not in the image"
grep -q '^::askfirst:/usr/sbin/status-console$' "$TARGET_DIR/etc/inittab" || fail "inittab has no console"
# The configuration holds passwords of adverts.
chmod 600 "$TARGET_DIR/etc/vipd.toml"
