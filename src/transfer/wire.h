// The bytes below the frames: link/ puts TLS behind it, tests a pair of sockets. One thread may read while
// another writes; interrupt() may be called from any thread while the object lives.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace understudy::transfer {

class Wire {
 public:
  virtual ~Wire() = default;
  // Waits for at least one byte; 0 means the other side ended in good order.
  virtual Result<size_t> read(MutableByteView into, Duration timeout) = 0;
  // All of it; `timeout` is for the whole.
  virtual Status write(ByteView bytes, Duration timeout) = 0;
  // Ends our sending side; reading goes on.
  virtual Status shutdown() = 0;
  // Ends the connection: calls that wait return an error soon, and so do all later ones.
  virtual void interrupt() = 0;
};

}  // namespace understudy::transfer
