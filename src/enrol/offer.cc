#include "enrol/offer.h"

#include <algorithm>

#include "base/pack.h"
#include "ipc/lane.h"

namespace understudy::enrol {
namespace {

// The process that listens waits so long for its caller.
constexpr Duration kItsTurn = kTurn + Duration::seconds(5);
constexpr Duration kItsEnd = kWriting + Duration::seconds(10);

Result<Bytes> take(ipc::Lane& lane, ipc::Word wanted, Duration timeout) {
  US_TRY(ipc::Message message, lane.receive(kMostClaim, timeout));
  if (message.word != wanted) return fail(ErrorCode::protocol, "a word out of turn");
  return std::move(message.payload);
}

Status say(ipc::Lane& lane, const Reply& reply) {
  return lane.send(ipc::Word::reply, encode(reply), kMostReply, kTurn);
}

}  // namespace

Offer::State Offer::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Offer::give_up(Error why) {
  const std::lock_guard lock(mutex_);
  if (state_.signed_ || state_.error) return;
  state_.error = std::move(why);
  state_.over = true;
}

void Offer::serve(net::Fd lane, const CancelToken& stop) {
  (void)converse(std::move(lane), stop);  // a process that breaks off is as a caller that does
  const std::lock_guard lock(mutex_);
  if (state_.wrong >= kMostWrong && !state_.signed_ && !state_.error)
    state_.error = Error(ErrorCode::access_denied,
                         std::to_string(kMostWrong) + " callers had a wrong secret, the last one at " +
                             state_.wrong_from + ": the offer is over",
                         "look who that is, and offer again");
  state_.over = state_.over || state_.error.has_value();
}

// Nothing is over before the caller has had its answer.
Status Offer::converse(net::Fd end, const CancelToken& stop) {
  ipc::Lane lane(std::move(end), stop);
  US_TRY(const Bytes packed, take(lane, ipc::Word::claim, kItsTurn));
  const auto claim = unpack<Claim>(packed);
  if (!claim) return fail(ErrorCode::protocol, "a claim that cannot be read");
  Reply reply = judge(*claim);
  US_CHECK(say(lane, reply));
  if (reply.refusal != Refusal::none) {
    (void)take(lane, ipc::Word::kept, kItsTurn);  // until it closes
    return {};
  }
  net::PublicKey key;
  US_TRY(const Bytes point, take(lane, ipc::Word::key, kItsTurn));
  if (point.size() != key.size()) return fail(ErrorCode::protocol, "a key of another size");
  std::ranges::copy(point, key.begin());
  reply = sign(key, claim->from);
  const Status said = say(lane, reply);
  if (reply.refusal != Refusal::none) return {};
  const bool kept = said && take(lane, ipc::Word::kept, kItsEnd);
  const std::lock_guard lock(mutex_);
  state_.kept = kept;
  state_.over = true;
  return {};
}

// The secret is looked at before anything that comes with it.
Reply Offer::judge(const Claim& claim) {
  const std::lock_guard lock(mutex_);
  if (state_.signed_ || state_.error || state_.wrong >= kMostWrong) return {Refusal::over};
  if (same_secret(secret_, claim.secret)) return {};
  ++state_.wrong;
  state_.wrong_from = claim.from;
  return {Refusal::secret};
}

Reply Offer::sign(const net::PublicKey& key, const std::string& from) {
  const std::lock_guard lock(mutex_);
  if (state_.signed_ || state_.error) return {Refusal::over};
  auto made = net::sign_key(authority_, names_, key);
  auto info = made ? net::check_signed(*made, key) : fail(made.error());
  if (!info || made->certificate.size() > kMostCertificate || made->authority.size() > kMostCertificate) {
    state_.error = info ? Error(ErrorCode::too_large, "the certificates are too large for an enrolment",
                                "understudy certificate host")
                        : info.error();
    return {Refusal::request};
  }
  state_.signed_ = std::move(*info);
  state_.from = from;
  return {Refusal::none, std::move(*made)};
}

}  // namespace understudy::enrol
