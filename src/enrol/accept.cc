#include "enrol/accept.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/pack.h"
#include "enrol/messages.h"
#include "ipc/lane.h"
#include "net/tls.h"

namespace understudy::enrol {
namespace {

// In which the process comes to its end: handshake, question, answer in three pieces.
constexpr Duration kAllTurns = kTurn * 6;
constexpr const char* kOfferAgain = "make another offer there: understudy certificate offer";

tl::unexpected<Error> refused(Refusal refusal) {
  switch (refusal) {
    case Refusal::secret:
      return fail(ErrorCode::unauthenticated, "the token is of another offer", kOfferAgain);
    case Refusal::request:
      return fail(ErrorCode::failed, "the key of this host could not be signed there",
                  "read what the other side says");
    default:
      return fail(ErrorCode::invalid_state, "the offer is over: the token was used, or guessed at",
                  std::string("look there who has the certificate; ") + kOfferAgain);
  }
}

net::TlsOptions asking(const std::string& pin) {
  net::TlsOptions options;
  options.pin = pin;
  options.tls13_only = true;
  options.alpn = {kAlpn};
  return options;
}

Result<std::unique_ptr<net::TlsStream>> shake_hands(const Errand& errand, net::Fd connection,
                                                    const CancelToken& stop) {
  if (errand.pin.size() != 2 * sizeof(Token::server))
    return fail(ErrorCode::protocol, "an errand without a word of who is meant");
  US_TRY(const auto context, net::TlsContext::client(asking(errand.pin), {}));
  auto stream = context.connect({std::move(connection), errand.address}, "", kTurn, stop);
  if (!stream && stream.error().code() == ErrorCode::unauthenticated)
    return fail(ErrorCode::unauthenticated, "who answers is not who made the token",
                "look whether the address is right, and whether that offer still runs");
  if (stream && (*stream)->alpn() != kAlpn)
    return fail(ErrorCode::protocol, "who answers does not speak of enrolment");
  return stream;
}

Result<Outcome> ask(net::Stream& stream, const Errand& errand) {
  Secret secret;
  net::PublicKey key;
  if (errand.secret.size() != secret.size() || errand.public_key.size() != key.size())
    return fail(ErrorCode::protocol, "an errand that cannot be understood");
  std::ranges::copy(errand.secret, secret.begin());
  std::ranges::copy(errand.public_key, key.begin());
  US_CHECK(send_ask(stream, secret, errand.request));
  US_TRY(Reply reply, read_reply(stream));
  if (reply.refusal != Refusal::none) return refused(reply.refusal);
  US_CHECK(net::check_signed(reply.made, key));
  return Outcome{std::move(reply.made.certificate), std::move(reply.made.authority)};
}

Result<net::CertificateInfo> try_accept(const Token& token, const std::string& host, uint16_t port,
                                        const std::string& out, const Give& give) {
  US_TRY(const net::HostKey key, net::make_host_key());
  US_TRY(net::Connection connection, net::connect_tcp(host, port, limits::kLinkConnect));
  US_TRY(net::SocketPair ends, net::socket_pair(SOCK_STREAM));
  const Errand errand{{token.secret.begin(), token.secret.end()},
                      token.pin(),
                      connection.peer,
                      key.request,
                      {key.public_key.begin(), key.public_key.end()}};
  US_CHECK(give(pack(errand), connection.fd.get(), ends.theirs.get()));
  connection.fd = {};  // the process has them
  ends.theirs = {};
  ipc::Lane lane(std::move(ends.ours), {});
  US_TRY(const ipc::Message message, lane.receive(kMostOutcome, kAllTurns));
  auto outcome = unpack<Result<Outcome>>(message.payload);
  if (message.word != ipc::Word::outcome || !outcome)
    return fail(ErrorCode::protocol, "what came of it cannot be read");
  if (!*outcome) return fail(outcome->error());
  const net::SignedKey made{std::move((*outcome)->certificate), std::move((*outcome)->authority)};
  US_TRY(net::CertificateInfo info, net::write_host_files(out, key, made));
  // The files are there, whatever the other side still hears of it.
  if (lane.send(ipc::Word::kept, {}, 0, kTurn)) (void)lane.receive(0, kTurn);  // until it is said
  return info;
}

}  // namespace

Result<net::CertificateInfo> accept(const Token& token, const std::string& host, uint16_t port,
                                    const std::string& out, const Give& give) {
  US_CHECK(net::check_host_folder(out));
  auto info = try_accept(token, host, port, out, give);
  if (info || info.error().code() == ErrorCode::in_use) return info;
  return fail(info.error().context("enrolment at " + host + " port " + std::to_string(port)));
}

void carry_out(ByteView packed, net::Fd connection, net::Fd end, const CancelToken& stop) {
  const auto errand = unpack<Errand>(packed);
  if (!errand) return log_error("enrol", "the errand cannot be understood");
  ipc::Lane lane(std::move(end), stop);
  auto stream = shake_hands(*errand, std::move(connection), stop);
  const Result<Outcome> outcome = stream ? ask(**stream, *errand) : fail(stream.error());
  if (!lane.send(ipc::Word::outcome, pack(outcome), kMostOutcome, kTurn) || !outcome) return;
  const auto message = lane.receive(0, kWriting);
  if (!message || message->word != ipc::Word::kept) return;
  (void)(*stream)->write_all({&kKept, 1}, kTurn);
  (void)(*stream)->shutdown();
  std::byte rest{};
  (void)(*stream)->read({&rest, 1}, kTurn);  // it has heard it
}

}  // namespace understudy::enrol
