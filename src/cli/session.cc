#include "cli/session.h"

#include <ostream>

#include "base/assert.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "model/states.h"

namespace understudy::cli {
namespace {

constexpr Duration kPollEvery = Duration::millis(500);
constexpr uint32_t kMostFailuresInRow = 20;  // the daemon may be restarted while its job goes on

std::string job_hint(const Uuid& id) {
  return "understudy job show " + id.lower();
}

// The running job of this type that the VM has, if there is one.
Result<std::optional<Uuid>> running_job(Management& management, const cim::Instance& status,
                                        uint64_t job_type) {
  US_TRY(const auto details,
         management.enumerate(where("Understudy_ConcreteJobDetail", "VirtualSystemIdentifier",
                                    cell(status, "VirtualSystemIdentifier"))));
  for (const cim::Instance& detail : details) {
    US_TRY(const Uuid id, Uuid::parse(cell(detail, "InstanceID")));
    const auto view = find_job(management, id);
    if (view && !view->finished() && view->job.get("JobType").number() == job_type) return std::optional(id);
  }
  return std::optional<Uuid>();
}

Status require_side(Session& session, const cim::Instance& status, ReplicationMode side,
                    const std::string& what, const std::string& command) {
  const auto mode = static_cast<ReplicationMode>(status.get("ReplicationMode").number().value_or(0));
  if (mode == side) return {};
  const bool replica = side == ReplicationMode::replica;
  const std::string name = cell(status, "ElementName");
  const std::string here = session.host().server();
  const std::string there = cell(status, replica ? "ReplicaHost" : "PrimaryHost");
  const std::string is_so = mode == ReplicationMode::none ? "VM '" + name + "' is not replicated on " + here
                            : mode == ReplicationMode::primary
                                ? here + " is the primary of VM '" + name + "'"
                                : here + " keeps the replica of VM '" + name + "'";
  return fail(ErrorCode::invalid_state,
              what + " on the " + (replica ? "replica" : "primary") + " host, and " + is_so,
              there == "-" ? "understudy list" : "on " + there + ": understudy " + command + " " + name);
}

}  // namespace

Management& Session::host() const {
  US_ASSERT(management != nullptr);
  return *management;
}

void Session::print(const std::string& text, const JsonObject& object) {
  printed = true;
  if (json)
    console.out << object.text() << '\n';
  else
    console.out << text;
}

void Session::say(const std::string& text) const {
  if (!json) console.out << printable(text) << '\n';
}

bool JobView::finished() const {
  const auto state = job.get("JobState").number().value_or(0);
  return state >= 7 && state <= 10;
}

std::optional<Error> JobView::error() const {
  const auto state = job.get("JobState").number().value_or(0);
  if (!finished() || state == 7) return std::nullopt;
  const ErrorCode code = code_of_return(job.get("ErrorCode").number().value_or(0));
  std::string message = job.get("ErrorSummaryDescription").text().value_or("");
  if (message.empty())
    message = job.get("ErrorDescription").text().value_or("the job ended without saying why");
  return Error(code, std::move(message), detail.get("Hint").text().value_or(""));
}

Result<JobView> find_job(Management& management, const Uuid& id) {
  JobView view;
  US_TRY(view.job,
         only(management, where("Msvm_ConcreteJob", "InstanceID", id.upper()), "job " + id.lower()));
  auto detail = only(management, where("Understudy_ConcreteJobDetail", "InstanceID", id.upper()), "job");
  if (detail) view.detail = std::move(*detail);
  return view;
}

JsonObject to_json(const JobView& view) {
  cim::Instance both = view.job;
  for (const auto& [name, value] : view.detail.properties())
    if (both.get(name).null()) both.set(name, value);
  return to_json(both);
}

Result<JobView> wait_for_job(Session& session, const Uuid& id) {
  Progress progress(session.console.err, session.console.draws, session.waiter.now());
  uint32_t failures = 0;
  while (true) {
    auto view = find_job(session.host(), id);
    if (!view) {
      const bool passing =
          view.error().code() == ErrorCode::not_available || view.error().code() == ErrorCode::timeout;
      if (!passing || ++failures == kMostFailuresInRow) return fail(view.error().with_hint(job_hint(id)));
    } else {
      failures = 0;
      if (view->finished()) {
        progress.clear();
        if (auto error = view->error()) return fail(std::move(*error));
        return view;
      }
      progress.show({view->job.get("Description").text().value_or("Job"),
                     view->job.get("PercentComplete").number().value_or(0),
                     view->detail.get("BytesDone").number().value_or(0),
                     view->detail.get("BytesTotal").number().value_or(0)},
                    session.waiter.now());
    }
    if (auto waited = session.waiter.wait(kPollEvery); !waited) {
      progress.clear();
      return fail(waited.error().code(), "no longer waiting: the job goes on without this command",
                  job_hint(id));
    }
  }
}

Status run_method(Session& session, const cim::ObjectPath& path, const std::string& method,
                  const cim::Instance& parameters, const std::string& done) {
  US_TRY(const std::optional<Uuid> job, call(session.host(), path, method, parameters));
  JsonObject result;
  if (job && !session.wait) {
    US_TRY(const JobView view, find_job(session.host(), *job));
    result.set("job", to_json(view));
    session.print("Started: " + job_hint(*job) + "\n", result);
    return {};
  }
  if (job) {
    US_TRY(const JobView view, wait_for_job(session, *job));
    result.set("job", to_json(view));
  }
  session.print(printable(done) + "\n", result);
  return {};
}

Status run_with_work(Session& session, const cim::Instance& status, const std::string& method,
                     const cim::Instance& parameters, const Work& work) {
  if (!session.wait) return run_method(session, service_path(), method, parameters, "");
  US_TRY(const auto job, call(session.host(), service_path(), method, parameters));
  JsonObject result;
  if (job) {
    US_TRY(const JobView view, wait_for_job(session, *job));
    result.set("job", to_json(view));
  }
  US_TRY(const auto running, running_job(session.host(), status, work.job_type));
  if (running) {
    session.say(work.title + " runs; Ctrl-C only ends this command.");
    US_TRY(const JobView view, wait_for_job(session, *running));
    result.set(work.json_name, to_json(view));
  }
  session.print(printable(work.title) + " is complete.\n", result);
  return {};
}

Status require_primary(Session& session, const cim::Instance& status, const std::string& what,
                       const std::string& command) {
  return require_side(session, status, ReplicationMode::primary, what, command);
}

Status require_replica(Session& session, const cim::Instance& status, const std::string& what,
                       const std::string& command) {
  return require_side(session, status, ReplicationMode::replica, what, command);
}

Status confirm(Session& session, const Arguments& arguments, const std::string& question) {
  if (arguments.has("yes")) return {};
  if (!session.console.interactive)
    return fail(ErrorCode::invalid_parameter, "this has to be confirmed: " + question,
                "add --yes, or run it on a terminal");
  US_TRY(const std::string answer, session.console.ask(printable(question) + " [y/N] "));
  if (answer.starts_with('y') || answer.starts_with('Y')) return {};
  return fail(ErrorCode::cancelled, "nothing was done");
}

}  // namespace understudy::cli
