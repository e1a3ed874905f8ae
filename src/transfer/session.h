// The replica's end of a conversation over any Wire, from the admission to the close, as docs/spec/wire.md
// says.
#pragma once

#include "base/limits.h"
#include "transfer/peer.h"
#include "transfer/wire.h"

namespace understudy::transfer {

// Asks `service` whether `peer` is admitted before it reads a byte, greets with `own`, then answers one
// request after the other until the other side closes or falls silent, which is no error. An error was told
// to the other side. Blocks; on the connection's thread.
// `cursor_every` bytes of a transfer its cursor is made durable.
Status serve(Wire& wire, const PeerIdentity& peer, const Hello& own, PeerService& service,
             uint64_t cursor_every = limits::kCursorEvery);

}  // namespace understudy::transfer
