#include "hypervisor/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "hypervisor/descriptor.h"

namespace understudy::hypervisor {
namespace {

Status sync_directory(const std::string& directory) {
  const Descriptor file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) return fail_errno(errno, "sync of " + directory);
  return {};
}

Status write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "writing " + path);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

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

// The mode is given last: libvirt runs every file of its hook folder that may be run.
Status replace_file(const std::string& directory, const std::string& name, std::string_view content,
                    mode_t mode, std::optional<FileOwner> owner) {
  const std::string path = directory + "/" + name;
  const std::string temporary = directory + "/." + name + ".new";
  const Descriptor file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno(errno, "writing " + temporary);
  US_CHECK(write_all(file.get(), content, temporary));
  if (owner && ::fchown(file.get(), owner->user, owner->group) != 0)
    return fail_errno(errno, "giving " + temporary + " to QEMU's user");
  if (::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0)
    return fail_errno(errno, "writing " + temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(errno, "writing " + path);
  return sync_directory(directory);
}

Status remove_file(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  if (::unlink(path.c_str()) != 0) return errno == ENOENT ? Status{} : fail_errno(errno, "removing " + path);
  return sync_directory(directory);
}

Result<std::string> read_file(const std::string& path, size_t most) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return fail_errno(errno, "opening " + path);
  std::string content(most + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t n = ::read(file.get(), content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "reading " + path);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > most)
    return fail(ErrorCode::too_large, path + " has more than " + std::to_string(most) + " bytes");
  content.resize(size);
  return content;
}

}  // namespace understudy::hypervisor
