// A connection to a replica host, as the daemon hands it to the process that speaks TLS on it
// (docs/spec/processes.md). Free functions.
#pragma once

#include "base/cancel.h"
#include "ipc/setup.h"
#include "transfer/peer.h"

namespace understudy::link {

// Comes with two descriptors: the connected socket, and an end of the lane.
struct Outgoing {
  std::string host;     // what the other side's certificate must carry
  std::string address;  // where the socket is connected to, for messages
  ipc::TlsSetup tls;
  int64_t handshake_us = 0;  // how long all of the handshake may take
};
template <class F>
void fields(F& f, Outgoing& outgoing) {
  f(outgoing.host, outgoing.address, outgoing.tls, outgoing.handshake_us);
}

// In the process: the handshake, what came of it to the daemon, and frames both ways until it is over.
// `outgoing` is packed.
void carry_out(ByteView outgoing, net::Fd connection, net::Fd lane, const CancelToken& stop);

}  // namespace understudy::link
