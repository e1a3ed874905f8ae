#!/bin/bash
# What `cmake --install` puts where, and that the command runs from there. install_test.sh BUILD
set -eu
to=$(mktemp -d)
trap 'rm -rf "$to"' EXIT
cmake --install "$1" --prefix "$to" >/dev/null
for file in bin/understudy bin/understudy-enrol sbin/understudyd sbin/understudy-front sbin/understudy-link sbin/understudy-kerberos \
            sbin/understudy-guard share/bash-completion/completions/understudy \
            share/man/man1/understudy.1 share/man/man5/understudyd.toml.5 share/man/man7/understudy-security.7 \
            share/man/man8/understudyd.8 lib/systemd/system/understudyd.service lib/sysusers.d/understudy.conf share/apparmor/extra-profiles/understudy; do
  [ -f "$to/$file" ] || { echo "not installed: $file"; exit 1; }
done
[ "$(find "$to" -type f | wc -l)" = 15 ] || { find "$to" -type f; echo "more than that is installed"; exit 1; }
"$to/bin/understudy" --version
"$to/sbin/understudyd" --version
