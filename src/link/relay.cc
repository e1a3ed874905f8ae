#include "link/relay.h"

#include <algorithm>

#include "base/base64.h"
#include "base/cancel.h"
#include "base/pack.h"
#include "base/thread.h"
#include "model/codec.h"
#include "transfer/compression.h"
#include "transfer/control.h"

namespace understudy::transfer {

template <class F>
void fields(F& f, PeerIdentity& peer) {
  f(peer.common_name, peer.names, peer.thumbprint, peer.address, peer.product_version);
}

}  // namespace understudy::transfer

namespace understudy::link {
namespace {

using transfer::Frame;
using transfer::FrameType;

constexpr uint32_t kMostIdentity = 64 << 10;
// Who falls silent is ended by the daemon, which then ends this.
constexpr Duration kForever = Duration::seconds(86400);

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

// Numbers, texts and lists of our own making, whatever they looked like.
Result<Bytes> json_anew(ByteView payload) {
  const auto object = JsonObject::parse(as_text(payload), payload.size());
  if (!object) return fail(ErrorCode::protocol, object.error().message());
  return bytes_of(object->text());
}

// What the firmware stored is compressed by the primary, and here by us.
Status nvram_anew(JsonObject& params) {
  US_TRY(const std::string text, params.text("nvram"));
  const auto packed = from_base64(text);
  if (!packed) return fail(ErrorCode::protocol, "finish: nvram is no base64");
  if (packed->empty()) return {};
  US_TRY(const Bytes raw, transfer::unpack(*packed, limits::kMostNvram));
  params.set("nvram", to_base64(transfer::pack(raw)));
  return {};
}

Result<Bytes> request_anew(ByteView payload) {
  US_TRY(transfer::Request request, transfer::read_request(payload));
  if (request.method == "finish" && request.params.has("nvram")) US_CHECK(nvram_anew(request.params));
  return bytes_of(transfer::request_text(request.id, request.method, request.params));
}

Result<Frame> data_anew(const Frame& frame) {
  US_TRY(transfer::ExtentHead head, transfer::decode_extent(frame.type, frame.payload));
  if (head.codec == transfer::Codec::none) return frame;
  Bytes raw(head.length);
  thread_local transfer::Decompressor decompressor;
  US_CHECK(decompressor.decompress(ByteView(frame.payload).subspan(transfer::kExtentHeadSize), raw));
  head.codec = transfer::Codec::none;
  Bytes whole(transfer::kHeaderSize + transfer::kExtentHeadSize);
  transfer::encode_extent(frame.type, head, static_cast<uint32_t>(raw.size()), whole);
  Frame anew{frame.type, Bytes(whole.begin() + transfer::kHeaderSize, whole.end())};
  anew.payload.insert(anew.payload.end(), raw.begin(), raw.end());
  return anew;
}

bool gone(const Error& error) {
  return error.code() == ErrorCode::not_available || error.code() == ErrorCode::timeout ||
         error.code() == ErrorCode::cancelled;
}

// The peer is the other side.
bool may_come(FrameType type, Side ours) {
  switch (type) {
    case FrameType::hello:
    case FrameType::error:
      return true;
    case FrameType::answer:
    case FrameType::applied:
    case FrameType::cursor:
      return ours == Side::primary;
    default:
      return ours == Side::replica;
  }
}

Result<Frame> take_from(transfer::Wire& network, Side ours) {
  US_TRY(Frame frame, transfer::read_frame(network, kForever));
  if (!may_come(frame.type, ours))
    return fail(ErrorCode::protocol, "a frame of type " + std::to_string(static_cast<unsigned>(frame.type)) +
                                         " from a " + (ours == Side::primary ? "replica" : "primary"));
  return made_anew(std::move(frame));
}

// What the two directions tell each other.
struct Turn {
  CancelToken admitted;  // a replica's daemon does, by its first PING
  CancelToken back_over, forth_over;
};

// From the daemon: frames as they are. At its end ours to the network, and a while later all of it.
void carry_back(transfer::Wire& daemon, transfer::Wire& network, Turn& turn) {
  while (true) {
    const auto frame = transfer::read_frame(daemon, kForever);
    if (!frame) break;
    if (!turn.admitted.cancelled() && frame->type == FrameType::ping)
      turn.admitted.cancel();
    else if (!transfer::write_frame(network, frame->type, frame->payload, limits::kLinkIdle))
      break;
  }
  (void)network.shutdown();
  turn.back_over.cancel();
  if (!CancelToken::wait({turn.forth_over}, transfer::kDrain)) network.interrupt();
}

Status carry_forth(transfer::Wire& network, transfer::Wire& daemon, Side side, Turn& turn) {
  CancelToken::wait({turn.admitted, turn.back_over}, kForever);
  if (!turn.admitted.cancelled()) {
    transfer::part(network);  // so that the refusal is not lost
    return {};
  }
  while (true) {
    const auto frame = take_from(network, side);
    if (!frame) {
      const std::string refusal = transfer::refusal_text(0, frame.error());
      if (side == Side::primary)  // its daemon has no other way to know
        (void)transfer::write_text(daemon, FrameType::error, refusal, limits::kLinkCall);
      if (gone(frame.error())) return {};
      (void)transfer::write_text(network, FrameType::error, refusal, limits::kLinkCall);
      transfer::part(network);
      return fail(frame.error());
    }
    if (!transfer::write_frame(daemon, frame->type, frame->payload, limits::kLinkFinish)) return {};
  }
}

}  // namespace

Status announce(transfer::Wire& daemon, const Result<transfer::PeerIdentity>& peer) {
  const Bytes packed = pack(peer);
  ByteWriter message;
  message.le(static_cast<uint32_t>(packed.size()));
  message.raw(packed);
  return daemon.write(message.bytes(), limits::kLinkHandshake);
}

Result<transfer::PeerIdentity> read_announced(transfer::Wire& process, Duration timeout) {
  const auto take = [&process, timeout](MutableByteView into) -> Status {
    while (!into.empty()) {
      US_TRY(const size_t n, process.read(into, timeout));
      if (n == 0) return fail(ErrorCode::not_available, "the conversation ended before it began");
      into = into.subspan(n);
    }
    return {};
  };
  std::byte length_bytes[4];
  US_CHECK(take(length_bytes));
  const auto length = load_le<uint32_t>(length_bytes);
  if (length > kMostIdentity) return fail(ErrorCode::protocol, "nobody has so long a name");
  Bytes packed(length);
  US_CHECK(take(packed));
  auto peer = unpack<Result<transfer::PeerIdentity>>(packed);
  if (!peer) return fail(ErrorCode::protocol, "the peer's identity cannot be read");
  return std::move(*peer);
}

Result<Frame> made_anew(Frame frame) {
  switch (frame.type) {
    case FrameType::hello:
    case FrameType::answer:
    case FrameType::error: {
      US_TRY(frame.payload, json_anew(frame.payload));
      break;
    }
    case FrameType::request: {
      US_TRY(frame.payload, request_anew(frame.payload));
      break;
    }
    case FrameType::extent_data:
    case FrameType::extent_zero: {
      US_TRY(frame, data_anew(frame));
      break;
    }
    default:
      break;  // its length and its numbers are all there is to it
  }
  US_CHECK(transfer::check_length(frame.type, frame.payload.size()));  // another spelling may be longer
  return frame;
}

Status relay(transfer::Wire& network, transfer::Wire& daemon, Side side) {
  Turn turn;
  if (side == Side::primary) turn.admitted.cancel();
  Thread back("link-back", [&] { carry_back(daemon, network, turn); });
  const Status status = carry_forth(network, daemon, side, turn);
  (void)daemon.shutdown();
  turn.forth_over.cancel();
  back.join();
  return status;
}

}  // namespace understudy::link
