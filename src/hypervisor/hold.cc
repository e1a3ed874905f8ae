#include "hypervisor/hold.h"

#include <unistd.h>

#include <algorithm>

#include "hypervisor/small_file.h"

namespace understudy::hypervisor {
namespace {
constexpr size_t kMostReason = 1000;
}

Status Holds::hold(const Uuid& vm, const std::string& reason) {
  std::string line = reason.substr(0, kMostReason);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  const std::lock_guard lock(mutex_);
  US_CHECK(make_directory(directory_));
  return replace_file(directory_, vm.lower(), line + "\n", 0644);
}

Status Holds::lift(const Uuid& vm) {
  const std::lock_guard lock(mutex_);
  return remove_file(directory_, vm.lower());
}

Result<bool> Holds::held(const Uuid& vm) {
  const std::string path = directory_ + "/" + vm.lower();
  if (::access(path.c_str(), F_OK) == 0) return true;
  if (errno == ENOENT) return false;
  return fail_errno(errno, "looking for " + path);
}

}  // namespace understudy::hypervisor
