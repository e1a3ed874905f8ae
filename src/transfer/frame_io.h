// Frames on a connection. One thread reads, one writes (the same or another).
#pragma once

#include "transfer/frames.h"
#include "transfer/wire.h"

namespace understudy::transfer {

struct Frame {
  FrameType type = FrameType::ping;
  Bytes payload;
};

// Waits `first` for the frame to begin: ErrorCode::timeout after that, and waiting may go on. Once it has
// begun no pause may be longer than limits::kLinkIdle; that, and the end of the connection, are
// ErrorCode::not_available.
Result<Frame> read_frame(Wire& wire, Duration first);
Status write_frame(Wire& wire, FrameType type, ByteView payload, Duration timeout);
// ErrorCode::too_large, and nothing written, when the type does not allow that much.
Status write_text(Wire& wire, FrameType type, std::string_view json, Duration timeout);

// Ends a connection without losing what we said last: ends our side, then reads and drops what is still under
// way, at most kMostDrain bytes and kDrain long.
inline constexpr uint64_t kMostDrain = 64
                                       << 20;  // more than fits in the window and the buffers of both kernels
inline constexpr Duration kDrain = Duration::seconds(5);
void part(Wire& wire);

}  // namespace understudy::transfer
