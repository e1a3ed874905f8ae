// A connection as two byte streams. One thread may read while another writes; two readers may not run at
// once, two writers take turns. A deadline or a cancelled token ends only the call; after a failed write the
// stream is no longer usable, because the peer may have a part of it.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/result.h"
#include "base/time.h"
#include "net/socket.h"

namespace understudy::net {

class Stream {
 public:
  virtual ~Stream() = default;
  // Waits for at least one byte; 0 means the peer ended its side in good order.
  virtual Result<size_t> read(MutableByteView into, Duration timeout) = 0;
  // All of it, within `timeout`.
  virtual Status write_all(ByteView bytes, Duration timeout) = 0;
  // Ends our side: the peer reads 0 after what was written. Reading goes on.
  virtual Status shutdown() = 0;
  virtual const std::string& peer() const = 0;
};

// Fills `into`; the peer's end before that is ErrorCode::not_available. `timeout` is for the whole.
Status read_exactly(Stream& stream, MutableByteView into, Duration timeout);

// A unix socket (or TCP where nothing needs hiding). Holds its descriptor; all its waits end with the token.
class PlainStream final : public Stream {
 public:
  PlainStream(Connection connection, CancelToken cancel);
  Result<size_t> read(MutableByteView into, Duration timeout) override;
  Status write_all(ByteView bytes, Duration timeout) override;
  Status shutdown() override;
  const std::string& peer() const override { return peer_; }
  // Who connected, as the kernel knows it; nothing when this is not a unix socket.
  std::optional<uid_t> peer_uid() const;

 private:
  Fd fd_;
  std::string peer_;
  CancelToken cancel_;
};

}  // namespace understudy::net
