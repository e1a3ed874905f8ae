#include "hypervisor/hold.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace understudy::hypervisor {
namespace {

constexpr char kHookName[] = "50-understudy";
constexpr size_t kMostReason = 1000;

// libvirt runs it as: 50-understudy NAME OPERATION SUBOPERATION EXTRA <DOMAIN_XML. Only `prepare begin` comes
// before every way of starting a VM. libvirt writes <uuid> right after <name>, and neither can hold a line
// break: the first line that is a <uuid> is the domain's, whatever is in its description or metadata. All but
// a hold ends in exit 0.
constexpr char kScript[] = R"SH(#!/bin/sh
# Installed by Understudy, which writes it again when it starts. A VM with a file in the folder below is a
# copy that must not run, or has one elsewhere that does: this refuses its start. It needs no Understudy.
holds='@HOLDS@'

[ "$2 $3" = 'prepare begin' ] || exit 0
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
[ -f "$holds/$uuid" ] || exit 0
reason=
read -r reason 2>/dev/null <"$holds/$uuid"
hint="Use a failover to start it here, or remove its replication: understudy status '$1'"
echo "Understudy holds this VM: ${reason:-it must not run on this host}. $hint" >&2
exit 1
)SH";

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

Status sync_directory(const std::string& directory) {
  const File file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd() < 0 || ::fsync(file.fd()) != 0) return fail_errno(errno, "sync of " + directory);
  return {};
}

Status make_directory(const std::string& directory) {
  for (size_t at = 1; at != std::string::npos && at < directory.size();) {
    at = directory.find('/', at);
    const std::string part = directory.substr(0, at);
    if (::mkdir(part.c_str(), 0755) == 0) {
      US_CHECK(sync_directory(part.substr(0, std::max<size_t>(part.rfind('/'), 1))));
    } else if (errno != EEXIST) {
      return fail_errno(errno, "making " + part);
    }
    if (at != std::string::npos) ++at;
  }
  return {};
}

// All or nothing, and durable. The mode is given last: libvirt runs every file of the hook folder that may be
// run.
Status replace_file(const std::string& directory, const std::string& name, const std::string& text,
                    mode_t mode) {
  const std::string path = directory + "/" + name;
  const std::string temporary = directory + "/." + name + ".new";
  const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.fd() < 0) return fail_errno(errno, "writing " + temporary);
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(file.fd(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "writing " + temporary);
    done += static_cast<size_t>(n);
  }
  if (::fchmod(file.fd(), mode) != 0 || ::fsync(file.fd()) != 0)
    return fail_errno(errno, "writing " + temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(errno, "writing " + path);
  return sync_directory(directory);
}

bool has_text(const std::string& path, const std::string& text) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st {};
  if (file.fd() < 0 || ::fstat(file.fd(), &st) != 0 || (st.st_mode & 0777) != 0755) return false;
  std::string there(text.size() + 1, '\0');
  const ssize_t n = ::pread(file.fd(), there.data(), there.size(), 0);
  return n == static_cast<ssize_t>(text.size()) && there.compare(0, text.size(), text) == 0;
}

}  // namespace

std::string hook_script(const std::string& hold_directory) {
  std::string script = kScript;
  return script.replace(script.find("@HOLDS@"), 7, hold_directory);
}

Holds::Holds(std::string hook_directory, std::string hold_directory)
    : hook_directory_(std::move(hook_directory)), hold_directory_(std::move(hold_directory)) {}

std::string Holds::path(const Uuid& vm) const {
  return hold_directory_ + "/" + vm.lower();
}

Status Holds::install_hook() {
  if (hold_directory_.find('\'') != std::string::npos) {
    return fail(ErrorCode::invalid_parameter,
                "the hold directory " + hold_directory_ + " has a quote in its name");
  }
  const std::lock_guard lock(mutex_);
  US_CHECK(make_directory(hold_directory_));
  US_CHECK(make_directory(hook_directory_));
  const std::string script = hook_script(hold_directory_);
  if (has_text(hook_directory_ + "/" + kHookName, script)) return {};
  return replace_file(hook_directory_, kHookName, script, 0755);
}

Status Holds::hold(const Uuid& vm, const std::string& reason) {
  std::string line = reason.substr(0, kMostReason);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  const std::lock_guard lock(mutex_);
  US_CHECK(make_directory(hold_directory_));
  return replace_file(hold_directory_, vm.lower(), line + "\n", 0644);
}

Status Holds::lift(const Uuid& vm) {
  const std::lock_guard lock(mutex_);
  if (::unlink(path(vm).c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "removing " + path(vm));
  return ::access(hold_directory_.c_str(), F_OK) == 0 ? sync_directory(hold_directory_) : Status{};
}

Result<bool> Holds::held(const Uuid& vm) {
  if (::access(path(vm).c_str(), F_OK) == 0) return true;
  if (errno == ENOENT) return false;
  return fail_errno(errno, "looking for " + path(vm));
}

}  // namespace understudy::hypervisor
