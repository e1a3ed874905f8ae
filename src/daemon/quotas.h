// How much of this host's disks the replicas of one authorization entry may take up. Any thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daemon/registry.h"
#include "transfer/peer.h"

namespace understudy::daemon {

class Quotas {
 public:
  struct Kept {
    std::string primary;    // certificate name of who sends it
    std::string directory;  // of the replica
  };
  // `most`: bytes, by the AllowedPrimaryHostSystem of an entry; those that are not in it have no bound.
  // `replicas` gives all that there are. `registry` outlives this.
  Quotas(std::map<std::string, uint64_t> most, const Registry& registry,
         std::function<std::vector<Kept>()> replicas)
      : most_(std::move(most)), registry_(registry), replicas_(std::move(replicas)) {}
  // The sink for what a peer of this entry sends now: what the entry's replicas take up and what comes stay
  // within its quota, or ErrorCode::no_space, here or as the bytes come.
  Result<std::shared_ptr<transfer::Sink>> within(const AuthorizationEntry& entry,
                                                 std::shared_ptr<transfer::Sink> sink) const;

 private:
  const std::map<std::string, uint64_t> most_;
  const Registry& registry_;
  const std::function<std::vector<Kept>()> replicas_;
};

}  // namespace understudy::daemon
