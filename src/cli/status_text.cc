#include "cli/status_text.h"

#include "cli/text.h"

namespace understudy::cli {

std::string newest_age(const cim::Instance& status) {
  const auto seconds = status.get("RecoveryPointAgeSeconds").number();
  return seconds ? age_text(Duration::seconds(static_cast<int64_t>(*seconds))) : "-";
}

std::string state_text(const cim::Instance& status) {
  if (number(status, "ReplicationMode") == 0) return "-";
  const uint64_t total = number(status, "FirstCopyBytesTotal");
  if (total > 0)
    return "first copy " + std::to_string(number(status, "FirstCopyBytesDone") * 100 / total) + " %";
  return lower_case(cell(status, "ReplicationStateText"));
}

std::string other_host(const cim::Instance& status) {
  return cell(status, number(status, "ReplicationMode") == 1 ? "ReplicaHost" : "PrimaryHost");
}

std::string health_note(const cim::Instance& status) {
  const std::string cause = cell(status, "HealthCause");
  if (cause == "-") return {};
  std::string note = lower_case(cell(status, "ReplicationHealthText")) + ": " + cause;
  if (const std::string next = cell(status, "HealthNext"); next != "-") note += ". Next: " + next;
  return note;
}

std::string list_text(const std::vector<cim::Instance>& all) {
  Table table({"VM", "ROLE", "STATE", "HEALTH", "NEWEST POINT", "OTHER HOST"});
  std::string notes;
  for (const cim::Instance& s : all) {
    const bool replicated = number(s, "ReplicationMode") != 0;
    table.add({cell(s, "ElementName"), replicated ? lower_case(cell(s, "ReplicationModeText")) : "-",
               state_text(s), replicated ? lower_case(cell(s, "ReplicationHealthText")) : "-", newest_age(s),
               other_host(s)});
    if (const std::string note = health_note(s); !note.empty())
      notes += printable(cell(s, "ElementName") + ": " + note) + "\n";
  }
  return table.text() + (notes.empty() ? "" : "\n" + notes);
}

}  // namespace understudy::cli
