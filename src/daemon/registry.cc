#include "daemon/registry.h"

#include <strings.h>

#include <algorithm>

#include "model/codec.h"

namespace understudy::daemon {
namespace {
constexpr const char* kSettings = "service_settings";
constexpr const char* kEntries = "authorization_entry";
constexpr uint32_t kVersion = 1;
constexpr size_t kMostEntries = 256;

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// "*.dom.example" admits one label in front of it.
bool wildcard_fits(const std::string& pattern, const std::string& name) {
  if (!pattern.starts_with("*.")) return false;
  const size_t dot = name.find('.');
  return dot != std::string::npos && dot > 0 && same(pattern.substr(1), name.substr(dot));
}
}  // namespace

Status Registry::load() {
  US_TRY(const auto settings, db_.load(kSettings));
  US_TRY(const auto entries, db_.load(kEntries));
  const std::lock_guard lock(mutex_);
  for (const auto& [key, text] : settings) {
    US_TRY(Sealed sealed, unseal(text, kSettings, kVersion, kVersion));
    US_TRY(settings_, from_json<ServiceSettings>(std::move(sealed.value)));
  }
  for (const auto& [key, text] : entries) {
    US_TRY(Sealed sealed, unseal(text, kEntries, kVersion, kVersion));
    US_TRY(AuthorizationEntry entry, from_json<AuthorizationEntry>(std::move(sealed.value)));
    entries_.push_back(std::move(entry));
  }
  return {};
}

ServiceSettings Registry::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

Status Registry::store_settings(const ServiceSettings& settings) {
  const std::lock_guard lock(mutex_);
  US_CHECK(db_.put(kSettings, "host", seal(kSettings, kVersion, to_json(settings))));
  settings_ = settings;
  return {};
}

std::vector<AuthorizationEntry> Registry::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

Status Registry::add_entry(const AuthorizationEntry& entry) {
  const std::lock_guard lock(mutex_);
  for (const AuthorizationEntry& known : entries_)
    if (same(known.allowed_primary_host_system, entry.allowed_primary_host_system))
      return fail(ErrorCode::invalid_parameter,
                  "primary host '" + entry.allowed_primary_host_system + "' is authorized already",
                  "understudy authorizations");
  if (entries_.size() >= kMostEntries)
    return fail(ErrorCode::out_of_memory, "there are too many authorization entries");
  US_CHECK(db_.put(kEntries, entry.allowed_primary_host_system, seal(kEntries, kVersion, to_json(entry))));
  entries_.push_back(entry);
  return {};
}

Result<Registry::Entries::iterator> Registry::find(const std::string& allowed_primary_host_system) {
  const auto found = std::ranges::find_if(entries_, [&](const AuthorizationEntry& known) {
    return same(known.allowed_primary_host_system, allowed_primary_host_system);
  });
  if (found == entries_.end())
    return fail(ErrorCode::invalid_parameter,
                "no authorization entry is for '" + allowed_primary_host_system + "'",
                "understudy authorizations");
  return found;
}

Status Registry::modify_entry(const AuthorizationEntry& entry) {
  const std::lock_guard lock(mutex_);
  US_TRY(const auto known, find(entry.allowed_primary_host_system));
  AuthorizationEntry changed = entry;
  changed.allowed_primary_host_system = known->allowed_primary_host_system;  // the key of its row
  US_CHECK(
      db_.put(kEntries, changed.allowed_primary_host_system, seal(kEntries, kVersion, to_json(changed))));
  *known = std::move(changed);
  return {};
}

Status Registry::remove_entry(const std::string& allowed_primary_host_system) {
  const std::lock_guard lock(mutex_);
  US_TRY(const auto known, find(allowed_primary_host_system));
  US_CHECK(db_.remove(kEntries, known->allowed_primary_host_system));
  entries_.erase(known);
  return {};
}

Result<AuthorizationEntry> Registry::entry_for(const std::vector<std::string>& names) const {
  const std::lock_guard lock(mutex_);
  const AuthorizationEntry* best = nullptr;
  int rank = 0;  // 3 by name, 2 by wildcard, 1 any
  for (const AuthorizationEntry& entry : entries_) {
    int fits = entry.allowed_primary_host_system == "*" ? 1 : 0;
    for (const std::string& name : names) {
      if (same(entry.allowed_primary_host_system, name))
        fits = 3;
      else if (fits < 2 && wildcard_fits(entry.allowed_primary_host_system, name))
        fits = 2;
    }
    if (fits > rank) {
      rank = fits;
      best = &entry;
    }
  }
  if (best != nullptr) return *best;
  const std::string who = names.empty() ? "a host without a name" : names.front();
  return fail(ErrorCode::access_denied, "this host does not authorize '" + who + "' to replicate to it",
              "on the replica host: understudy authorize " + who + " --storage DIR");
}

bool Registry::same_group(const std::vector<std::string>& names,
                          const std::vector<std::string>& others) const {
  const auto one = entry_for(names);
  const auto other = entry_for(others);
  return one && other && !one->trust_group.empty() && one->trust_group == other->trust_group;
}

}  // namespace understudy::daemon
