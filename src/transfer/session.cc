#include "transfer/session.h"

#include "base/assert.h"
#include "transfer/control.h"
#include "transfer/frame_io.h"
#include "transfer/receiver.h"

namespace understudy::transfer {
namespace {

class Session {
 public:
  Session(Wire& wire, const PeerIdentity& peer, const Hello& own, PeerService& service, uint64_t cursor_every)
      : wire_(wire), peer_(peer), own_(own), service_(service), cursor_every_(cursor_every) {}
  Status run();
  // The error of run() is what the primary said.
  bool primary_gave_up() const { return primary_gave_up_; }

 private:
  Status greet();
  Status take(const Frame& frame);
  Result<JsonObject> perform(const Request& request);
  Result<JsonObject> begin(const Request& request);
  Status receive();

  Wire& wire_;
  PeerIdentity peer_;
  const Hello& own_;
  PeerService& service_;
  const uint64_t cursor_every_;
  uint64_t last_id_ = 0;
  bool primary_gave_up_ = false;
  // Between a begin and its end.
  std::shared_ptr<Sink> sink_;
  BeginRequest begun_;
  Cursor from_;
};

bool just_gone(const Error& error) {
  return error.code() == ErrorCode::not_available || error.code() == ErrorCode::timeout;
}

Status Session::run() {
  US_CHECK(service_.admit(peer_));
  US_CHECK(greet());
  while (true) {
    const auto frame = read_frame(wire_, limits::kLinkIdle);
    if (!frame && just_gone(frame.error())) return {};
    if (!frame) return fail(frame.error());
    US_CHECK(take(*frame));
  }
}

Status Session::greet() {
  US_TRY(const Frame frame, read_frame(wire_, limits::kLinkHandshake));
  if (frame.type != FrameType::hello) return fail(ErrorCode::protocol, "the first frame is not a greeting");
  US_TRY(const Hello theirs, read_hello(frame.payload));
  US_CHECK(agree_version(own_, theirs, "the primary host"));
  peer_.product_version = theirs.product_version;
  return write_text(wire_, FrameType::hello, encode(own_), limits::kLinkHandshake);
}

// One frame in the state `ready`.
Status Session::take(const Frame& frame) {
  if (frame.type == FrameType::error) {
    primary_gave_up_ = true;
    US_TRY(const Refusal refusal, read_refusal(frame.payload));
    return fail(refusal.error.context("the primary gave up"));
  }
  if (frame.type != FrameType::request)
    return fail(ErrorCode::protocol, "a frame of type " + std::to_string(static_cast<unsigned>(frame.type)) +
                                         " where a request should be");
  US_TRY(const Request request, read_request(frame.payload));
  if (request.id <= last_id_) return fail(ErrorCode::protocol, "the number of a request does not grow");
  last_id_ = request.id;
  const auto result = perform(request);
  if (!result)
    return write_text(wire_, FrameType::error, refusal_text(request.id, result.error()), limits::kLinkCall);
  US_CHECK(write_text(wire_, FrameType::answer, answer_text(request.id, *result), limits::kLinkCall));
  return sink_ ? receive() : Status();
}

template <class T>
Result<T> params(const Request& request) {
  auto decoded = from_json<T>(request.params);
  if (!decoded) return fail(ErrorCode::protocol, request.method + ": " + decoded.error().message());
  return decoded;
}

Result<JsonObject> Session::perform(const Request& request) {
  if (request.method == "begin") return begin(request);
  if (request.method == "query") {
    US_TRY(const QueryRequest asked, params<QueryRequest>(request));
    US_TRY(const Holdings holdings, service_.query(peer_, asked));
    return to_json(holdings);
  }
  if (request.method == "prepare") {
    US_TRY(const PrepareRequest asked, params<PrepareRequest>(request));
    US_TRY(const PrepareAnswer answer, service_.prepare(peer_, asked));
    return to_json(answer);
  }
  if (request.method == "finish") {
    US_TRY(const FinishRequest asked, params<FinishRequest>(request));
    US_TRY(const RecoveryPoint point, service_.finish(peer_, asked));
    return to_json(point);
  }
  if (request.method == "remove") {
    US_TRY(const VmRequest asked, params<VmRequest>(request));
    US_CHECK(service_.remove(peer_, asked.vm));
    return JsonObject();
  }
  if (request.method == "hashes") {
    US_TRY(const HashesRequest asked, params<HashesRequest>(request));
    US_TRY(const HashesAnswer answer, service_.hashes(peer_, asked));
    return to_json(answer);
  }
  return fail(ErrorCode::not_supported,
              "the request '" + request.method.substr(0, 64) + "' is not known here",
              "bring both hosts to the same version of Understudy");
}

Result<JsonObject> Session::begin(const Request& request) {
  US_TRY(begun_, params<BeginRequest>(request));
  US_TRY(Begun begun, service_.begin(peer_, begun_));
  US_ASSERT(begun.sink);
  sink_ = std::move(begun.sink);
  from_ = begun.cursor;
  return to_json(from_);
}

Status Session::receive() {
  const std::shared_ptr<Sink> sink = std::move(sink_);
  Receiver receiver(wire_, *sink, transfer_tag(begun_.vm, begun_.key), begun_.granule, from_, cursor_every_);
  const Status status = receiver.run();
  primary_gave_up_ = receiver.primary_gave_up();
  return status;
}

}  // namespace

Status serve(Wire& wire, const PeerIdentity& peer, const Hello& own, PeerService& service,
             uint64_t cursor_every) {
  Session session(wire, peer, own, service, cursor_every);
  const Status status = session.run();
  if (status || session.primary_gave_up()) {
    (void)wire.shutdown();
  } else {
    (void)write_text(wire, FrameType::error, refusal_text(0, status.error()), limits::kLinkHandshake);
    part(wire);
  }
  return status;
}

}  // namespace understudy::transfer
