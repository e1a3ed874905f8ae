#!/bin/bash
# Installs, on Debian 12, every package that building and testing Understudy needs. Run as root.
# Quick and silent when all of them are there. What comes from npm goes to build/npm.
set -eu
cd "$(dirname "$0")/.."

build=(
  g++ clang-14 libclang-rt-14-dev cmake ninja-build ccache pkg-config
  libexpected-dev libtomlplusplus-dev nlohmann-json3-dev libsqlite3-dev libargon2-dev libseccomp-dev libxml2-dev libvirt-dev
  libnbd-dev libzstd-dev libxxhash-dev libssl-dev libboost1.81-dev libboost-context1.81-dev libarchive-dev libgtest-dev
  libgmock-dev libkrb5-dev
)
# libvirt, QEMU and what the product calls at run time. virt-aa-helper comes with libvirt-daemon.
run=(
  libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils ovmf
  libnbd-bin dnsmasq-base iptables iproute2 apparmor openssl systemd
)
# Tests: the clients that speak to us, the tiny guest (tests/support/guest), the lab (tests/support/hosts.py).
tests=(
  python3 python3-libvirt python3-libnbd python3-winrm python3-pytest python3-pytest-xdist python3-pytest-timeout python3-dracclient
  gcc libc6-dev busybox-static e2fsprogs cpio zstd util-linux
  krb5-kdc krb5-admin-server krb5-user python3-requests-kerberos
  jq uuid-runtime curl mandoc libxml2-utils wsl faketime strace mmdebstrap
)
command -v node >/dev/null && command -v npm >/dev/null || tests+=(nodejs npm)  # those that a machine has stay

missing=()
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p')
for package in "${build[@]}" "${run[@]}" "${tests[@]}"; do
  grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done

# Without a running init the packages' services cannot start; that is no reason to fail.
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}"; }
for package in "${missing[@]}"; do
  if ! apt-cache show "$package" >/dev/null 2>&1; then
    apt-get -qq update
    break
  fi
done
[ ${#missing[@]} -eq 0 ] || install || { apt-get -qq update; install; }

# The users of the product's processes.
systemd-sysusers "$PWD/packaging/understudy.sysusers"

# npm writes the second file last.
locked=tests/e2e/npm/package-lock.json
if ! [ build/npm/node_modules/.package-lock.json -nt $locked ]; then
  mkdir -p build/npm
  cp tests/e2e/npm/package.json $locked build/npm
  (cd build/npm; npm ci --loglevel=error --ignore-scripts --no-audit --no-fund >/dev/null)
fi
