#include "core/cycle.h"

#include <algorithm>

#include "core/rules.h"

namespace understudy::core::rules {

const VmFacts& vm_of(const Step& step) {
  return *step.as<Inventoried>().vm;
}
const Holdings* replica_of(const Step& step) {
  const auto& found = step.as<Inventoried>().replica;
  return found ? &*found : nullptr;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
bool usable(const VmFacts& facts, const std::string& checkpoint) {
  return has(facts.checkpoints, checkpoint) && !has(facts.broken_checkpoints, checkpoint);
}

void halt(Step& step, Error error) {
  State& s = step.state();
  s.phase = Phase::halted;
  step.set_cause(error);
  step.end_job(JobType::send_initial, tl::unexpected<Error>(error));
  step.end_job(JobType::resynchronize, tl::unexpected<Error>(error));
  fail_wanted_point(step, error);
  s.obligations.end_job = true;
  step.persist();
  settle_again(step);
}

void forget_relationship(Step& step) {
  State fresh;
  fresh.vm = step.state().vm;
  fresh.name = step.state().name;
  fresh.jobs = step.state().jobs;
  step.state() = fresh;
  if (fresh.jobs.empty()) return step.forget();
  step.persist();
  step.arm(limits::kJobKept);
}

void release_slot(Step& step) {
  if (!step.state().slot) return;
  step.state().slot = false;
  step.act(ReleaseSlot{});
}

void retry_later(Step& step, const Error& error) {
  step.state().phase = Phase::idle;
  step.set_cause(error);
  release_slot(step);
  step.persist();
  step.arm(step.next_retry());
}

void begin_settling(Step& step) {
  step.state().phase = Phase::settling;
  release_slot(step);
  step.persist();
  step.act(Settle{step.await(), step.state().obligations});
}

void advance_base(State& s) {
  if (!s.base_checkpoint.empty()) s.obligations.delete_checkpoints.push_back(s.base_checkpoint);
  s.base_checkpoint = s.cut->checkpoint;
  s.cut.reset();
  s.obligations.end_job = true;
}

void drop_cut(State& s) {
  if (!s.cut) return;
  s.obligations.delete_checkpoints.push_back(s.cut->checkpoint);
  s.cut.reset();
  s.obligations.end_job = true;
}

void forget_copy(State& s) {
  drop_cut(s);
  s.obligations.end_job = true;
  if (!s.base_checkpoint.empty()) s.obligations.delete_checkpoints.push_back(s.base_checkpoint);
  s.base_checkpoint.clear();
  s.passes = 0;
}

}  // namespace understudy::core::rules
