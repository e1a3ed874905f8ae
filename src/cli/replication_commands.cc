// Enabling replication and the first copy.
#include <algorithm>

#include "cim/embedded.h"
#include "cli/commands.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr uint16_t kReplicationPort = 443;  // of a recovery server that was not told otherwise
constexpr uint64_t kFirstCopy = 116;        // Msvm_ConcreteJob.JobType

// IncludedDisks for these targets.
Result<cim::Value> disks_value(Management& management, const cim::Instance& status, const std::string& list) {
  US_TRY(const auto targets, comma_list("--disks", list));
  const std::string vm = cell(status, "VirtualSystemIdentifier");
  US_TRY(const auto disks,
         management.enumerate("SELECT * FROM Msvm_StorageAllocationSettingData WHERE InstanceID LIKE "
                              "'Microsoft:" +
                              vm + "%'"));
  std::vector<cim::Value::Scalar> ids;
  std::string known;
  for (const cim::Instance& disk : disks) known += (known.empty() ? "" : ", ") + cell(disk, "Address");
  for (const std::string& target : targets) {
    const auto disk =
        std::ranges::find_if(disks, [&](const cim::Instance& d) { return cell(d, "Address") == target; });
    if (disk == disks.end() && !disks.empty())
      return fail(ErrorCode::not_found,
                  "VM '" + cell(status, "ElementName") + "' has no disk '" + target + "'",
                  "its disks are: " + known);
    // The host may not list the disks of a VM that is not replicated; it knows them all the same.
    ids.emplace_back(disk == disks.end() ? "Microsoft:" + vm + "\\" + target : cell(*disk, "InstanceID"));
  }
  return cim::Value(std::move(ids));
}

Result<cim::Instance> settings_from(Session& session, const Arguments& arguments,
                                    const cim::Instance& status) {
  cim::Instance s("Msvm_ReplicationSettingData");
  US_TRY(const HostAndPort to, parse_host(arguments.text("to")));
  s.set("RecoveryConnectionPoint", to.host).set("AuthenticationType", 2U);
  if (to.port != 0) s.set("RecoveryServerPortNumber", to.port);
  if (arguments.has("interval")) {
    US_TRY(const uint64_t interval, arguments.number("interval", 30, 900));
    s.set("ReplicationInterval", interval);
  }
  uint64_t history = 0;
  if (arguments.has("history")) {
    US_TRY(history, arguments.number("history", 0, 24));
    s.set("RecoveryHistory", history);
  }
  if (arguments.has("app-consistent")) {
    US_TRY(const uint64_t hours, arguments.number("app-consistent", 0, 12));
    if (hours > history)
      return fail(ErrorCode::invalid_parameter,
                  "--app-consistent " + std::to_string(hours) + " is more than --history keeps (" +
                      std::to_string(history) + " h)",
                  "add --history " + std::to_string(hours));
    s.set("ApplicationConsistentSnapshotInterval", hours);
  }
  if (arguments.has("certificate")) s.set("CertificateThumbPrint", arguments.text("certificate"));
  if (arguments.has("disks")) {
    US_TRY(cim::Value disks, disks_value(session.host(), status, arguments.text("disks")));
    s.set("IncludedDisks", std::move(disks));
  }
  // What this command sets up heals by itself unless told otherwise; from midnight to midnight is all day.
  s.set("AutoResynchronizeEnabled", !arguments.has("no-auto-resync"));
  s.set("AutoResynchronizeIntervalStart", cim::DateTime::length(Duration{}));
  s.set("AutoResynchronizeIntervalEnd", cim::DateTime::length(Duration{}));
  return s;
}

Status start_first_copy(Session& session, const cim::Instance& status) {
  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status)).set("InitialReplicationType", 1U);
  return run_with_work(session, status, "StartReplication", in,
                       {kFirstCopy, "first_copy", "The first copy of '" + cell(status, "ElementName") + "'"});
}

// "18:30" as a time of day.
Result<cim::DateTime> time_of_day(std::string_view text) {
  const auto digit = [&](size_t at) { return text[at] - '0'; };
  const bool form = text.size() == 5 && text[2] == ':' &&
                    std::ranges::all_of(std::string{text[0], text[1], text[3], text[4]},
                                        [](char c) { return c >= '0' && c <= '9'; });
  const int hour = form ? digit(0) * 10 + digit(1) : 24;
  const int minute = form ? digit(3) * 10 + digit(4) : 60;
  if (hour > 23 || minute > 59)
    return fail(ErrorCode::invalid_parameter, "'" + std::string(text) + "' is no time of day",
                "--resync-window 18:30-06:00");
  return cim::DateTime::length(Duration::seconds(hour * 3600 + minute * 60));
}

