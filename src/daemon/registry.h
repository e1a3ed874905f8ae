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
  // Both take the entry of that AllowedPrimaryHostSystem; invalid_parameter when there is none.
  Status modify_entry(const AuthorizationEntry& entry);
  Status remove_entry(const std::string& allowed_primary_host_system);
  // The entry that admits a host with one of these names: by its name, else by a wildcard, else "*".
  Result<AuthorizationEntry> entry_for(const std::vector<std::string>& names) const;
  // Do the entries that admit the two carry the same trust group? (None is no group.) Compared with case.
  bool same_group(const std::vector<std::string>& names, const std::vector<std::string>& others) const;

 private:
  using Entries = std::vector<AuthorizationEntry>;
  Result<Entries::iterator> find(const std::string& allowed_primary_host_system);  // with the mutex held
  core::StateDb& db_;
  mutable std::mutex mutex_;
  ServiceSettings settings_;
  Entries entries_;
};

}  // namespace understudy::daemon
