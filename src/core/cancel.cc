// RequestStateChange(4) of a job: what may still be cancelled, and what becomes of it.
#include "core/cycle.h"
#include "core/rules.h"

namespace understudy::core {
namespace {

const Job* asked_job(const Step& step) {
  return find_job(step.state(), step.as<CancelCall>().job);
}
// Of two that want a point it is the one that is named.
void terminate(Step& step, const Error& why) {
  for (Job& job : step.state().jobs)
    if (job.id == step.as<CancelCall>().job) step.terminate_job(job, why);
}

bool may_be_cancelled(const Step& step, JobType type) {
  const Job* job = asked_job(step);
  return job != nullptr && job->type == type && cancellable(step.state(), *job);
}

void done(Step& step) {
  step.persist();
  step.act(Reply{step.as<CancelCall>().call, std::optional<Uuid>()});
}

// `way_out` may be empty: there is the job to look at.
void refuse(Step& step, ErrorCode code, const std::string& why, const std::string& way_out) {
  const auto& call = step.as<CancelCall>();
  step.act(Reply{call.call, fail(code, "job " + call.job.upper() + " cannot be cancelled: " + why,
                                 way_out.empty() ? "understudy job show " + call.job.lower() : way_out)});
}

// What ends the work of a job that cannot be ended itself.
std::string instead(const std::string& vm, JobType type) {
  switch (type) {
    case JobType::initiate_failover:
      return "once it has ended: understudy revert " + vm;
    case JobType::send_initial:
    case JobType::create_point:
      return "understudy pause " + vm;
    default:
      return {};
  }
}

}  // namespace

bool cancellable(const State& state, const Job& job) {
  if (job.finished()) return false;
  switch (job.type) {
    case JobType::initiate_failover:  // until the generation rises
      return state.phase == Phase::stopping;
    case JobType::resynchronize:
      return state.resync.has_value();
    case JobType::create_point:  // until its cut is made
      return !state.cut || state.cut->keep != PointKeep::on_demand;
    default:
      return false;
  }
}

namespace rules {

bool job_has_ended(const Step& step) {
  const Job* job = asked_job(step);
  return job == nullptr || job->finished();
}
void refuse_ended(Step& step) {
  refuse(step, ErrorCode::invalid_state, "it has ended", {});
}
void refuse_cancel(Step& step) {
  refuse(step, ErrorCode::not_supported, "it has come too far, or is of a kind that is always completed",
         instead(step.state().name, asked_job(step)->type));
}

// Something still stands in its way; once the replica has been told to stop receiving, it is a moment's work.
bool cancels_failover(const Step& step) {
  const auto& run = step.run();
  return may_be_cancelled(step, JobType::initiate_failover) && (run.staging != 0 || run.merging != 0);
}
void cancel_failover(Step& step) {
  State& s = step.state();
  s.phase = Phase::standby;
  s.failover.reset();
  terminate(step,
            Error(ErrorCode::cancelled, "the failover of '" + s.name + "' was cancelled before it began",
                  "understudy failover " + s.name));
  done(step);
}

bool cancels_comparison(const Step& step) {
  return may_be_cancelled(step, JobType::resynchronize);
}
void cancel_comparison(Step& step) {
  stop_comparing(step);
  done(step);
}
void cancel_comparison_and_give_way(Step& step) {
  cancel_comparison(step);
  give_way(step);
}

bool cancels_point(const Step& step) {
  return may_be_cancelled(step, JobType::create_point);
}
void cancel_point(Step& step) {
  const State& s = step.state();
  terminate(step, Error(ErrorCode::cancelled, "the recovery point of '" + s.name + "' is not wanted any more",
                        "understudy point create " + s.name));
  done(step);
}

}  // namespace rules
}  // namespace understudy::core
