// The replica's end of one transfer: takes extent frames from the connection, decompresses, verifies, gives
// them to the sink in order, makes a cursor now and then, and ends after END. Lives for one transfer on the
// connection's thread; holds one frame and one decompressed extent at a time, whatever the size of the disk.
#pragma once

#include "transfer/compression.h"
#include "transfer/frame_io.h"
#include "transfer/peer.h"

namespace understudy::transfer {

inline constexpr uint64_t kAppliedEvery =
    2 << 20;  // with the largest frame far below the window: the sender never starves
inline constexpr uint64_t kZeroWeight = 4096;  // of a zero extent on the way to the next cursor

class Receiver {
 public:
  Receiver(Wire& wire, Sink& sink, uint64_t tag, uint32_t granule, Cursor from,
           uint64_t cursor_every = limits::kCursorEvery);
  // Until END is answered. Any error ends the transfer and the connection; the caller reports it.
  Status run();
  // The error is what the primary said: there is nobody to report it to.
  bool primary_gave_up() const { return primary_gave_up_; }
  uint64_t data_bytes() const { return data_bytes_; }
  uint64_t zero_bytes() const { return zero_bytes_; }

 private:
  Status take_extent(const Frame& frame);
  Result<ByteView> raw_data(const ExtentHead& head, ByteView stored);
  Status take_end(ByteView payload);
  Status send_applied();
  Status send_cursor(bool complete);

  Wire& wire_;
  Sink& sink_;
  const uint64_t tag_;
  const uint32_t granule_;
  const uint64_t cursor_every_;
  Cursor at_;  // everything before it was given to the sink
  uint64_t data_bytes_ = 0;
  uint64_t zero_bytes_ = 0;
  bool primary_gave_up_ = false;
  uint64_t since_applied_ = 0;
  uint64_t since_cursor_ = 0;
  Decompressor decompressor_;
  Bytes raw_;
};

}  // namespace understudy::transfer
