// The primary's end of one transfer. The calling thread reads the source and computes checksums; kCompressors
// threads compress; one writes frames in order, within the replica's window and the host's throttle; one
// reads what the replica says; one watches for cancel. All of them end before run() returns. What is in
// memory is bounded by kMostQueued (and as much again for compressed frames), whatever the size of the disk.
#pragma once

#include "transfer/peer.h"
#include "transfer/throttle.h"
#include "transfer/wire.h"

namespace understudy::transfer {

inline constexpr uint64_t kMostQueued = 8
                                        << 20;  // read and not yet written: a few frames for each compressor
inline constexpr uint64_t kMostReadAhead = 8 << 20;  // what the source may be reading meanwhile
inline constexpr uint64_t kChunkCost =
    4096;  // of any extent in the queue beside its data: bounds zero extents
inline constexpr size_t kCompressors =
    2;  // 0.2 GB/s each at zstd -1; three transfers may run on a small host
inline constexpr uint32_t kThrottledPiece = 64
                                            << 10;  // one grant of the throttle: short waits, a smooth rate
inline constexpr Duration kPingAfter = Duration::seconds(15);  // a quarter of limits::kLinkIdle
inline constexpr Duration kCauseWait = Duration::seconds(2);  // for the replica's reason after a failed write

struct SendPlan {
  uint64_t tag = 0;
  Cursor from;
  bool compress = false;
  Throttle* throttle = nullptr;  // none: unlimited
};

class Sender {
 public:
  Sender(Wire& wire, const SendPlan& plan);
  ~Sender();
  // Until the replica has all of it durable. After an error the connection is of no more use; what the
  // replica said about the cause comes before what the broken connection looked like from here.
  Result<SendSummary> run(Source& source, const Progress& progress, const CancelToken& cancel);

  // The most there ever was: raw bytes sent and not acknowledged, bytes queued.
  uint64_t peak_window() const;
  uint64_t peak_queued() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace understudy::transfer
