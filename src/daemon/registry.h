// Service settings and authorization entries of this host: in memory, and as intent in the state database.
// Any thread.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "core/ports/state_db.h"
#include "model/settings.h"

namespace understudy::daemon {

class Registry {
 public:
  explicit Registry(core::StateDb& db) : db_(db) {}
  Status load();

  ServiceSettings settings() const;
  Status store_settings(const ServiceSettings& settings);
  std::vector<AuthorizationEntry> entries() const;
  Status add_entry(const AuthorizationEntry& entry);
  // The entry that admits a host with one of these names: by its name, else by a wildcard, else "*".
  Result<AuthorizationEntry> entry_for(const std::vector<std::string>& names) const;

 private:
  core::StateDb& db_;
  mutable std::mutex mutex_;
  ServiceSettings settings_;
  std::vector<AuthorizationEntry> entries_;
};

}  // namespace understudy::daemon
