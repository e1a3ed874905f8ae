// How replication stands.
#include <algorithm>

#include "cim/embedded.h"
#include "cim/schema.h"
#include "cli/commands.h"
#include "cli/points.h"
#include "cli/status_text.h"
#include "cli/text.h"
#include "wsman/xml.h"

namespace understudy::cli {
namespace {

std::string power(const cim::Instance& system) {
  switch (number(system, "EnabledState")) {
    case 2:
      return "on";
    case 3:
      return "off";
    case 9:
      return "paused";
    default:
      return "unknown";
  }
}

// Which points are kept beside the latest.
std::string history(const cim::Instance& settings) {
  const uint64_t hours = number(settings, "RecoveryHistory");
  if (hours == 0) return "the latest point only";
  std::string text = std::to_string(hours) + (hours == 1 ? " hourly point" : " hourly points");
  if (const uint64_t every = number(settings, "ApplicationConsistentSnapshotInterval"); every > 0)
    text += ", application consistent every " + std::to_string(every) + " h";
  return text;
}

std::string disk_names(const cim::Instance& settings) {
  std::string names;
  const auto* disks = settings.get("IncludedDisks").array();
  for (size_t i = 0; disks && i < disks->size(); ++i) {
    const auto* text = std::get_if<std::string>(&(*disks)[i]);
    if (!text) continue;
    const auto disk = cim::parse_embedded([](std::string_view xml) { return wsman::parse_xml(xml); }, *text,
                                          "CIM_StorageAllocationSettingData");
    if (disk) names += (names.empty() ? "" : ", ") + cell(*disk, "Address");
  }
  return names;
}

struct Details {
  cim::Instance status, system, settings;
  std::vector<cim::Instance> points;  // oldest first
  std::vector<cim::Instance> jobs;
};

Result<Details> details_of(Management& management, const std::string& name) {
  Details d;
  US_TRY(d.status, find_vm(management, name));
  US_TRY(d.system,
         only(management, where("Msvm_ComputerSystem", "Name", cell(d.status, "VirtualSystemIdentifier")),
              "the VM"));
  US_TRY(d.settings,
         only(management, where("Msvm_ReplicationSettingData", "InstanceID", cell(d.status, "InstanceID")),
              "its replication settings"));
  US_TRY(d.points, points_of(management, d.status));
  US_TRY(d.jobs, management.enumerate("ASSOCIATORS OF {" + vm_path(d.status).text() +
                                      "} WHERE AssocClass = Msvm_AffectedJobElement ResultClass = "
                                      "Msvm_ConcreteJob"));
  return d;
}

std::string jobs_text(const Details& d) {
  Table table({"JOB", "STATE", "WHAT"});
  for (const cim::Instance& job : d.jobs)
    table.add({lower_case(cell(job, "InstanceID")),
               lower_case(std::string(cim::value_name("Msvm_ConcreteJob", "JobState",
                                                      static_cast<int64_t>(number(job, "JobState"))))),
               cell(job, "Description")});
  return table.empty() ? "" : "\n" + table.text();
}

std::string relationship_text(const Details& d) {
  const cim::Instance& s = d.status;
  Fields fields;
  fields.add("vm", cell(s, "ElementName") + " (" + lower_case(cell(s, "VirtualSystemIdentifier")) + ")");
  fields.add("power", power(d.system));
  const bool replicated = number(s, "ReplicationMode") != 0;
  fields.add("role", replicated ? lower_case(cell(s, "ReplicationModeText")) : "not replicated");
  if (!replicated) return fields.text();
  fields.add("state", state_text(s) + " (" + cell(s, "Phase") + ")");
  fields.add("health", lower_case(cell(s, "ReplicationHealthText")));
  fields.add("  because", cell(s, "HealthCause"));
  fields.add("  next", cell(s, "HealthNext"));
  if (const auto* causes = s.get("IssueCauses").array())
    for (size_t i = 1; i < causes->size(); ++i)
      if (const auto* cause = std::get_if<std::string>(&(*causes)[i])) fields.add("  also", *cause);
  fields.add("primary", cell(s, "PrimaryHost"));
  if (const auto heard = primary_heard(s); !heard.empty()) fields.add("primary heard", heard + " ago");
  fields.add("replica", cell(s, "ReplicaHost"));
  fields.add("stored in", cell(s, "ReplicaDirectory"));
  fields.add("interval", cell(s, "ReplicationInterval") + " s");
  fields.add("history", history(d.settings));
  fields.add("disks", disk_names(d.settings));
  if (const uint64_t total = number(s, "FirstCopyBytesTotal"); total > 0)
    fields.add("first copy", bytes_text(number(s, "FirstCopyBytesDone")) + " of " + bytes_text(total));
  if (newest_age(s) != "-")
    fields.add("newest point", newest_age(s) + " old, cut " + time_text(s.get("LastCutTime")));
  fields.add("transferred", bytes_text(number(s, "TransferredBytes")) + " in " + cell(s, "CycleSuccesses") +
                                " cycles; " + cell(s, "CycleFailures") + " failed, " +
                                cell(s, "CycleMisses") + " missed");
  if (const auto* warnings = s.get("Warnings").array())
    for (const auto& warning : *warnings)
      if (const auto* text = std::get_if<std::string>(&warning)) fields.add("warning", *text);
  fields.add("failed over", ran_here(s));
  for (const std::string& kept : set_aside(s)) fields.add("set aside", kept);
  fields.add("last error", cell(s, "LastError"));
  return fields.text();
}

}  // namespace

Status list(Session& session, const Arguments&) {
  US_TRY(const auto all, session.host().enumerate("Understudy_ReplicationStatus"));
  JsonObject object;
  object.set("vms", to_json(all));
  session.print(all.empty() ? "No VM is defined on " + session.host().server() + ".\n" : list_text(all),
                object);
  return {};
}

Status show(Session& session, const Arguments& arguments) {
  US_TRY(const Details d, details_of(session.host(), arguments.argument(0)));
  JsonObject object;
  object.set("status", to_json(d.status));
  object.set("system", to_json(d.system));
  object.set("settings", to_json(d.settings));
  object.set("points", to_json(d.points));
  object.set("jobs", to_json(d.jobs));
  const std::string points = points_table(d.points);
  session.print(relationship_text(d) + (points.empty() ? "" : "\n" + points) + jobs_text(d), object);
  return {};
}

}  // namespace understudy::cli
