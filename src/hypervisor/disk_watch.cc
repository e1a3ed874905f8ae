#include "hypervisor/disk_watch.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "hypervisor/small_file.h"

namespace understudy::hypervisor {
namespace {

constexpr size_t kMostChanged = 64 << 10;  // some bytes for each disk and each start
constexpr char kRecord[] = ".disks";
constexpr char kChanged[] = ".changed";

bool is_target(std::string_view word) {
  return !word.empty() && word.size() <= 8 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

}  // namespace

Status DiskWatch::watch(const Uuid& vm, bool on) {
  const std::lock_guard lock(mutex_);
  US_CHECK(make_directory(directory_));
  if (on) {
    if (::access((directory_ + "/" + vm.lower()).c_str(), F_OK) == 0) return {};
    return replace_file(directory_, vm.lower(), "", 0644);
  }
  US_CHECK(remove_file(directory_, vm.lower()));
  US_CHECK(remove_file(directory_, vm.lower() + kRecord));
  return remove_file(directory_, vm.lower() + kChanged);
}

Result<std::vector<std::string>> DiskWatch::changed(const Uuid& vm) {
  const Result<std::string> text = read_file(directory_ + "/" + vm.lower() + kChanged, kMostChanged);
  if (!text && text.error().code() == ErrorCode::not_found) return std::vector<std::string>();
  if (!text) return fail(text.error());
  std::set<std::string> targets;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    if (const std::string word = text->substr(at, end - at); is_target(word)) targets.insert(word);
    at = end + 1;
  }
  return std::vector<std::string>(targets.begin(), targets.end());
}

Status DiskWatch::forget(const Uuid& vm) {
  const std::lock_guard lock(mutex_);
  return remove_file(directory_, vm.lower() + kChanged);
}

}  // namespace understudy::hypervisor
