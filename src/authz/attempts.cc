#include "authz/attempts.h"

#include <arpa/inet.h>

#include <algorithm>

namespace understudy::authz {
namespace {

std::string network_of(std::string_view from) {
  if (!from.starts_with('[')) return std::string(from.substr(0, from.rfind(':')));
  const std::string address(from.substr(1, from.find(']') - 1));
  in6_addr bytes{};
  if (inet_pton(AF_INET6, address.c_str(), &bytes) != 1) return address;
  return "v6:" + std::string(reinterpret_cast<const char*>(bytes.s6_addr), 8);
}

}  // namespace

Duration Attempts::wait(std::string_view from, Monotonic now) {
  const std::lock_guard lock(mutex_);
  const auto found = addresses_.find(network_of(from));
  if (found == addresses_.end()) return {};
  const Failures& failures = found->second;
  if (now - failures.last > kAttemptsKept) {
    addresses_.erase(found);
    return {};
  }
  if (failures.count < kFreeAttempts) return {};
  Duration pause = Duration::seconds(1);
  for (uint32_t n = kFreeAttempts; n < failures.count && pause < kLongestWait; ++n) pause = pause + pause;
  return std::max(Duration(), failures.last + std::min(pause, kLongestWait) - now);
}

void Attempts::failed(std::string_view from, Monotonic now) {
  const std::lock_guard lock(mutex_);
  if (addresses_.size() >= kMostAddresses)
    addresses_.erase(std::min_element(addresses_.begin(), addresses_.end(), [](const auto& a, const auto& b) {
      return a.second.last < b.second.last;
    }));
  Failures& failures = addresses_[network_of(from)];
  failures.count = now - failures.last > kAttemptsKept ? 1 : failures.count + 1;
  failures.last = now;
}

}  // namespace understudy::authz
