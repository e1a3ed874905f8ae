#include "transfer/client.h"

#include "transfer/control.h"
#include "transfer/sender.h"

namespace understudy::transfer {
namespace {

struct Nothing {};
void fields(JsonFields&, Nothing&) {}

Result<Hello> read_greeting(Wire& wire, Duration deadline) {
  US_TRY(const Frame frame, read_frame(wire, deadline));
  if (frame.type == FrameType::error) {
    US_TRY(const Refusal refusal, read_refusal(frame.payload));
    return fail(refusal.error);
  }
  if (frame.type != FrameType::hello) return fail(ErrorCode::protocol, "the other host does not greet");
  return read_hello(frame.payload);
}

}  // namespace

Result<std::unique_ptr<Client>> Client::greet(std::unique_ptr<Wire> wire, const Hello& own, Duration deadline,
                                              std::shared_ptr<Throttle> throttle) {
  // A host that refuses us may close before it has read our greeting: its words count, not the failed write.
  const Status written = write_text(*wire, FrameType::hello, encode(own), deadline);
  US_TRY(Hello theirs, read_greeting(*wire, deadline));
  US_CHECK(written);
  if (const auto version = agree_version(own, theirs, "the replica host"); !version) {
    (void)write_text(*wire, FrameType::error, refusal_text(0, version.error()), deadline);
    return fail(version.error());
  }
  return std::unique_ptr<Client>(new Client(std::move(wire), own, std::move(theirs), std::move(throttle)));
}

Client::Client(std::unique_ptr<Wire> wire, Hello own, Hello theirs, std::shared_ptr<Throttle> throttle)
    : wire_(std::move(wire)),
      own_(std::move(own)),
      theirs_(std::move(theirs)),
      throttle_(std::move(throttle)) {}

Client::~Client() {
  if (!lost_) (void)wire_->shutdown();
}

tl::unexpected<Error> Client::lost(const Error& cause) {
  lost_ = Error(ErrorCode::not_available,
                "the connection to '" + theirs_.host + "' was closed: " + cause.message(), cause.hint());
  wire_->interrupt();
  return fail(cause);
}

// The frame that answers; an ERROR that ends the connection comes back as its error.
Result<Frame> Client::exchange(std::string_view request, Duration deadline) {
  const Status written = write_text(*wire_, FrameType::request, request, limits::kLinkCall);
  if (!written && written.error().code() == ErrorCode::too_large) return fail(written.error());
  auto frame = read_frame(*wire_, deadline);
  if (!frame) return lost(written ? frame.error() : written.error());
  if (frame->type != FrameType::error && frame->type != FrameType::answer)
    return lost(Error(ErrorCode::protocol, "'" + theirs_.host + "' answered with a frame of type " +
                                               std::to_string(static_cast<unsigned>(frame->type))));
  return frame;
}

template <class T, class R>
Result<T> Client::call(std::string_view method, const R& request, Duration deadline) {
  if (lost_) return fail(*lost_);
  if (open_) return fail(ErrorCode::invalid_state, "a transfer was begun and not sent");
  const uint64_t id = ++last_id_;
  US_TRY(const Frame frame, exchange(request_text(id, method, to_json(request)), deadline));
  if (frame.type == FrameType::error) {
    const auto refusal = read_refusal(frame.payload);
    if (!refusal) return lost(refusal.error());
    if (refusal->id != id) return lost(refusal->error);
    return fail(refusal->error);
  }
  auto answer = read_answer(frame.payload);
  if (!answer) return lost(answer.error());
  if (answer->id != id) return lost(Error(ErrorCode::protocol, "the answer to another request"));
  auto result = from_json<T>(std::move(answer->result));
  if (!result)
    return lost(
        Error(ErrorCode::protocol, "the answer to " + std::string(method) + ": " + result.error().message()));
  return result;
}

Result<PrepareAnswer> Client::prepare(const PrepareRequest& request) {
  return call<PrepareAnswer>("prepare", request, limits::kLinkCall);
}
Result<Holdings> Client::query(const QueryRequest& request) {
  return call<Holdings>("query", request, limits::kLinkCall);
}
Result<RecoveryPoint> Client::finish(const FinishRequest& request) {
  if (request.nvram.size() > (request.definition ? limits::kMostNvram : 0))
    return fail(ErrorCode::invalid_parameter, "NVRAM of " + std::to_string(request.nvram.size()) + " bytes " +
                                                  (request.definition ? "" : "without a definition ") +
                                                  "cannot be sent");
  return call<RecoveryPoint>("finish", request, limits::kLinkFinish);
}
Status Client::remove(const Uuid& vm) {
  US_CHECK(call<Nothing>("remove", VmRequest{vm}, limits::kLinkCall));
  return {};
}
Result<HashesAnswer> Client::hashes(const HashesRequest& request) {
  US_TRY(HashesAnswer answer, call<HashesAnswer>("hashes", request, limits::kLinkCall));
  if (const Status covers = check_runs(answer.runs, blocks_in(request.length, request.block)); !covers)
    return lost(covers.error());
  return answer;
}

Result<Cursor> Client::begin(const BeginRequest& request) {
  US_TRY(const Cursor from, call<Cursor>("begin", request, limits::kLinkCall));
  open_ = Open{transfer_tag(request.vm, request.key), from};
  return from;
}

Result<SendSummary> Client::send(Source& source, Cursor from, bool compress, const Progress& progress,
                                 const CancelToken& cancel) {
  if (lost_) return fail(*lost_);
  if (!open_ || open_->from != from)
    return fail(ErrorCode::invalid_state, "no transfer was begun that goes on from there");
  Sender sender(*wire_, {open_->tag, from, compress && both_have(own_, theirs_, "zstd"), throttle_.get()});
  open_.reset();
  auto summary = sender.run(source, progress, cancel);
  if (!summary) return lost(summary.error());
  return summary;
}

}  // namespace understudy::transfer
