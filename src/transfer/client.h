// The primary's end of a conversation over any Wire: Peer, as docs/spec/wire.md says. After a failure that is
// not just a refusal the connection is closed, and every later call says why. One thread at a time.
#pragma once

#include <memory>
#include <optional>

#include "transfer/frame_io.h"
#include "transfer/peer.h"
#include "transfer/throttle.h"

namespace understudy::transfer {

class Client final : public Peer {
 public:
  // Greets and agrees on the version; waits `deadline` for the other side's greeting. `throttle` may be null.
  static Result<std::unique_ptr<Client>> greet(std::unique_ptr<Wire> wire, const Hello& own,
                                               Duration deadline, std::shared_ptr<Throttle> throttle);
  ~Client() override;

  const Hello& hello() const override { return theirs_; }
  Result<PrepareAnswer> prepare(const PrepareRequest& request) override;
  Result<Holdings> query(const QueryRequest& request) override;
  // Every begin that succeeds is followed by send(), also when there is nothing to send.
  Result<Cursor> begin(const BeginRequest& request) override;
  Result<SendSummary> send(Source& source, Cursor from, bool compress, const Progress& progress,
                           const CancelToken& cancel) override;
  Result<RecoveryPoint> finish(const FinishRequest& request) override;
  Status remove(const Uuid& vm) override;
  Result<HashesAnswer> hashes(const HashesRequest& request) override;

 private:
  struct Open {  // the transfer that was begun
    uint64_t tag = 0;
    Cursor from;
  };
  Client(std::unique_ptr<Wire> wire, Hello own, Hello theirs, std::shared_ptr<Throttle> throttle);
  template <class T, class R>
  Result<T> call(std::string_view method, const R& request, Duration deadline);
  Result<Frame> exchange(std::string_view request, Duration deadline);
  tl::unexpected<Error> lost(const Error& cause);  // closes the connection

  std::unique_ptr<Wire> wire_;
  const Hello own_;
  const Hello theirs_;
  const std::shared_ptr<Throttle> throttle_;
  uint64_t last_id_ = 0;
  std::optional<Open> open_;
  std::optional<Error> lost_;
};

}  // namespace understudy::transfer
