// What stands between another host and the daemon (docs/spec/processes.md): the frames of the network are
// taken apart and made anew, so that the daemon never reads what somebody else has written. Free functions.
#pragma once

#include "transfer/frame_io.h"
#include "transfer/peer.h"

namespace understudy::link {

// Which of the two this host is in a conversation.
enum class Side : uint8_t { primary, replica };

// The first thing on a conversation's socket: who the peer proved to be, or why that is not known.
Status announce(transfer::Wire& daemon, const Result<transfer::PeerIdentity>& peer);
// Waits `timeout` for it to begin, then as long again.
Result<transfer::PeerIdentity> read_announced(transfer::Wire& process, Duration timeout);

// Carries frames both ways until both sides have ended. What breaks docs/spec/wire.md by itself is refused
// with ERROR, of which a primary's daemon is told too, and the conversation ends. A replica's daemon has to
// admit the peer first, with a PING. One thread more while it runs.
Status relay(transfer::Wire& network, transfer::Wire& daemon, Side side);

// A frame of the network as one of ours: JSON read and written again, data decompressed. The error to refuse
// it with.
Result<transfer::Frame> made_anew(transfer::Frame frame);

}  // namespace understudy::link
