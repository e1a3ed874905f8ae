// The bad day: every replica of one lost host is failed over. A plan first; then each VM, whatever becomes of
// the others; then what became of each.
#include <algorithm>
#include <ostream>

#include "cli/commands.h"
#include "cli/failover.h"
#include "cli/points.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr uint64_t kReplica = 2;    // ReplicationMode
constexpr uint64_t kRecovered = 5;  // ReplicationState: failed over
constexpr uint64_t kOn = 2;         // EnabledState
constexpr size_t kShownOfId = 8;    // of a point, in the plan: `--point` needs four

struct One {
  cim::Instance status;
  std::string name;
  std::vector<cim::Instance> points;
  std::optional<size_t> chosen;  // none: is over, or cannot be
  bool was_over = false;         // failed over before
  std::optional<Uuid> job;
  std::string result = "failed";
  std::optional<Error> error;

  bool to_do() const { return chosen.has_value(); }
  bool may_still_run() const { return to_do() && status.get("PrimaryAlive").boolean().value_or(false); }
  size_t newer() const { return points.size() - 1 - *chosen; }
};

std::string counted(size_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

// Names of those for which `condition` holds: "db, web".
template <class Condition>
std::string names(const std::vector<One>& plan, Condition condition) {
  std::string text;
  for (const One& one : plan)
    if (condition(one)) text += (text.empty() ? "" : ", ") + one.name;
  return text;
}

Result<std::vector<cim::Instance>> replicas_from(Management& management, const std::string& primary) {
  US_TRY(auto all, management.enumerate("Understudy_ReplicationStatus"));
  std::erase_if(all, [](const cim::Instance& s) { return number(s, "ReplicationMode") != kReplica; });
  std::string primaries;
  for (const cim::Instance& status : all)
    if (const std::string name = cell(status, "PrimaryHost"); primaries.find(name) == std::string::npos)
      primaries += (primaries.empty() ? "" : ", ") + name;
  std::erase_if(all,
                [&](const cim::Instance& s) { return !cim::same_name(cell(s, "PrimaryHost"), primary); });
  if (all.empty())
    return fail(ErrorCode::not_found,
                "no replica of '" + primary + "' is kept on " + management.server() +
                    (primaries.empty() ? "" : "; those here come from " + primaries),
                "understudy list");
  return all;
}

Result<std::vector<One>> plan_of(Session& session, const Arguments& arguments, const std::string& primary) {
  if (arguments.has("at")) US_CHECK(parse_moment(arguments.text("at")));
  US_TRY(auto replicas, replicas_from(session.host(), primary));
  std::vector<One> plan;
  for (cim::Instance& status : replicas) {
    One one;
    one.status = std::move(status);
    one.name = cell(one.status, "ElementName");
    one.was_over = one.status.get("ReplicationState").number() == kRecovered;
    if (!one.was_over) {
      US_TRY(one.points, points_of(session.host(), one.status));
      if (const auto chosen = choose_point(one.points, one.name, arguments))
        one.chosen = *chosen;
      else
        one.error = chosen.error();
    }
    plan.push_back(std::move(one));
  }
  std::ranges::sort(plan, {}, &One::name);
  return plan;
}

std::string plan_text(const std::vector<One>& plan, const std::string& primary) {
  Table table({"VM", "POINT", "CUT", "LOSES THE LAST", "NEWER POINTS", "PRIMARY HEARD"});
  std::string notes;
  for (const One& one : plan) {
    if (one.was_over) notes += printable(one.name) + ": is failed over already, skipped\n";
    if (one.error)
      notes += printable(one.name + ": cannot be failed over: " + one.error->message() +
                         ". Next: " + one.error->hint()) +
               "\n";
    if (!one.to_do()) continue;
    const cim::Instance& point = one.points[*one.chosen];
    const std::string heard = primary_heard(one.status);
    table.add({one.name, cell(point, "PointID").substr(0, kShownOfId), time_text(point.get("CutTime")),
               point_age(point), one.newer() == 0 ? "-" : std::to_string(one.newer()) + " not used",
               (heard.empty() ? "-" : heard + " ago") + (one.may_still_run() ? ", may still run it" : "")});
  }
  if (table.empty()) return notes;
  return "Failover of what " + printable(primary) + " has sent to this host:\n\n" + table.text() + "\n" +
         notes + "What these VMs wrote after their points is lost, and replication from " +
         printable(primary) + " ends.\n";
}

Status confirm_plan(Session& session, const Arguments& arguments, const std::vector<One>& plan,
                    const std::string& primary) {
  const auto to_do = std::ranges::count_if(plan, &One::to_do);
  const std::string living = names(plan, [](const One& one) { return one.may_still_run(); });
  if (to_do == 0) return {};
  if (living.empty() || arguments.has("primary-is-running"))
    return confirm(session, arguments, "Fail over " + counted(static_cast<size_t>(to_do), "VM") + "?");
  return confirm_second_copy(
      session, arguments, "primary host", primary,
      Error(ErrorCode::invalid_state,
            primary + " may still run " + living + ": two copies of each would run; nothing was done",
            "turn " + primary + " off; once it is off, or when its copies are to be ignored, here: " +
                "understudy failover --from " + primary + " --all" + chosen_options(arguments) +
                (arguments.has("start") ? " --start" : "") + " --yes --primary-is-running"));
}

void begin(Session& session, const Arguments& arguments, One& one) {
  std::optional<cim::Instance> point;
  if (arguments.has("at")) point = one.points[*one.chosen];
  const auto job =
      call(session.host(), service_path(), "InitiateFailover", failover_parameters(one.status, point));
  if (!job) {
    one.error = job.error();
    return;
  }
  one.job = *job;
  if (!session.wait) one.result = "the failover has begun";
}

Result<bool> is_on(Management& management, const One& one) {
  US_TRY(const cim::Instance system,
         only(management, where("Msvm_ComputerSystem", "Name", cell(one.status, "VirtualSystemIdentifier")),
              "VM '" + one.name + "'"));
  return system.get("EnabledState").number() == kOn;
}

// ErrorCode::cancelled: the user waits no longer. Everything else is the VM's own error.
Status finish(Session& session, const Arguments& arguments, One& one) {
  const auto keep = [&](const Error& error) -> Status {
    if (error.code() == ErrorCode::cancelled) return fail(error);
    one.error = error;
    return {};
  };
  if (one.error || !session.wait) return {};
  if (one.job)
    if (const auto view = wait_for_job(session, *one.job); !view) return keep(view.error());
  one.result = one.was_over ? "was failed over before, skipped" : "failed over";
  if (!arguments.has("start")) return {};
  const auto on = is_on(session.host(), one);
  if (!on) return keep(on.error());
  if (*on) {
    one.result += "; runs";
    return {};
  }
  if (const auto started = start_vm(session, one.status); !started) {
    one.result += ", but not started";
    return keep(started.error());
  }
  one.result += ", started";
  return {};
}

JsonObject document_of(const One& one) {
  JsonObject object;
  object.set("vm", lower_case(cell(one.status, "VirtualSystemIdentifier")));
  object.set("name", one.name);
  object.set("skipped", one.was_over);
  object.set("result", one.result);
  if (one.to_do()) {
    const cim::Instance& point = one.points[*one.chosen];
    object.set("point", to_json(point));
    object.set("newer_points", static_cast<uint64_t>(one.newer()));
    object.set("primary_may_run", one.may_still_run());
  }
  if (one.job) object.set("job", one.job->lower());
  if (one.error) object.set("error", to_json(*one.error));
  return object;
}

Status verdict(const std::vector<One>& plan, const std::string& primary, const Arguments& arguments) {
  const std::string failed = names(plan, [](const One& one) { return one.error.has_value(); });
  if (failed.empty()) return {};
  const size_t count =
      static_cast<size_t>(std::ranges::count_if(plan, [](const One& one) { return one.error.has_value(); }));
  return fail(ErrorCode::failed,
              counted(count, "VM") + " of " + std::to_string(plan.size()) + " from " + primary +
                  (count == 1 ? " has" : " have") + " a problem: " + failed,
              "understudy show " + failed.substr(0, failed.find(',')) +
                  "; then run it again, it skips what is done: understudy failover --from " + primary +
                  " --all" + chosen_options(arguments) + (arguments.has("start") ? " --start" : ""));
}

}  // namespace

