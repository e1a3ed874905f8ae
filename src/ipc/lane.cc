#include "ipc/lane.h"

#include <sys/socket.h>

#include <algorithm>

namespace understudy::ipc {
namespace {

constexpr size_t kHead = 8;         // version, word, two zeroes, length
constexpr size_t kPiece = 1 << 20;  // taken at once: no length is believed before its bytes come

}  // namespace

Lane::Lane(net::Fd socket, CancelToken cancel)
    : stream_(net::Connection{std::move(socket), "process"}, std::move(cancel)) {}

Status Lane::send(Word word, ByteView payload, size_t most, Duration timeout) {
  if (payload.size() > most)
    return fail(ErrorCode::too_large, "a message of " + std::to_string(payload.size()) +
                                          " bytes between processes, at most " + std::to_string(most));
  ByteWriter head;
  head.le(kVersion);
  head.le(static_cast<uint8_t>(word));
  head.le(uint16_t{0});
  head.le(static_cast<uint32_t>(payload.size()));
  US_CHECK(stream_.write_all(head.bytes(), timeout));
  return stream_.write_all(payload, timeout);
}

Result<Message> Lane::receive(size_t most, Duration timeout) {
  std::byte bytes[kHead];
  US_CHECK(net::read_exactly(stream_, bytes, timeout));
  ByteReader head(bytes);
  const auto version = head.le<uint8_t>();
  const auto word = head.le<uint8_t>();
  const auto zero = head.le<uint16_t>();
  const auto length = head.le<uint32_t>();
  if (version != kVersion || zero != 0 || word < 1 || word > static_cast<uint8_t>(Word::kept))
    return fail(ErrorCode::protocol, "no message between processes");
  if (length > most) return fail(ErrorCode::too_large, "a message of " + std::to_string(length) + " bytes");
  Message message{static_cast<Word>(word), {}};
  while (message.payload.size() < length) {
    const size_t at = message.payload.size();
    message.payload.resize(at + std::min<size_t>(kPiece, length - at));
    US_CHECK(net::read_exactly(stream_, MutableByteView(message.payload).subspan(at), timeout));
  }
  return message;
}

Result<net::Fd> Lanes::open() {
  US_TRY(net::SocketPair lane, net::socket_pair(SOCK_STREAM));
  const std::lock_guard lock(mutex_);
  US_CHECK(control_.send(Notice::lane, {}, {lane.theirs.get()}));
  return std::move(lane.ours);
}

}  // namespace understudy::ipc
