#include "base/cancel.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/waiting.h"

namespace understudy {
namespace {
constexpr Duration kLongestPoll = Duration::seconds(3600);
const char kAnyToken = 0;  // what a scheduler is told of: all of them
}  // namespace

struct CancelToken::State {
  State() : fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { US_ASSERT(fd >= 0); }
  ~State() { close(fd); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  std::atomic<bool> cancelled{false};
  int fd;
};

CancelToken::CancelToken() : state_(std::make_shared<State>()) {}

void CancelToken::cancel() {
  if (state_->cancelled.exchange(true)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(state_->fd, &one, sizeof one);
  if (Scheduler* below = scheduler()) below->notify(&kAnyToken);
}

bool CancelToken::cancelled() const {
  return state_->cancelled;
}
int CancelToken::fd() const {
  return state_->fd;
}

bool CancelToken::wait(std::initializer_list<CancelToken> any, Duration most) {
  const auto cancelled = [&any] {
    return std::any_of(any.begin(), any.end(), [](const CancelToken& each) { return each.cancelled(); });
  };
  std::vector<pollfd> fds;
  for (const CancelToken& each : any) fds.push_back({each.fd(), POLLIN, 0});
  const Monotonic start = waiting_now();
  while (!cancelled()) {
    const Duration left = std::min(most - (waiting_now() - start), kLongestPoll);
    if (left.us <= 0) return false;
    if (Scheduler* below = scheduler())
      below->wait(&kAnyToken, left);
    else
      (void)poll(fds.data(), fds.size(), static_cast<int>(left.whole_millis() + 1));
  }
  return true;
}

Status CancelToken::check() const {
  if (cancelled()) return fail(ErrorCode::cancelled, "cancelled");
  return {};
}

}  // namespace understudy