Status failover_all(Session& session, const Arguments& arguments) {
  if (!arguments.has("from") || !arguments.has("all") || arguments.count() != 0 || arguments.has("point"))
    return fail(ErrorCode::invalid_parameter,
                "--from HOST and --all belong together, and stand in the place of VM and --point",
                "understudy failover --help");
  const std::string given = arguments.text("from");
  US_TRY(std::vector<One> plan, plan_of(session, arguments, given));
  const std::string primary = cell(plan.front().status, "PrimaryHost");
  session.console.err << plan_text(plan, primary) << std::flush;
  US_CHECK(confirm_plan(session, arguments, plan, primary));

  // All begin before the first is waited for: the daemon works on several at once.
  for (One& one : plan)
    if (one.to_do()) begin(session, arguments, one);
  for (One& one : plan) US_CHECK(finish(session, arguments, one));

  Table table({"VM", "RESULT"});
  std::vector<JsonObject> vms;
  for (const One& one : plan) {
    table.add({one.name, one.result + (one.error ? ": " + one.error->message() : "")});
    vms.push_back(document_of(one));
  }
  const Status judged = verdict(plan, primary, arguments);
  JsonObject object;
  object.set("from", primary);
  object.set("vms", vms);
  if (!judged) object.set("error", to_json(judged.error()));
  const std::string next = judged && !arguments.has("start") && session.wait
                               ? "\nNext, for each: understudy vm start VM\n"
                               : std::string();
  session.print(table.text() + next, object);
  return judged;
}

}  // namespace understudy::cli
