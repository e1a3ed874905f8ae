// A conversation between two processes of one host: messages on a socket pair, each with version, word and
// length, in turns (docs/spec/processes.md). One thread at a time.
#pragma once

#include <mutex>

#include "base/bytes.h"
#include "ipc/control.h"
#include "net/stream.h"

namespace understudy::ipc {

inline constexpr uint8_t kVersion = 1;
inline constexpr size_t kMostAsked = 8 << 20;       // an envelope as values is some times as large
inline constexpr size_t kMostAnswered = 256 << 20;  // all instances of a class, of limits::kMostVms VMs
inline constexpr size_t kMostTicket = 128 << 10;    // a name and a token

enum class Word : uint8_t {
  log_in = 1,  // Evidence
  caller = 2,  // Caller, or the error
  ask = 3,     // Request
  answer = 4,  // Response, or the fault
  token = 5,   // bytes that a client sent
  ticket = 6,  // authz::Ticket, or the error
  // of an enrolment (enrol/messages.h)
  claim = 7,     // Claim
  reply = 8,     // Reply, as it goes over the network
  key = 9,       // net::PublicKey
  outcome = 10,  // Outcome, or the error
  kept = 11,     // nothing
};

struct Message {
  Word word = Word::log_in;
  Bytes payload;
};

class Lane {
 public:
  // Ends its waits when `cancel` does.
  Lane(net::Fd socket, CancelToken cancel);
  // ErrorCode::too_large, and nothing is sent, above `most`.
  Status send(Word word, ByteView payload, size_t most, Duration timeout);
  // Waits `timeout` for it to begin, then as long again for the rest. ErrorCode::not_available at the end of
  // the conversation, protocol for what is none, too_large above `most` before any of it is taken.
  Result<Message> receive(size_t most, Duration timeout);

 private:
  net::PlainStream stream_;
};

// Begins conversations with the daemon: makes a socket pair, hands one end over, and gives the other. Any
// thread.
class Lanes {
 public:
  // `control` outlives this, and nobody else sends on it meanwhile.
  explicit Lanes(Control& control) : control_(control) {}
  Result<net::Fd> open();

 private:
  std::mutex mutex_;
  Control& control_;
};

}  // namespace understudy::ipc
