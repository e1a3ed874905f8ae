#include "cli/session.h"

#include <ostream>

#include "base/assert.h"
#include "cli/progress.h"
#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr Duration kPollEvery = Duration::millis(500);
constexpr uint32_t kMostFailuresInRow = 20;  // the daemon may be restarted while its job goes on

std::string job_hint(const Uuid& id) {
  return "understudy job show " + id.lower();
}

}  // namespace

Management& Session::host() const {
  US_ASSERT(management != nullptr);
  return *management;
}

void Session::print(const std::string& text, const JsonObject& object) const {
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

}  // namespace understudy::cli
