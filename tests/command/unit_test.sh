#!/bin/bash
# The systemd unit is understood, and exposes no more than docs/develop/measurements.md says; the AppArmor profile
# compiles. unit_test.sh BUILD
set -eu
unit=$1/understudyd.service
systemd-analyze security --offline=yes --threshold=43 --no-pager "$unit" >/dev/null || {
  systemd-analyze security --offline=yes --no-pager "$unit" | tail -n 1
  exit 1
}
unknown=$(systemd-analyze verify "$unit" 2>&1 | grep -vE 'is not executable|failed with code' || true)
[ -z "$unknown" ] || { echo "$unknown"; exit 1; }
apparmor_parser --skip-kernel-load --skip-cache --quiet "$1/understudy.apparmor"
