// A request to stop that work looks at between bounded steps. Copies share the same request; any thread.
// Work that waits in the kernel polls `fd()` too: it becomes readable when cancelled.
#pragma once

#include <initializer_list>
#include <memory>

#include "base/result.h"
#include "base/time.h"

namespace understudy {

class CancelToken {
 public:
  CancelToken();
  void cancel();
  bool cancelled() const;
  int fd() const;  // readable once cancelled; owned by the token, not to be read or closed
  // ErrorCode::cancelled when cancelled.
  Status check() const;
  // Waits until one of them is cancelled: false when `most` has passed.
  static bool wait(std::initializer_list<CancelToken> any, Duration most);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace understudy
