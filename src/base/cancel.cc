#include "base/cancel.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "base/assert.h"

namespace understudy {

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
}

bool CancelToken::cancelled() const {
  return state_->cancelled;
}
int CancelToken::fd() const {
  return state_->fd;
}

Status CancelToken::check() const {
  if (cancelled()) return fail(ErrorCode::cancelled, "cancelled");
  return {};
}

}  // namespace understudy
