// Jobs: what runs, what ended, and why it failed.
#include <map>

#include "cim/schema.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "model/states.h"

namespace understudy::cli {
namespace {

std::string state(const cim::Instance& job) {
  return lower_case(std::string(cim::value_name(
      "Msvm_ConcreteJob", "JobState", static_cast<int64_t>(job.get("JobState").number().value_or(0)))));
}

// A whole id, or the beginning of one that means a single job.
Result<Uuid> job_id(Management& management, const std::string& text) {
  if (auto id = Uuid::parse(text)) return id;
  US_TRY(const auto jobs, management.enumerate("Msvm_ConcreteJob"));
  std::vector<std::string> found;
  for (const cim::Instance& job : jobs)
    if (const std::string id = lower_case(cell(job, "InstanceID"));
        !text.empty() && id.starts_with(lower_case(text)))
      found.push_back(id);
  if (found.size() == 1) return Uuid::parse(found.front());
  return fail(ErrorCode::not_found,
              (found.empty() ? "no job" : "more than one job") + (" begins with '" + text + "'"),
              "understudy job list");
}

constexpr unsigned kTerminate = 4;  // RequestedState of Msvm_ConcreteJob.RequestStateChange

// What ends the work of a job that cannot be ended itself.
std::string instead_of_cancel(const JobView& view, const Uuid& id) {
  const std::string vm = cell(view.detail, "ElementName");
  if (!view.finished()) switch (static_cast<JobType>(number(view.job, "JobType"))) {
      case JobType::resynchronize:
        return "understudy resync " + vm + " --cancel";
      case JobType::send_initial:
      case JobType::send_delta:
      case JobType::create_point:
        return "understudy pause " + vm;
      case JobType::initiate_failover:
        return "once it has ended: understudy revert " + vm;
      default:
        break;
    }
  return "understudy job show " + id.lower();
}

}  // namespace

Status job_list(Session& session, const Arguments&) {
  US_TRY(const auto jobs, session.host().enumerate("Msvm_ConcreteJob"));
  US_TRY(const auto details, session.host().enumerate("Understudy_ConcreteJobDetail"));
  std::map<std::string, std::string> vms;
  for (const cim::Instance& detail : details) vms[cell(detail, "InstanceID")] = cell(detail, "ElementName");
  Table table({"JOB", "VM", "STATE", "DONE", "STARTED", "WHAT"});
  for (const cim::Instance& job : jobs)
    table.add({lower_case(cell(job, "InstanceID")), vms[cell(job, "InstanceID")], state(job),
               cell(job, "PercentComplete") + " %", time_text(job.get("StartTime")),
               cell(job, "Description")});
  JsonObject object;
  object.set("jobs", to_json(jobs));
  session.print(table.empty() ? "There are no jobs. Ended ones are kept for five minutes.\n" : table.text(),
                object);
  return {};
}

Status job_show(Session& session, const Arguments& arguments) {
  US_TRY(const Uuid id, job_id(session.host(), arguments.argument(0)));
  US_TRY(const JobView view, find_job(session.host(), id));
  Fields fields;
  fields.add("job", id.lower()).add("vm", cell(view.detail, "ElementName"));
  fields.add("what", cell(view.job, "Description")).add("state", state(view.job));
  fields.add("done", cell(view.job, "PercentComplete") + " %");
  if (const auto total = view.detail.get("BytesTotal").number())
    fields.add("bytes",
               bytes_text(view.detail.get("BytesDone").number().value_or(0)) + " of " + bytes_text(*total));
  fields.add("started", time_text(view.job.get("StartTime")));
  if (const auto elapsed = view.job.get("ElapsedTime").datetime())
    fields.add("took", age_text(Duration{elapsed->us}));
  if (const auto error = view.error()) fields.add("error", error->message()).add("next", error->hint());
  JsonObject object;
  object.set("job", to_json(view));
  session.print(fields.text(), object);
  return {};
}

Status job_cancel(Session& session, const Arguments& arguments) {
  US_TRY(const Uuid id, job_id(session.host(), arguments.argument(0)));
  US_TRY(const JobView view, find_job(session.host(), id));
  const std::string what = cell(view.job, "Description");
  const cim::ObjectPath path{"Msvm_ConcreteJob", {{"InstanceID", id.upper()}}};
  const auto called = call(session.host(), path, "RequestStateChange",
                           cim::Instance("INPUT").set("RequestedState", kTerminate));
  if (!called) {
    const Error& error = called.error();
    return fail(error.code(), "'" + what + "': " + error.message(),
                error.hint().empty() ? instead_of_cancel(view, id) : error.hint());
  }
  US_TRY(const JobView after, find_job(session.host(), id));
  JsonObject object;
  object.set("job", to_json(after));
  session.print(printable("'" + what + "' is cancelled.") + "\n", object);
  return {};
}

}  // namespace understudy::cli
