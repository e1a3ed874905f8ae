// RemoveReplicationRelationship: one side forgets the other. Each side is removed by a call of its own.
#include "core/cycle.h"
#include "core/network.h"
#include "core/rules.h"

namespace understudy::core::rules {
namespace {

void accept(Step& step) {
  const State& s = step.state();
  const Uuid job =
      step.begin_job(JobType::remove_relationship, "Removing the replication of " + s.name + " on this host")
          .id;
  step.persist();
  step.act(Reply{step.as<RemoveCall>().call, std::optional<Uuid>(job)});
}

}  // namespace

// --- primary ---

bool ends(const Step& step) {
  return step.state().ends;
}

// A cycle is under way: its next event ends it.
void want_end(Step& step) {
  step.state().ends = true;
  accept(step);
  if (step.state().phase == Phase::sending) step.act(StopSending{});
}

// The guest is left as if it had never been replicated. Its hold goes too: whoever removes a primary whose
// replica was failed over says that this copy may start.
void end_replication(Step& step) {
  State& s = step.state();
  const bool queued = s.phase == Phase::queued;
  s.ends = true;
  const Error why(ErrorCode::cancelled, "the replication of '" + s.name + "' was removed");
  step.end_job(JobType::send_initial, tl::unexpected<Error>(why));
  step.end_job(JobType::resynchronize, tl::unexpected<Error>(why));
  fail_wanted_point(step, why);
  s.phase = Phase::ending;
  forget_copy(s);
  s.obligations.hold.clear();
  s.obligations.lift_hold = true;
  s.obligations.unwatch = true;
  step.clear_cause();
  if (std::holds_alternative<RemoveCall>(step.event()))
    accept(step);
  else
    step.persist();
  if (queued) step.act(ReleaseSlot{});
  release_slot(step);
  settle_again(step);
}

void end_later(Step& step) {
  const auto& settled = step.as<Settled>();
  if (settled.left) step.state().obligations = *settled.left;
  step.set_cause(settled.status.error());
  step.persist();
  step.arm(step.next_retry());
}

// --- replica ---

void begin_retiring(Step& step) {
  step.state().phase = Phase::retiring;
  end_network(step, "the replication of '" + step.state().name + "' is removed");
  if (step.run().merging != 0) step.act(StopMerging{});
  accept(step);
  retire_again(step);
}

// Nobody asked for the removal of what could not be prepared.
void retire_again(Step& step) {
  const bool unprepared = step.running_job(JobType::remove_relationship) == nullptr;
  step.act(Retire{step.await(), unprepared});
}

void retire_later(Step& step) {
  step.set_cause(step.as<Retired>().status.error());
  step.persist();
  step.arm(step.next_retry());
}

// --- both ---

void removed(Step& step) {
  step.end_job(JobType::remove_relationship, {});
  forget_relationship(step);
}

}  // namespace understudy::core::rules
