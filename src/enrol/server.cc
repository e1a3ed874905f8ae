#include "enrol/server.h"

#include <algorithm>

#include "base/log.h"
#include "base/pack.h"
#include "enrol/messages.h"
#include "ipc/lane.h"

namespace understudy::enrol {
namespace {

constexpr Duration kParting = Duration::seconds(2);

// What was written reaches a caller that has something unread for us only when that is taken first.
void part(net::Stream& stream) {
  (void)stream.shutdown();
  std::byte rest[1024];
  const Monotonic until = net::deadline_in(kParting);
  for (size_t most = net::kMostRequest; most > 0;) {
    const auto n = stream.read(rest, until - net::deadline_in({}));
    if (!n || *n == 0) return;
    most -= std::min(most, *n);
  }
}

Status send_reply(net::Stream& stream, const Reply& reply) {
  return stream.write_all(encode(reply), kTurn);
}

// What the other process says to this: it has the secret, and the authority.
Result<Reply> ask(ipc::Lane& lane, ipc::Word word, ByteView payload) {
  US_CHECK(lane.send(word, payload, kMostClaim, kTurn));
  US_TRY(const ipc::Message message, lane.receive(kMostReply, kTurn));
  if (message.word != ipc::Word::reply) return fail(ErrorCode::protocol, "a word out of turn");
  return decode_reply(message.payload);
}

// From its first bytes to the answer; whether it has a certificate then.
Result<bool> answer(net::Stream& stream, ipc::Lane& lane, const Ask& asked) {
  const Claim claim{{asked.secret.begin(), asked.secret.end()}, stream.peer()};
  US_TRY(Reply reply, ask(lane, ipc::Word::claim, pack(claim)));
  if (reply.refusal == Refusal::none) {
    US_TRY(const Bytes request, read_request_bytes(stream, asked));
    const auto key = net::read_request(request);
    if (key) {
      US_TRY(reply, ask(lane, ipc::Word::key, *key));
    } else {
      reply.refusal = Refusal::request;
    }
  }
  US_CHECK(send_reply(stream, reply));
  return reply.refusal == Refusal::none;
}

}  // namespace

Result<net::TlsContext> offering_context(const net::TlsTexts& texts) {
  net::TlsOptions options;
  options.certificate_file = options.key_file = "made for the offer";
  options.peer = net::PeerCheck::none;
  options.tls13_only = true;
  options.alpn = {kAlpn};
  return net::TlsContext::server(options, texts);
}

Server::Server(net::TlsContext context, net::Fd listener, OpenLane open_lane)
    : context_(std::move(context)),
      listener_(std::move(listener)),
      open_lane_(std::move(open_lane)),
      acceptor_("enrol-accept", [this] { accept_loop(); }) {}

Server::~Server() {
  stop_.cancel();
  acceptor_.join();
  for (Caller& caller : callers_) caller.stop.cancel();
}

void Server::accept_loop() {
  while (true) {
    auto connection = net::accept(listener_, stop_);
    if (!connection) {
      if (connection.error().code() != ErrorCode::cancelled)
        log_error("enrol", "the listener of the offer ended", {{"error", connection.error().text()}});
      return;
    }
    if (!make_room()) continue;
    Caller& caller = callers_.emplace_back();
    caller.thread =
        Thread("enrol-serve", [this, &caller, c = std::make_shared<net::Connection>(std::move(*connection))] {
          (void)serve(std::move(*c), caller);  // what a stranger does is no news
          caller.over = true;
        });
  }
}

// For one more.
bool Server::make_room() {
  std::erase_if(callers_, [](const Caller& caller) { return caller.over.load(); });
  if (callers_.size() < kMostCallers) return true;
  const auto oldest = std::ranges::find_if(callers_, [](const Caller& caller) { return !caller.judged; });
  if (oldest == callers_.end()) return false;
  oldest->stop.cancel();
  callers_.erase(oldest);  // waits for it: it waits with its token for everything
  return true;
}

Status Server::serve(net::Connection connection, Caller& caller) {
  US_TRY(const auto stream, context_.accept(std::move(connection), kTurn, caller.stop));
  US_TRY(const Ask asked, read_ask(*stream));
  caller.judged = true;
  US_TRY(net::Fd end, open_lane_());
  ipc::Lane lane(std::move(end), caller.stop);
  US_TRY(const bool has_it, answer(*stream, lane, asked));
  std::byte word{};
  if (has_it && net::read_exactly(*stream, {&word, 1}, kWriting) && word == kKept)
    US_CHECK(lane.send(ipc::Word::kept, {}, 0, kTurn));
  part(*stream);
  return {};
}

}  // namespace understudy::enrol
