#!/bin/bash
# Builds a full Debian 12 with systemd as a qcow2 image of one ext4, from Debian packages, and prints its path. The tiny
# guest's kernel and initrd boot it: `root=/dev/vda net=networkd|netplan|NetworkManager|ifupdown` (see debian-init).
# Built once per content of this folder's files for it, beside the tiny guest.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${UNDERSTUDY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}}/understudy
out=$cache/debian-$(cd "$here" && cat debian.sh debian-init | sha256sum | cut -c1-16).qcow2
if [ ! -e "$out" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/debian.lock"
  flock -w 900 9
fi
if [ ! -e "$out" ]; then
  rm -rf "$cache"/debian-*.building  # left by a killed build: we hold the lock
  work=$out.building
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' INT TERM HUP
  mkdir -p "$work"
  mmdebstrap --quiet --mode=root --variant=minbase \
    --include=systemd-sysv,udev,dbus,iproute2,qemu-guest-agent,network-manager,netplan.io,ifupdown \
    bookworm "$work/root" >&2
  install -m755 "$here/debian-init" "$work/root/sbin/debian-init"
  # Whoever is in charge of the network, debian-init says.
  rm -f "$work"/root/etc/systemd/system/*/{NetworkManager*,networking,systemd-networkd*}.service \
    "$work"/root/etc/systemd/system/dbus-org.freedesktop.{nm-dispatcher,network1}.service
  rm -rf "$work"/root/var/{cache/apt,lib/apt/lists} "$work"/root/usr/share/{doc,man,locale}
  echo guest >"$work/root/etc/hostname"
  mke2fs -q -t ext4 -d "$work/root" -L debian "$work/raw" 1G
  qemu-img convert -f raw -O qcow2 "$work/raw" "$work/image"
  mv "$work/image" "$out"
fi
echo "$out"
