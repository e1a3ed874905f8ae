// A request to stop that work looks at between bounded steps. Copies share the same request; any thread.
// Work that waits in the kernel polls `fd()` too: it becomes readable when cancelled.
#pragma once

#include <memory>

#include "base/result.h"

namespace understudy {

class CancelToken {
 public:
  CancelToken();
  void cancel();
  bool cancelled() const;
  int fd() const;  // readable once cancelled; owned by the token, not to be read or closed
  // ErrorCode::cancelled when cancelled.
  Status check() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace understudy
