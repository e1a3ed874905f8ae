// What stands between a primary and the daemon (docs/spec/processes.md): the frames of the network are taken
// apart and made anew, so that the daemon never reads what somebody else has written. Free functions.
#pragma once

#include "transfer/frame_io.h"
#include "transfer/peer.h"

namespace understudy::link {

// The first thing on a conversation's socket: who the peer proved to be.
Status announce(transfer::Wire& daemon, const transfer::PeerIdentity& peer);
Result<transfer::PeerIdentity> read_announced(transfer::Wire& front);

// Carries frames both ways until both sides have ended. What breaks docs/spec/wire.md by itself is refused
// with ERROR, and the conversation ends. One thread more while it runs.
Status relay(transfer::Wire& network, transfer::Wire& daemon);

// A frame of the network as one of ours: JSON read and written again, data decompressed. The error to refuse
// it with.
Result<transfer::Frame> made_anew(transfer::Frame frame);

}  // namespace understudy::link
