// Failover and its revert: each says what will be lost before it asks.
#include <algorithm>
#include <ostream>

#include "cli/commands.h"
#include "cli/failover.h"
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

std::string heard(const cim::Instance& status) {
  return "was heard " + primary_heard(status) + " ago";
}

Error may_still_run(const cim::Instance& status, const std::string& name, const Arguments& arguments) {
  const std::string primary = cell(status, "PrimaryHost");
  return Error(ErrorCode::invalid_state,
               "VM '" + name + "' may still run on " + primary + ", which " + heard(status) +
                   ": two copies of it would run",
               "on " + primary + ": virsh shutdown " + name +
                   "; once it is off there, or when that copy is to be ignored, here: understudy failover " +
                   name + chosen_options(arguments) + " --yes --primary-is-running");
}

// The failover is done whatever becomes of the start.
Status start_after_failover(Session& session, const cim::Instance& status, const std::string& name,
                            const cim::Instance& parameters) {
  US_TRY(const auto job, call(session.host(), service_path(), "InitiateFailover", parameters));
  JsonObject result;
  if (job) {
    US_TRY(const JobView view, wait_for_job(session, *job));
    result.set("job", to_json(view));
  }
  if (const auto started = start_vm(session, status); !started) {
    const Error& error = started.error();
    return fail(error.code(), "'" + name + "' is failed over, but is not started: " + error.message(),
                error.hint().empty() ? "understudy vm start " + name : error.hint());
  }
  session.print(printable("'" + name + "' is failed over and started.") + "\n", result);
  return {};
}

}  // namespace

Result<size_t> choose_point(const std::vector<cim::Instance>& points, const std::string& vm,
                            const Arguments& arguments) {
  if (points.empty())
    return fail(ErrorCode::invalid_state, "VM '" + vm + "' has no recovery point yet",
                "understudy show " + vm);
  if (arguments.has("point")) return point_by_id(points, vm, arguments.text("point"));
  if (arguments.has("at")) return point_by_time(points, vm, arguments.text("at"));
  return points.size() - 1;
}

std::string chosen_options(const Arguments& arguments) {
  std::string text;
  for (const char* option : {"point", "at"})
    if (arguments.has(option)) text += " --" + std::string(option) + " '" + arguments.text(option) + "'";
  return text;
}

cim::Instance failover_parameters(const cim::Instance& status, const std::optional<cim::Instance>& point) {
  cim::Instance in("INPUT");
  in.set("ComputerSystem", vm_path(status));
  if (point)
    in.set("SnapshotSettingData",
           cim::ObjectPath{"Msvm_VirtualSystemSettingData", {{"InstanceID", cell(*point, "InstanceID")}}});
  return in;
}

Status confirm_second_copy(Session& session, const Arguments& arguments, const std::string& what,
                           const std::string& name, Error refusal) {
  if (arguments.has("yes") || !session.console.interactive) return fail(std::move(refusal));
  US_TRY(const std::string answer,
         session.console.ask("Two copies of it may run. To fail over all the same, type the name of the " +
                             what + ": "));
  if (answer == name) return {};
  return fail(ErrorCode::cancelled, "nothing was done: '" + printable(answer) + "' is not '" + name + "'");
}

Status failover(Session& session, const Arguments& arguments) {
  if (arguments.has("point") && arguments.has("at"))
    return fail(ErrorCode::invalid_parameter, "--point and --at exclude each other",
                "understudy failover --help");
  if (arguments.has("start") && !session.wait)
    return fail(ErrorCode::invalid_parameter,
                "--start needs to wait until the VM is failed over: --no-wait is not possible",
                "understudy failover --help");
  if (arguments.has("from") || arguments.has("all")) return failover_all(session, arguments);
  if (arguments.count() == 0)
    return fail(ErrorCode::invalid_parameter, "'understudy failover' needs VM, or --from HOST --all",
                "understudy failover --help");
  US_TRY(const cim::Instance status, find_vm(session.host(), arguments.argument(0)));
  const std::string name = cell(status, "ElementName");
  US_CHECK(require_replica(session, status, "a failover starts", "failover"));
  US_TRY(const auto points, points_of(session.host(), status));
  US_TRY(const size_t chosen, choose_point(points, name, arguments));
  session.console.err << printable(loss(points, chosen, status)) << std::endl;
  const bool alive = status.get("PrimaryAlive").boolean().value_or(false);
  if (alive)
    session.console.err << printable(cell(status, "PrimaryHost") + " " + heard(status))
                        << " and may still run this VM" << std::endl;
  if (alive && !arguments.has("primary-is-running")) {
    US_CHECK(confirm_second_copy(session, arguments, "VM", name, may_still_run(status, name, arguments)));
  } else {
    US_CHECK(confirm(session, arguments, "Fail over '" + name + "'?"));
  }

  const bool own_choice = arguments.has("point") || arguments.has("at");
  const cim::Instance in =
      failover_parameters(status, own_choice ? std::optional(points[chosen]) : std::nullopt);
  if (arguments.has("start")) return start_after_failover(session, status, name, in);
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
