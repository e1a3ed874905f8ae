#include "enrol/messages.h"

#include <algorithm>

namespace understudy::enrol {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kAskHead = 1 + sizeof(Secret) + 2;
constexpr size_t kReplyHead = 6;

tl::unexpected<Error> strange(const char* what) {
  return fail(ErrorCode::protocol, what, "install the same version on both hosts");
}

struct ReplyHead {
  Refusal refusal;
  size_t certificate, authority;
};
Result<ReplyHead> read_head(ByteView bytes) {
  ByteReader in(bytes);
  const auto version = in.le<uint8_t>();
  const auto refusal = in.le<uint8_t>();
  const ReplyHead head{static_cast<Refusal>(refusal), in.le<uint16_t>(), in.le<uint16_t>()};
  const bool certificates = head.certificate > 0;
  if (in.bad() || version != kVersion || refusal > static_cast<uint8_t>(Refusal::over) ||
      head.certificate > kMostCertificate || head.authority > kMostCertificate ||
      certificates != (head.authority > 0) || (certificates && head.refusal != Refusal::none))
    return strange("the answer to an enrolment cannot be read");
  return head;
}

}  // namespace

Status send_ask(net::Stream& stream, const Secret& secret, ByteView request) {
  ByteWriter out;
  out.le(kVersion);
  out.raw(secret);
  out.le(static_cast<uint16_t>(request.size()));
  out.raw(request);
  return stream.write_all(out.bytes(), kTurn);
}

Result<Ask> read_ask(net::Stream& stream) {
  std::byte bytes[kAskHead];
  US_CHECK(net::read_exactly(stream, bytes, kTurn));
  ByteReader in(bytes);
  const auto version = in.le<uint8_t>();
  Ask ask;
  std::ranges::copy(in.take(ask.secret.size()), ask.secret.begin());
  ask.request_size = in.le<uint16_t>();
  if (version != kVersion || ask.request_size > net::kMostRequest)
    return strange("this asks for no enrolment");
  return ask;
}

Result<Bytes> read_request_bytes(net::Stream& stream, const Ask& ask) {
  Bytes request(ask.request_size);
  US_CHECK(net::read_exactly(stream, request, kTurn));
  return request;
}

Bytes encode(const Reply& reply) {
  ByteWriter out;
  out.le(kVersion);
  out.le(static_cast<uint8_t>(reply.refusal));
  out.le(static_cast<uint16_t>(reply.made.certificate.size()));
  out.le(static_cast<uint16_t>(reply.made.authority.size()));
  out.raw(reply.made.certificate);
  out.raw(reply.made.authority);
  return out.take();
}

Result<Reply> read_reply(net::Stream& stream) {
  std::byte bytes[kReplyHead];
  US_CHECK(net::read_exactly(stream, bytes, kTurn));
  US_TRY(const ReplyHead head, read_head(bytes));
  Reply reply{head.refusal, {Bytes(head.certificate), Bytes(head.authority)}};
  US_CHECK(net::read_exactly(stream, reply.made.certificate, kTurn));
  US_CHECK(net::read_exactly(stream, reply.made.authority, kTurn));
  return reply;
}

Result<Reply> decode_reply(ByteView bytes) {
  US_TRY(const ReplyHead head, read_head(bytes.first(std::min(bytes.size(), kReplyHead))));
  bytes = bytes.subspan(kReplyHead);
  if (bytes.size() != head.certificate + head.authority)
    return strange("the answer to an enrolment has another length than it says");
  const ByteView certificate = bytes.first(head.certificate);
  const ByteView authority = bytes.subspan(head.certificate);
  return Reply{head.refusal,
               {{certificate.begin(), certificate.end()}, {authority.begin(), authority.end()}}};
}

}  // namespace understudy::enrol
