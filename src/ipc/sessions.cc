#include "ipc/sessions.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/pack.h"
#include "cim/fault.h"
#include "ipc/tree_text.h"

namespace understudy::ipc {
namespace {

// The daemon answers within kMethodReply; a little more, so that its own words win.
constexpr Duration kAnswer = limits::kMethodReply + Duration::seconds(10);
constexpr Duration kHandOver = Duration::seconds(10);
// A session waits for its client; the lane closes when the client does.
constexpr Duration kForever = Duration::seconds(86400);

// Who a session has let in, as it travels.
struct Caller {
  std::string name, method, from, proof, roles;
};
template <class F>
void fields(F& f, Caller& caller) {
  f(caller.name, caller.method, caller.from, caller.proof, caller.roles);
}

Error lost(const Error& cause) {
  return Error(ErrorCode::not_available, "the service is starting again: " + cause.message(),
               "ask again in a few seconds");
}

class RemoteSession final : public session::Session {
 public:
  RemoteSession(net::Fd lane, const CancelToken& never, const cim::XmlParser& parse)
      : lane_(std::move(lane), never), parse_(parse) {}

  Result<authz::Identity> log_in(const authz::Evidence& evidence) override {
    US_TRY(const Bytes payload, call(Word::log_in, pack(evidence), Word::caller));
    const auto outcome = unpack<Result<Caller>>(payload);
    if (!outcome) return fail(lost(Error(ErrorCode::protocol, "its answer cannot be read")));
    if (!*outcome) return fail(outcome->error());
    auto roles = authz::parse_roles((*outcome)->roles);
    if (!roles) return fail(lost(roles.error()));
    return authz::Identity((*outcome)->name, std::move(*roles), (*outcome)->method, (*outcome)->from,
                           (*outcome)->proof);
  }

  cim::Outcome<cim::Response> handle(const cim::Request& request) override {
    auto payload = call(Word::ask, pack(sendable(request)), Word::answer);
    if (!payload) return cim::pass_on(std::move(payload.error()));
    auto outcome = unpack<cim::Outcome<cim::Response>>(*payload);
    if (!outcome) return cim::pass_on(lost(Error(ErrorCode::protocol, "its answer cannot be read")));
    return std::move(*outcome);
  }

 private:
  cim::Request sendable(const cim::Request& request) const {
    const auto* invoke = std::get_if<cim::InvokeRequest>(&request);
    if (!invoke) return request;
    cim::InvokeRequest out{invoke->path, invoke->method, cim::Instance(invoke->parameters.class_name())};
    for (const auto& [name, value] : invoke->parameters.properties())
      out.parameters.set(name, without_xml(value, parse_));
    return out;
  }

  Result<Bytes> call(Word ask, const Bytes& payload, Word wanted) {
    if (auto sent = lane_.send(ask, payload, kMostAsked, kHandOver); !sent) {
      if (sent.error().code() == ErrorCode::too_large) return fail(std::move(sent.error()));
      return fail(lost(sent.error()));
    }
    auto message = lane_.receive(kMostAnswered, kAnswer);
    if (!message) return fail(lost(message.error()));
    if (message->word != wanted) return fail(lost(Error(ErrorCode::protocol, "it answered out of turn")));
    return std::move(message->payload);
  }

  Lane lane_;
  const cim::XmlParser& parse_;
};

}  // namespace

Result<std::unique_ptr<session::Session>> RemoteSessions::open() {
  auto lane = lanes_.open();
  if (!lane) return fail(lost(lane.error()));
  return std::make_unique<RemoteSession>(std::move(*lane), never_, parse_);
}

void SessionServer::serve(net::Fd socket, const CancelToken& stop) {
  Lane lane(std::move(socket), stop);
  const auto session = sessions_.open();
  Status going = session ? Status() : fail(session.error());
  while (going) {
    const auto message = lane.receive(kMostAsked, kForever);
    going = message ? answer(lane, **session, *message) : fail(message.error());
  }
  const ErrorCode end = going.error().code();
  if (end != ErrorCode::not_available && end != ErrorCode::cancelled)
    log_error("front", "a session was ended", {{"cause", going.error().text()}});
}

Status SessionServer::answer(Lane& lane, session::Session& session, const Message& message) {
  if (message.word == Word::log_in) {
    const auto evidence = unpack<authz::Evidence>(message.payload);
    if (!evidence) return fail(ErrorCode::protocol, "the evidence cannot be read");
    if (evidence->unix_uid.has_value() != (clients_ == Clients::local))
      return fail(ErrorCode::protocol, "it claims a client of a kind that it does not have");
    const auto identity = session.log_in(*evidence);
    Result<Caller> caller = identity
                                ? Result<Caller>(Caller{identity->name, identity->method, identity->from,
                                                        identity->proof, authz::text_of(identity->roles)})
                                : fail(identity.error());
    return lane.send(Word::caller, pack(caller), kMostAnswered, kHandOver);
  }
  if (message.word != Word::ask) return fail(ErrorCode::protocol, "a word out of turn");
  const auto request = unpack<cim::Request>(message.payload);
  if (!request) return fail(ErrorCode::protocol, "the request cannot be read");
  const Bytes answer = pack(session.handle(*request));
  if (answer.size() <= kMostAnswered) return lane.send(Word::answer, answer, kMostAnswered, kHandOver);
  const cim::Outcome<cim::Response> refused =
      cim::fault(Error(ErrorCode::too_large, "there is more than one answer can hold; ask with a filter"));
  return lane.send(Word::answer, pack(refused), kMostAnswered, kHandOver);
}

}  // namespace understudy::ipc
