// Failover: says what will be lost before it asks.
#include <algorithm>
#include <ostream>

#include "cli/commands.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr uint64_t kReplica = 2;
constexpr size_t kLeastPrefix = 4;

struct Choice {
  std::optional<cim::Instance> point;  // none: the latest
  std::string words;                   // what is lost
};

bool begins_with(std::string_view text, std::string_view prefix) {
  return prefix.size() >= kLeastPrefix && text.size() >= prefix.size() &&
         cim::same_name(text.substr(0, prefix.size()), prefix);
}

Result<Choice> choose(Management& management, const cim::Instance& status, const std::string& wanted) {
  const std::string name = cell(status, "ElementName");
  const auto seconds = status.get("RecoveryPointAgeSeconds").number();
  US_TRY(const auto points, management.enumerate("ASSOCIATORS OF {" + vm_path(status).text() +
                                                 "} WHERE AssocClass = Msvm_SnapshotOfVirtualSystem"));
  if (points.empty() || !seconds)
    return fail(ErrorCode::invalid_state, "VM '" + name + "' has no recovery point yet",
                "understudy show " + name);
  const auto age = Duration::seconds(static_cast<int64_t>(*seconds));
  if (wanted.empty())
    return Choice{std::nullopt, "The latest point is " + age_text(age) + " old (cut " +
                                    time_text(status.get("LastCutTime")) + ")."};

  std::vector<const cim::Instance*> found;
  for (const cim::Instance& point : points)
    if (begins_with(cell(point, "ConfigurationID"), wanted)) found.push_back(&point);
  if (found.size() != 1)
    return fail(ErrorCode::not_found,
                (found.empty() ? "no recovery point of VM '" : "more than one recovery point of VM '") +
                    name + "' begins with '" + wanted + "'",
                "understudy show " + name);
  const cim::Instance& point = *found.front();
  const auto cut = point.get("CreationTime").datetime();
  const auto newest = status.get("LastCutTime").datetime();
  const Duration older = cut && newest ? std::max(Duration{newest->us - cut->us}, Duration{}) : Duration{};
  std::string words =
      "The point is " + age_text(older + age) + " old (cut " + time_text(point.get("CreationTime")) + ").";
  if (older > Duration{}) words += " A newer one is " + age_text(age) + " old.";
  return Choice{point, std::move(words)};
}

Status confirm(Session& session, const std::string& name) {
  if (!session.console.interactive)
    return fail(ErrorCode::invalid_parameter, "a failover of '" + name + "' has to be confirmed",
                "add --yes, or run it on a terminal");
  US_TRY(const std::string answer, session.console.ask("Fail over '" + printable(name) + "'? [y/N] "));
  if (answer.starts_with('y') || answer.starts_with('Y')) return {};
  return fail(ErrorCode::cancelled, "nothing was done");
}

}  // namespace

Status failover(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  if (status.get("ReplicationMode").number() != kReplica) {
    const std::string replica = cell(status, "ReplicaHost");
    return fail(ErrorCode::invalid_state,
                "VM '" + name + "' has no replica on " + session.host().server() +
                    ": a failover starts on the replica host",
                replica == "-" ? "understudy list" : "on " + replica + ": understudy failover " + name);
  }
  US_TRY(const Choice choice, choose(session.host(), status, arguments.text("point")));
  session.console.err << printable(choice.words + " What '" + name +
                                   "' wrote after that is lost, and replication from " +
                                   cell(status, "PrimaryHost") + " ends.")
                      << std::endl;
  if (!arguments.has("yes")) US_CHECK(confirm(session, name));

  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status));
  if (choice.point)
    in.set("SnapshotSettingData", cim::ObjectPath{"Msvm_VirtualSystemSettingData",
                                                  {{"InstanceID", cell(*choice.point, "InstanceID")}}});
  return run_method(session, service_path(), "InitiateFailover", in,
                    "'" + name + "' is failed over and may be started. Next: understudy vm start " + name);
}

}  // namespace understudy::cli
