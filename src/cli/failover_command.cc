// Failover and its revert: each says what will be lost before it asks.
#include <algorithm>
#include <ostream>

#include "cli/commands.h"
#include "cli/points.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr uint64_t kRecovered = 5;  // ReplicationState: failed over

// Which point, how old, and what is not used of the newer ones.
std::string loss(const std::vector<cim::Instance>& points, size_t chosen, const cim::Instance& status) {
  const size_t newer = points.size() - 1 - chosen;
  std::string text = (newer == 0 ? "The latest point is " : "The point is ") + point_age(points[chosen]) +
                     " old (" + point_words(points[chosen]) + ").";
  if (newer == 1) text += " A newer one is not used; it is " + point_age(points.back()) + " old.";
  if (newer > 1)
    text += " " + std::to_string(newer) + " newer ones are not used; the newest is " +
            point_age(points.back()) + " old.";
  return text + " What '" + cell(status, "ElementName") +
         "' wrote after that is lost, and replication from " + cell(status, "PrimaryHost") + " ends.";
}

Result<size_t> choose(const std::vector<cim::Instance>& points, const std::string& vm,
                      const Arguments& arguments) {
  if (points.empty())
    return fail(ErrorCode::invalid_state, "VM '" + vm + "' has no recovery point yet",
                "understudy show " + vm);
  if (arguments.has("point")) return point_by_id(points, vm, arguments.text("point"));
  if (arguments.has("at")) return point_by_time(points, vm, arguments.text("at"));
  return points.size() - 1;
}

std::string heard(const cim::Instance& status) {
  return "was heard " + primary_heard(status) + " ago";
}

// The same command, made to ignore the copy on the primary.
std::string all_the_same(const std::string& name, const Arguments& arguments) {
  std::string command = "understudy failover " + name;
  for (const char* option : {"point", "at"})
    if (arguments.has(option)) command += " --" + std::string(option) + " '" + arguments.text(option) + "'";
  return command + " --yes --primary-is-running";
}

// Two copies of one VM are asked for by name only: what this host knows of the other is how long it is
// silent.
Status confirm_second_copy(Session& session, const Arguments& arguments, const cim::Instance& status) {
  const std::string name = cell(status, "ElementName");
  if (!arguments.has("yes") && session.console.interactive) {
    US_TRY(const std::string answer,
           session.console.ask(
               "Two copies of it may run. To fail over all the same, type the name of the VM: "));
    if (answer == name) return {};
    return fail(ErrorCode::cancelled, "nothing was done: '" + printable(answer) + "' is not '" + name + "'");
  }
  const std::string primary = cell(status, "PrimaryHost");
  return fail(ErrorCode::invalid_state,
              "VM '" + name + "' may still run on " + primary + ", which " + heard(status) +
                  ": two copies of it would run",
              "on " + primary + ": virsh shutdown " + name +
                  "; once it is off there, or when that copy is to be ignored, here: " +
                  all_the_same(name, arguments));
}

}  // namespace

Status failover(Session& session, const Arguments& arguments) {
  if (arguments.has("point") && arguments.has("at"))
    return fail(ErrorCode::invalid_parameter, "--point and --at exclude each other");
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  US_CHECK(require_replica(session, status, "a failover starts", "failover"));
  US_TRY(const auto points, points_of(session.host(), status));
  US_TRY(const size_t chosen, choose(points, name, arguments));
  session.console.err << printable(loss(points, chosen, status)) << std::endl;
  const bool alive = status.get("PrimaryAlive").boolean().value_or(false);
  if (alive)
    session.console.err << printable(cell(status, "PrimaryHost") + " " + heard(status))
                        << " and may still run this VM" << std::endl;
  if (alive && !arguments.has("primary-is-running")) {
    US_CHECK(confirm_second_copy(session, arguments, status));
  } else {
    US_CHECK(confirm(session, arguments, "Fail over '" + name + "'?"));
  }

  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status));
  // Without a choice it is the latest at that time, which may be newer than what was shown.
  if (arguments.has("point") || arguments.has("at"))
    in.set("SnapshotSettingData", cim::ObjectPath{"Msvm_VirtualSystemSettingData",
                                                  {{"InstanceID", cell(points[chosen], "InstanceID")}}});
  return run_method(session, service_path(), "InitiateFailover", in,
                    "'" + name + "' is failed over and may be started. Next: understudy vm start " + name);
}

Status revert(Session& session, const Arguments& arguments) {
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  US_CHECK(require_replica(session, status, "a failover is reverted", "revert"));
  if (status.get("ReplicationState").number() != kRecovered)
    return fail(ErrorCode::invalid_state,
                "VM '" + name + "' is not failed over (" + lower_case(cell(status, "ReplicationStateText")) +
                    "): there is nothing to revert",
                "understudy show " + name);
  US_TRY(const auto points, points_of(session.host(), status));
  const auto used = std::ranges::find_if(
      points, [](const cim::Instance& p) { return p.get("FailedOver").boolean().value_or(false); });
  std::string words;
  if (const auto ran = ran_here(status); !ran.empty()) words = "'" + name + "' " + ran + ".\n";
  words += "What '" + name + "' wrote here since its failover";
  if (used != points.end()) words += " (to the point " + point_words(*used) + ")";
  words +=
      " is set aside: it is not part of the replica any more, and is kept for 24 hours at most, until "
      "the next commit or until its space is needed. All recovery points stay, and " +
      cell(status, "PrimaryHost") + " may send again.";
  session.console.err << printable(words) << std::endl;
  US_CHECK(confirm(session, arguments, "Revert the failover of '" + name + "'?"));

  US_CHECK(run_method(session, service_path(), "RevertFailover",
                      cim::Instance("INPUT").set("ComputerSystem", vm_path(status)),
                      "'" + name + "' is a replica again. Next, on " + cell(status, "PrimaryHost") +
                          ": understudy resume " + name));
  if (!session.wait) return {};
  // The revert is done whatever this tells.
  if (const auto after = find_vm(session.host(), arguments.argument(0)))
    if (const auto kept = set_aside(*after); !kept.empty()) session.say("Set aside: " + kept.back() + ".");
  return {};
}

}  // namespace understudy::cli
