#include "core/slots.h"

#include <algorithm>

namespace understudy::core {

bool Slots::request(const Uuid& vm) {
  if (running_.contains(vm)) return true;
  if (running_.size() < most_) {
    running_.insert(vm);
    return true;
  }
  if (std::find(waiting_.begin(), waiting_.end(), vm) == waiting_.end()) waiting_.push_back(vm);
  return false;
}

std::optional<Uuid> Slots::release(const Uuid& vm) {
  std::erase(waiting_, vm);
  if (running_.erase(vm) == 0 || waiting_.empty()) return std::nullopt;
  const Uuid next = waiting_.front();
  waiting_.pop_front();
  running_.insert(next);
  return next;
}

}  // namespace understudy::core
