#!/bin/bash
# The completion as bash uses it, with no daemon running. completion_test.sh UNDERSTUDY
set -u
program=$1
export UNDERSTUDY_SOCKET=/nonexistent/wsman.sock
source "$(dirname "$0")/../../src/cli/understudy.bash"
failures=0

# completed WANTED WORD...: what the last word may become.
completed() {
  local wanted=$1
  shift
  COMP_WORDS=("$program" "$@")
  COMP_CWORD=$#
  _understudy
  [ "${COMPREPLY[*]}" = "$wanted" ] && return
  echo "understudy $*: '${COMPREPLY[*]}' instead of '$wanted'"
  failures=$((failures + 1))
}

complete -p understudy | grep -q -- '-F _understudy' || failures=$((failures + 1))
completed "resume resync" res
completed "cancel list show" job ""
completed "--point --primary-is-running" failover --p
completed "--from" failover web1 --fr
completed "operator" user add ann --role o
completed "" failover ""       # no daemon: no names, and no noise
completed "" frobnicate ""
completed "" store check ""    # files are the shell's own business
[ $failures = 0 ] && echo "completion: good"
exit $failures
