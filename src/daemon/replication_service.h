// The replica host's side of the link: who may send, and each message turned into an event of an engine.
// Called on the connections' threads; lives as long as the listener.
#pragma once

#include <functional>

#include "daemon/registry.h"
#include "performer/asker.h"
#include "transfer/peer.h"

namespace understudy::daemon {

class ReplicationService final : public transfer::PeerService {
 public:
  // Looks at the folder that replicas of an entry are kept in, before the first one is made there.
  using LookAt = std::function<Finding(const std::string& storage)>;
  // Whether a peer's certificate still counts; empty: they all do.
  using StillGood = std::function<Status(const transfer::PeerIdentity& peer)>;
  // What a peer sends into the sink of its transfer, within the quota of the entry that admits it; empty:
  // there are no quotas.
  using Within = std::function<Result<std::shared_ptr<transfer::Sink>>(const AuthorizationEntry& entry,
                                                                       std::shared_ptr<transfer::Sink> sink)>;
  ReplicationService(performer::Asker& core, const Registry& registry, std::string host_name,
                     LookAt look = {}, StillGood still_good = {}, Within within = {})
      : core_(core),
        registry_(registry),
        host_name_(std::move(host_name)),
        look_(std::move(look)),
        still_good_(std::move(still_good)),
        within_(std::move(within)) {}

  Status admit(const transfer::PeerIdentity& peer) override;
  Result<transfer::PrepareAnswer> prepare(const transfer::PeerIdentity& peer,
                                          const transfer::PrepareRequest& request) override;
  Result<Holdings> query(const transfer::PeerIdentity& peer, const transfer::QueryRequest& request) override;
  Result<transfer::Begun> begin(const transfer::PeerIdentity& peer,
                                const transfer::BeginRequest& request) override;
  Result<RecoveryPoint> finish(const transfer::PeerIdentity& peer,
                               const transfer::FinishRequest& request) override;
  Status remove(const transfer::PeerIdentity& peer, const Uuid& vm) override;
  Result<transfer::HashesAnswer> hashes(const transfer::PeerIdentity& peer,
                                        const transfer::HashesRequest& request) override;

 private:
  bool trusted(const transfer::PeerIdentity& peer, const std::optional<core::State>& replica) const;
  performer::Asker& core_;
  const Registry& registry_;
  std::string host_name_;
  LookAt look_;
  StillGood still_good_;
  Within within_;
};

}  // namespace understudy::daemon
