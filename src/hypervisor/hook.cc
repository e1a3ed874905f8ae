#include "hypervisor/hook.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "hypervisor/small_file.h"

namespace understudy::hypervisor {
namespace {

constexpr char kName[] = "50-understudy";

// Only `prepare begin` comes before every way of starting a VM; `release end` comes after QEMU's end. libvirt
// writes <uuid> right after <name>, and neither can hold a line break: the first line that is a <uuid> is the
// domain's, whatever is in its description or metadata. All but a hold ends in exit 0.
constexpr char kScript[] = R"SH(#!/bin/sh
# Installed by Understudy, which writes it again when it starts. It needs no Understudy.
#   50-understudy NAME OPERATION SUBOPERATION EXTRA <DOMAIN_XML
# A VM with a file in `holds` is a copy that must not run, or has one elsewhere that does: its start is refused.
# Of a VM with a file in `watched` the disk files are recorded when it stops and compared when it starts.
holds='@HOLDS@'
watched='@WATCHED@'
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

case "$2 $3" in
  'prepare begin'|'release end') ;;
  *) exit 0 ;;
esac
uuid=
while read -r line; do
  case $line in
    '<uuid>'*'</uuid>')
      uuid=${line#'<uuid>'}
      uuid=${uuid%'</uuid>'}
      break ;;
  esac
done
case $uuid in
  ''|*[!0-9a-f-]*) exit 0 ;;
esac

if [ -f "$holds/$uuid" ]; then
  [ "$2" = prepare ] || exit 0
  reason=
  read -r reason 2>/dev/null <"$holds/$uuid"
  hint="Use a failover to start it here, or remove its replication: understudy show '$1'"
  echo "Understudy holds this VM: ${reason:-it must not run on this host}. $hint" >&2
  exit 1
fi

[ -f "$watched/$uuid" ] || exit 0
record=$watched/$uuid.disks
changed=$watched/$uuid.changed
newline='
'

replace() { # OLD NEW: in $text
  rest=$text text=''
  while :; do
    case $rest in
      *"$1"*) text=$text${rest%%"$1"*}$2 rest=${rest#*"$1"} ;;
      *) break ;;
    esac
  done
  text=$text$rest
}

# Lines "TARGET PATH". A backing file that somebody writes has broken the disk on it, and is not looked at.
files=
disk_files() {
  devices='' disk='' path=''
  while read -r line; do
    case $line in
      '<devices>') devices=yes ;;
      '</devices>') devices='' ;;
      "<disk type='file' device='disk'"*) disk=$devices path='' ;;
      "<source file='"*) # the first one is the disk's own
        [ "$disk" ] && [ -z "$path" ] || continue
        text=${line#"<source file='"}
        text=${text%%"'"*}
        replace '&lt;' '<'
        replace '&gt;' '>'
        replace '&quot;' '"'
        replace '&apos;' "'"
        replace '&amp;' '&'
        path=$text ;;
      "<target dev='"*)
        target=${line#"<target dev='"}
        [ -z "$path" ] || files="$files${target%%"'"*} $path$newline" ;;
      '</disk>') disk='' path='' ;;
    esac
  done
}
disk_files
read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id

# A record that is there has not been compared, because a start could not: it is kept.
if [ "$2" = release ]; then
  [ -f "$record" ] && exit 0
  lines="boot $boot$newline"
  while [ "$files" ]; do
    line=${files%%"$newline"*}
    files=${files#*"$newline"}
    state=$(stat -L -c '%d %i %s %.9Y' -- "${line#* }" 2>/dev/null) || exit 0
    lines="$lines${line%% *} $state ${line#* }$newline"
  done
  printf '%send\n' "$lines" 2>/dev/null >"$record.new" && sync "$record.new" && mv -f "$record.new" "$record"
  exit 0
fi

[ -f "$record" ] || exit 0
known=$newline
[ -f "$changed" ] && while read -r line; do known=$known$line$newline; done <"$changed"
found='' whole='' same_boot=''
while read -r target device inode size time path; do
  case $target in
    end) whole=yes && break ;;
    boot)
      [ "$device" = "$boot" ] && same_boot=yes
      continue ;;
  esac
  case "$newline$files" in
    *"$newline$target $path$newline"*) ;;
    *"$newline$target "*) # it has another file now
      found=$found$target$newline
      continue ;;
    *) continue ;; # it has been taken out
  esac
  state=$(stat -L -c '%d %i %s %.9Y' -- "$path" 2>/dev/null) || exit 0 # such a VM does not start
  [ "$same_boot" ] || state="$device ${state#* }" # a device may have another number now
  [ "$state" = "$device $inode $size $time" ] || found=$found$target$newline
done <"$record"
[ "$whole" ] || found=
new=
while [ "$found" ]; do
  target=${found%%"$newline"*}
  found=${found#*"$newline"}
  case $known in
    *"$newline$target$newline"*) ;;
    *) new=$new$target$newline known=$known$target$newline ;;
  esac
done
if [ "$new" ]; then
  { printf '%s' "$new" 2>/dev/null >>"$changed" && sync "$changed"; } || exit 0
fi
rm -f "$record"
exit 0
)SH";

bool has_text(const std::string& path, const std::string& text) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0 || (st.st_mode & 0777) != 0755) return false;
  const Result<std::string> there = read_file(path, text.size());
  return there && *there == text;
}

void fill_in(std::string& script, const std::string& mark, const std::string& value) {
  script.replace(script.find(mark), mark.size(), value);
}

}  // namespace

std::string Hook::script() const {
  std::string script = kScript;
  fill_in(script, "@HOLDS@", hold_directory_);
  fill_in(script, "@WATCHED@", watch_directory_);
  return script;
}

Status Hook::install() {
  for (const std::string& directory : {hold_directory_, watch_directory_}) {
    if (directory.find('\'') != std::string::npos)
      return fail(ErrorCode::invalid_parameter, "the directory " + directory + " has a quote in its name");
  }
  const std::lock_guard lock(mutex_);
  US_CHECK(make_directory(hold_directory_));
  US_CHECK(make_directory(watch_directory_));
  US_CHECK(make_directory(hook_directory_));
  if (has_text(hook_directory_ + "/" + kName, script())) return {};
  return replace_file(hook_directory_, kName, script(), 0755);
}

}  // namespace understudy::hypervisor