Result<cim::Instance> changes_from(const Arguments& arguments) {
  cim::Instance s("Msvm_ReplicationSettingData");
  if (arguments.has("to")) {
    US_TRY(const HostAndPort to, parse_host(arguments.text("to")));
    s.set("RecoveryConnectionPoint", to.host);
    if (to.port != 0) s.set("RecoveryServerPortNumber", to.port);
  }
  struct Number {
    const char* option;
    const char* property;
    uint64_t least, most;
  };
  for (const Number& n :
       {Number{"interval", "ReplicationInterval", 30, 900}, Number{"history", "RecoveryHistory", 0, 24},
        Number{"app-consistent", "ApplicationConsistentSnapshotInterval", 0, 12}}) {
    if (!arguments.has(n.option)) continue;
    US_TRY(const uint64_t value, arguments.number(n.option, n.least, n.most));
    s.set(n.property, value);
  }
  if (arguments.has("resync-window")) {
    const std::string window = arguments.text("resync-window");
    const size_t dash = window.find('-');
    US_TRY(const auto from, time_of_day(std::string_view(window).substr(0, dash)));
    US_TRY(const auto to,
           time_of_day(dash == std::string::npos ? "" : std::string_view(window).substr(dash + 1)));
    s.set("AutoResynchronizeEnabled", true);
    s.set("AutoResynchronizeIntervalStart", from).set("AutoResynchronizeIntervalEnd", to);
  }
  if (arguments.has("no-auto-resync")) s.set("AutoResynchronizeEnabled", false);
  if (arguments.has("compression")) {
    const std::string choice = arguments.text("compression");
    if (choice != "on" && choice != "off")
      return fail(ErrorCode::invalid_parameter, "--compression is '" + choice + "': on and off are possible");
    s.set("CompressionEnabled", choice == "on");
  }
  return s;
}

}  // namespace

Status set(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance settings, changes_from(arguments));
  if (settings.properties().empty())
    return fail(ErrorCode::invalid_parameter, "'understudy set' needs something to change",
                "understudy set --help");
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status)).set("ReplicationSettingData", cim::format_embedded(settings));
  return run_method(
      session, service_path(), "ModifyReplicationSettings", in,
      "The settings of '" + cell(status, "ElementName") + "' are changed, from the next cycle on.");
}

Status enable(Session& session, const Arguments& arguments) {
  if (!arguments.has("to"))
    return fail(ErrorCode::invalid_parameter, "'understudy enable' needs --to HOST[:PORT]",
                "understudy enable --help");
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  US_TRY(const cim::Instance settings, settings_from(session, arguments, status));
  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status)).set("ReplicationSettingData", cim::format_embedded(settings));
  const std::string name = cell(status, "ElementName");
  const bool start_now = arguments.has("start");
  if (start_now && !session.wait)
    return fail(ErrorCode::invalid_parameter,
                "--start needs to wait until replication is enabled: --no-wait is not possible");
  if (!start_now)
    return run_method(session, service_path(), "CreateReplicationRelationship", in,
                      "Replication of '" + name + "' to " + arguments.text("to") +
                          " is enabled. Next: understudy start " + name);
  US_TRY(const auto job, call(session.host(), service_path(), "CreateReplicationRelationship", in));
  if (job) {
    US_CHECK(wait_for_job(session, *job));
  }
  session.say("Replication of '" + name + "' to " + arguments.text("to") + " is enabled.");
  return start_first_copy(session, status);
}

Status connection_test(Session& session, const Arguments& arguments) {
  US_TRY(const HostAndPort to, parse_host(arguments.argument(0)));
  cim::Instance in("INPUT");
  in.set("RecoveryConnectionPoint", to.host).set("AuthenticationType", 2U);
  in.set("RecoveryServerPortNumber", to.port == 0 ? kReplicationPort : to.port);
  return run_method(session, service_path(), "TestReplicationConnection", in,
                    to.host +
                        " answers, both certificates are good, and it takes replicas from this host. Next: "
                        "understudy enable VM --to " +
                        arguments.argument(0));
}

Status start(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  return start_first_copy(session, status);
}

}  // namespace understudy::cli
