#include "ports.h"

#include "world.h"

namespace understudy::sim {

Status SimStateDb::put(const std::string& kind, const std::string& key, const std::string& text) {
  if (world_.hosts[host_] == nullptr) return rows[kind][key] = text, Status();
  const CallVerdict verdict = world_.faults.call(host_, "put", true);
  if (verdict.refused()) return verdict.error_or_nothing();
  rows[kind][key] = text;
  return verdict.error_or_nothing();
}

Status SimStateDb::remove(const std::string& kind, const std::string& key) {
  const CallVerdict verdict = world_.faults.call(host_, "remove", true);
  if (verdict.refused()) return verdict.error_or_nothing();
  rows[kind].erase(key);
  return verdict.error_or_nothing();
}

Result<std::vector<std::pair<std::string, std::string>>> SimStateDb::load(const std::string& kind) {
  US_CHECK(world_.faults.call(host_, "load", false).error_or_nothing());
  return std::vector<std::pair<std::string, std::string>>(rows[kind].begin(), rows[kind].end());
}

}  // namespace understudy::sim
