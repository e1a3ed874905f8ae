// What two hosts say to each other in an enrolment, and our processes to each other about it
// (docs/spec/enrolment.md). Everything has a bound before it has been read. Free functions; any thread.
#pragma once

#include <string>

#include "enrol/token.h"
#include "net/certificate.h"
#include "net/stream.h"

namespace understudy::enrol {

inline constexpr const char* kAlpn = "understudy-enrol/1";
inline constexpr size_t kMostCertificate = 16 << 10;      // DER; ours have some 500 bytes
inline constexpr Duration kTurn = Duration::seconds(10);  // one message, or the handshake
inline constexpr Duration kWriting =
    Duration::seconds(30);            // from the certificate to the word that it is kept
inline constexpr std::byte kKept{1};  // that word

enum class Refusal : uint8_t { none, secret, request, over };

// From who accepts: its secret first, which is judged before the rest is taken.
struct Ask {
  Secret secret;
  size_t request_size = 0;  // at most net::kMostRequest
};
Status send_ask(net::Stream& stream, const Secret& secret, ByteView request);
Result<Ask> read_ask(net::Stream& stream);
Result<Bytes> read_request_bytes(net::Stream& stream, const Ask& ask);

// To who accepts. Refused: without certificates. Not refused and without certificates: between our own
// processes only, the secret is right.
struct Reply {
  Refusal refusal = Refusal::none;
  net::SignedKey made = {};
};
Bytes encode(const Reply& reply);
Result<Reply> read_reply(net::Stream& stream);
Result<Reply> decode_reply(ByteView bytes);

// Who says that it has the token, as the process that listens tells it.
struct Claim {
  Bytes secret;
  std::string from;  // its address, for people
};
template <class F>
void fields(F& f, Claim& claim) {
  f(claim.secret, claim.from);
}

// To the process that asks, with a connected socket and an end of a lane.
struct Errand {
  Bytes secret;
  std::string pin;
  std::string address;  // where the socket is connected to, for messages
  Bytes request;
  Bytes public_key;
};
template <class F>
void fields(F& f, Errand& errand) {
  f(errand.secret, errand.pin, errand.address, errand.request, errand.public_key);
}
// What came of it.
struct Outcome {
  Bytes certificate, authority;
};
template <class F>
void fields(F& f, Outcome& outcome) {
  f(outcome.certificate, outcome.authority);
}

// Of lanes, in bytes.
inline constexpr size_t kMostClaim = 256;
inline constexpr size_t kMostReply = 6 + 2 * kMostCertificate;
inline constexpr size_t kMostOutcome = kMostReply + 1024;

}  // namespace understudy::enrol
