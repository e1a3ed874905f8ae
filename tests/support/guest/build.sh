#!/bin/bash
# Builds the tiny test guest (kernel, initrd, host-side vmwriter) from Debian packages and prints its folder.
# Built once per content of this folder, in $UNDERSTUDY_CACHE (or $XDG_CACHE_HOME, or ~/.cache)/understudy.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${UNDERSTUDY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}}/understudy
inputs=(build.sh init shutdown vmctl fsfreeze-hook vmwriter.c)
out=$cache/guest-$(cd "$here" && { cat "${inputs[@]}"; . /etc/os-release; echo "$ID$VERSION_ID"; } | sha256sum | cut -c1-16)
if [ -d "$out" ]; then
  echo "$out"
  exit
fi

mkdir -p "$cache"
exec 9>"$cache/guest.lock"
flock -w 600 9
if [ -d "$out" ]; then  # somebody else built it while we waited
  echo "$out"
  exit
fi
rm -rf "$cache"/guest-*.building  # left by a killed build: we hold the lock
work=$out.building
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$work/debs" "$work/out"

newest_kernel() {
  apt-cache search --names-only '^linux-image-6\.1\.[0-9.]+-[0-9]+-cloud-amd64$' | cut -d' ' -f1 | sort -V | tail -n1
}
kernel=$(newest_kernel)
if [ -z "$kernel" ]; then
  apt-get -qq update >&2
  kernel=$(newest_kernel)
fi
fetch() { (cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download "$kernel" qemu-guest-agent >&2); }
fetch || { apt-get -qq update >&2; fetch; }
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/x"; done

gcc -O2 -Wall -Wextra -Werror -static -o "$work/out/vmwriter" "$here/vmwriter.c"

root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,lib64,dev,proc,sys,run,etc/acpi/PWRF,modules,tmp,data}
install -m755 /bin/busybox "$root/bin/busybox"
install -m755 "$here/init" "$root/init"
install -m755 "$here/shutdown" "$root/sbin/shutdown"
install -m755 "$here/shutdown" "$root/etc/acpi/PWRF/00000080"
install -m755 "$here/vmctl" "$work/out/vmwriter" "$root/bin/"
install -m755 "$here/fsfreeze-hook" "$root/etc/fsfreeze-hook"

# Dynamic programs, each with the libraries that ldd names. They are the build machine's, of the same release.
add_program() {
  install -D -m755 "$1" "$root/sbin/$(basename "$1")"
  ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
    [ -e "$root$library" ] || install -D -m755 "$library" "$root$library"
  done
}
add_program "$work/x/usr/sbin/qemu-ga"
add_program /sbin/mke2fs
add_program /sbin/resize2fs
install -m644 /etc/mke2fs.conf "$root/etc/mke2fs.conf"

# The order is the loading order: virtio_ring before virtio, cdrom before isofs. ext4 is built in.
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover \
    net_failover virtio_net virtio_console qemu_fw_cfg cdrom isofs evdev button; do
  install -m644 "$(find "$work/x/lib/modules" -name "$module.ko")" "$root/modules/$module.ko"
  echo "$module"
done >"$root/modules/order"

(cd "$root" && find . -print0 | cpio --null --quiet -o -H newc -R 0:0) | zstd -q -9 -o "$work/out/initrd"
install -m644 "$work"/x/boot/vmlinuz-* "$work/out/vmlinuz"
echo "$kernel" >"$work/out/kernel-package"
chmod -R a+rX "$work/out"
mv "$work/out" "$out"
echo "$out"
