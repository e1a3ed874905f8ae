// The side that keeps the copy: made, receiving, failing over. Data never passes here; what is decided here
// is whether it may be taken, and in which order receiving, merging, the generation and the hold change.
#include "core/cycle.h"
#include "core/network.h"
#include "core/rules.h"

namespace understudy::core::rules {
namespace {

std::string replica_words(const State& s) {
  return "replica of '" + s.name + "'";
}

// Answers whoever asked, in the form of the question.
void refuse(Step& step, const Error& error) {
  const tl::unexpected<Error> refusal(error);
  if (const auto* e = std::get_if<PrepareAsk>(&step.event()))
    step.act(PrepareReply{e->call, refusal});
  else if (const auto* q = std::get_if<QueryAsk>(&step.event()))
    step.act(QueryReply{q->call, refusal});
  else if (const auto* b = std::get_if<BeginAsk>(&step.event()))
    step.act(BeginReply{b->call, refusal});
  else if (const auto* f = std::get_if<FinishAsk>(&step.event()))
    step.act(FinishReply{f->call, refusal});
  else
    US_ASSERT(false);
}

bool is_another(const Step& step, const std::string& peer) {
  const std::string& owner = step.state().primary_name;
  return !owner.empty() && peer != owner;
}

Error state_error(const State& s, const char* what) {
  std::string why = "it is not a replica on this host";
  if (s.phase == Phase::failed_over || s.phase == Phase::releasing || s.phase == Phase::failing_over ||
      s.phase == Phase::stopping)
    why = "it has been failed over here (generation " +
          std::to_string(s.failover ? s.failover->generation : s.lineage.generation) + ")";
  else if (is_primary(s.phase))
    why = "this host is its primary";
  return Error(ErrorCode::invalid_state, std::string(what) + " '" + s.name + "': " + why);
}

// Receiving and merging must be quiet before the overlays are made; whichever ends last goes on.
void stop_when_quiet(Step& step) {
  if (step.run().staging == 0 && step.run().merging == 0) step.act(StopReceiving{step.await()});
}

void begin_merge(Step& step) {
  if (step.run().merging != 0) return;
  const ActionId id = step.run().merging = step.new_action();
  step.act(Merge{id});
}

void reply_staging_ended(Step& step) {
  if (const auto* opened = std::get_if<StagingOpened>(&step.event())) {
    step.act(BeginReply{step.run().staging_call, opened->cursor});
  } else if (const auto* published = std::get_if<Published>(&step.event())) {
    step.act(FinishReply{step.run().staging_call, published->point});
  }
  step.run().staging = 0;
  step.run().staging_call = 0;
}

void note_point(Step& step, const RecoveryPoint& point) {
  State& s = step.state();
  s.lineage = point.lineage;
  s.times.last_replication = point.received;
  s.times.last_apply = step.now.wall;
  s.times.last_cut = point.cut;
  s.times.last_type = point.type;
  if (point.type == PointType::application_consistent) s.times.last_consistent = point.cut;
  ++s.statistics.successes;
  s.statistics.bytes += step.run().finish_bytes;
  s.statistics.most_bytes = std::max(s.statistics.most_bytes, step.run().finish_bytes);
}

}  // namespace

bool other_peer(const Step& step) {
  return std::visit(
      [&](const auto& event) -> bool {
        if constexpr (requires { event.trusted; })
          return is_another(step, event.peer) && !event.trusted;
        else if constexpr (requires { event.peer; })
          return is_another(step, event.peer);
        else
          return false;
      },
      step.event());
}
void refuse_peer(Step& step) {
  const std::string& owner = step.state().primary_name;
  refuse(step,
         Error(ErrorCode::access_denied,
               "the " + replica_words(step.state()) + " belongs to the primary host '" + owner +
                   "'; only a host of its trust group may take it over",
               "on the replica host, if it is that host under another name, or keeps its VM now: give both "
               "the same --trust-group (understudy authorizations)"));
}

// A host of the trust group takes the replica over by sending everything, or all that differs: what it
// recorded need not continue what the host before it sent.
bool takes_over_midway(const Step& step) {
  const auto& ask = step.as<BeginAsk>();
  if (!is_another(step, ask.peer)) return false;
  return ask.key.kind != TransferKind::pass || ask.key.from != 0;
}
void refuse_takeover(Step& step) {
  refuse(step, Error(ErrorCode::invalid_state,
                     "the " + replica_words(step.state()) + " was sent by '" + step.state().primary_name +
                         "': another host begins with a comparison",
                     "it does so by itself: understudy show " + step.state().name));
}

// --- made ---

void prepare_replica(Step& step) {
  const auto& ask = step.as<PrepareAsk>();
  State& s = step.state();
  s.phase = Phase::preparing;
  s.name = ask.definition.name;
  s.primary_name = ask.peer;
  s.directory = ask.directory;
  s.definition = ask.definition;
  s.settings = ask.settings;
  s.lineage = ask.lineage;
  s.disks = ask.disks;
  s.statistics.since = step.now.wall;
  step.run().prepare_call = ask.call;
  step.persist();
  step.act(PrepareReplica{step.await(), s.definition, s.directory, s.lineage, s.disks});
}

// Asked again, or late: what is there must not be made anew, for that may fail.
bool prepared_already(const Step& step) {
  const auto& ask = step.as<PrepareAsk>();
  const State& s = step.state();
  return ask.lineage == Lineage{s.lineage.set, s.lineage.generation, 0} && ask.disks == s.disks;
}
void answer_prepared(Step& step) {
  step.act(PrepareReply{step.as<PrepareAsk>().call, step.state().warnings});
}

void prepare_replica_again(Step& step) {
  const State& s = step.state();
  step.act(PrepareReplica{step.await(), s.definition, s.directory, s.lineage, s.disks});
}

void replica_prepared(Step& step) {
  const auto& done = step.as<PreparedReplica>();
  State& s = step.state();
  s.phase = Phase::waiting;
  s.warnings = *done.warnings;
  step.persist();
  if (step.run().prepare_call != 0) step.act(PrepareReply{step.run().prepare_call, done.warnings});
  step.run().prepare_call = 0;
}

// Its engine was lost with the database: it is for `understudy store recover` to find again. After a restart
// nobody knows whether it is what the try before made.
bool replica_was_there(const Step& step) {
  return step.as<PreparedReplica>().found && step.run().prepare_call != 0;
}
void leave_as_found(Step& step) {
  step.act(PrepareReply{step.run().prepare_call, step.as<PreparedReplica>().warnings});
  step.run().prepare_call = 0;
  forget_relationship(step);
}

// What it made so far has to go before this host forgets it.
void prepare_failed(Step& step) {
  step.state().phase = Phase::retiring;
  step.persist();
  if (step.run().prepare_call != 0)
    step.act(PrepareReply{step.run().prepare_call, step.as<PreparedReplica>().warnings});
  step.run().prepare_call = 0;
  retire_again(step);
}

void refuse_prepare(Step& step) {
  const State& s = step.state();
  std::string what = "this host already keeps a replica of '" + s.name + "' that holds recovery points";
  if (is_primary(s.phase)) what = "this host is the primary of '" + s.name + "'";
  if (s.phase == Phase::preparing) what = "this host is preparing the " + replica_words(s);
  if (s.phase == Phase::retiring) what = "this host is removing the " + replica_words(s);
  const bool passes = s.phase == Phase::preparing || s.phase == Phase::retiring;
  refuse(step, Error(passes ? ErrorCode::in_use : ErrorCode::invalid_parameter, what,
                     "look at it there: understudy show " + s.name));
}

// --- receiving ---

void answer_query(Step& step) {
  const auto& ask = step.as<QueryAsk>();
  if (ask.settings && takes_settings(step.state()) && *ask.settings != step.state().settings) {
    step.state().settings = *ask.settings;
    step.persist();
  }
  Holdings holdings;
  holdings.mode = mode_of(step.state());
  holdings.state = published_state(step.state());
  holdings.lineage = is_replica(step.state().phase) ? ask.newest : step.state().lineage;
  if (step.state().failover && is_replica(step.state().phase)) {
    // From the moment a failover is asked for, nothing of the old generation is taken any more.
    holdings.lineage.generation = std::max(holdings.lineage.generation, step.state().failover->generation);
  }
  holdings.staging = ask.staging;
  holdings.host = HostState{step.now.wall, step.state().findings};
  if (is_another(step, ask.peer)) {
    holdings.sender = OtherSender{step.state().primary_name};
    holdings.staging.reset();
  }
  step.act(QueryReply{ask.call, holdings});
}

bool staging_busy(const Step& step) {
  return step.run().staging != 0;
}
void refuse_begin_busy(Step& step) {
  refuse(step, Error(ErrorCode::in_use,
                     "the " + replica_words(step.state()) + " is being received on another connection"));
}
void refuse_begin(Step& step) {
  refuse(step, state_error(step.state(), "nothing is taken for"));
}
void refuse_finish(Step& step) {
  if (staging_busy(step)) return refuse_begin_busy(step);
  refuse(step, state_error(step.state(), "no point can be made of"));
}

void refuse_begin_paused(Step& step) {
  refuse(step, Error(ErrorCode::invalid_state,
                     "the " + replica_words(step.state()) + " takes nothing: it is paused here",
                     "understudy resume " + step.state().name));
}

void open_staging(Step& step) {
  const auto& ask = step.as<BeginAsk>();
  const ActionId id = step.run().staging = step.new_action();
  step.run().staging_call = ask.call;
  step.run().sender = ask.peer;
  step.act(OpenStaging{id, ask.call, ask.key, ask.granule, ask.peer});
}

void staging_opened(Step& step) {
  const auto& done = step.as<StagingOpened>();
  if (done.id != step.run().staging) return;
  if (done.cursor && step.state().primary_name != step.run().sender) {
    step.state().primary_name = step.run().sender;
    step.persist();
  }
  reply_staging_ended(step);
  // It may be that the chain is too long: a merge that failed, or waited for a view to be closed, is tried
  // again.
  if (!done.cursor && step.state().phase == Phase::standby) begin_merge(step);
}

void publish(Step& step) {
  const auto& ask = step.as<FinishAsk>();
  const ActionId id = step.run().staging = step.new_action();
  step.run().staging_call = ask.call;
  step.run().finish_bytes = ask.bytes;
  step.act(Publish{id, ask.key, ask.point, ask.type, ask.cut, step.now.wall, ask.keep});
}

void published(Step& step) {
  const auto& done = step.as<Published>();
  if (done.id != step.run().staging) return;
  State& s = step.state();
  s.phase = Phase::standby;
  note_point(step, *done.point);
  step.clear_cause();
  step.persist();
  reply_staging_ended(step);
  if (done.merge_due) begin_merge(step);
}

void publish_failed(Step& step) {
  const auto& done = step.as<Published>();
  if (done.id != step.run().staging) return;
  ++step.state().statistics.failures;
  step.set_cause(done.point.error());
  step.persist();
  reply_staging_ended(step);
}

// The primary hears of it by itself; here it is told to whoever asks this host.
void receive_failed(Step& step) {
  step.set_cause(step.as<ReceiveFailed>().error.context("receiving the " + replica_words(step.state())));
  step.persist();
}

void merged(Step& step) {
  const auto& done = step.as<Merged>();
  if (done.id != step.run().merging) return;
  step.run().merging = 0;
  if (done.bytes) return;
  step.set_cause(done.bytes.error().context("merging older data of the " + replica_words(step.state())));
  step.persist();
}

void resume_replica(Step& step) {
  begin_merge(step);
}

// --- failover ---

void stop_receiving(Step& step) {
  if (step.run().merging != 0) step.act(StopMerging{});
  stop_when_quiet(step);
}

void note_end_and_stop(Step& step) {
  if (const auto* merge = std::get_if<Merged>(&step.event())) {
    if (merge->id != step.run().merging) return;
    step.run().merging = 0;
  } else if (const auto* published = std::get_if<Published>(&step.event())) {
    if (published->id != step.run().staging) return;
    if (published->point) note_point(step, *published->point);
    reply_staging_ended(step);
  } else {
    if (step.as<StagingOpened>().id != step.run().staging) return;
    reply_staging_ended(step);
  }
  stop_when_quiet(step);
}

bool point_delisted(const Step& step) {
  const auto& stopped = step.as<Stopped>();
  const Uuid wanted = step.state().failover->point;
  if (wanted.nil()) return stopped.points.empty();
  for (const RecoveryPoint& point : stopped.points)
    if (point.id == wanted) return false;
  return true;
}
void point_lost(Step& step) {
  State& s = step.state();
  s.phase = Phase::standby;
  step.end_job(
      JobType::initiate_failover,
      fail(ErrorCode::invalid_parameter,
           "the recovery point was replaced by a newer one while the failover of '" + s.name + "' began",
           "choose again: understudy show " + s.name));
  s.failover.reset();
  step.persist();
}

void fail_over(Step& step) {
  const auto& stopped = step.as<Stopped>();
  State& s = step.state();
  s.phase = Phase::failing_over;
  const RecoveryPoint* chosen = &stopped.points.back();
  for (const RecoveryPoint& point : stopped.points)
    if (point.id == s.failover->point) chosen = &point;
  s.failover->point = chosen->id;
  s.failover->type = chosen->type;
  s.failover->cut = chosen->cut;
  step.persist();
  fail_over_again(step);
}

void fail_over_again(Step& step) {
  const State& s = step.state();
  step.act(FailOver{step.await(), s.failover->point, s.failover->generation});
}

bool failover_undone(const Step& step) {
  return step.as<FailedOver>().undone;
}
// Half of it is there and cannot be taken back now: it is completed, or taken back, at a later try.
void failover_unknown(Step& step) {
  step.set_cause(step.as<FailedOver>().status.error());
  step.persist();
  step.arm(step.next_retry());
}
void failover_failed(Step& step) {
  State& s = step.state();
  s.phase = Phase::standby;
  step.clear_cause();
  step.end_job(JobType::initiate_failover, step.as<FailedOver>().status);
  s.failover.reset();
  step.persist();
}

void release(Step& step) {
  State& s = step.state();
  s.phase = Phase::releasing;
  s.lineage.generation = s.failover->generation;
  step.persist();
  step.act(Release{step.await()});
}

void release_failed(Step& step) {
  step.set_cause(step.as<Released>().status.error());
  step.persist();
  step.arm(step.next_retry());
}

void note_run(Step& step) {
  if (!step.state().failover) return;  // it was found again from what the store knows
  Failover& f = *step.state().failover;
  const VmEvent what = step.as<HypervisorNews>().what;
  const bool starts = what == VmEvent::started;
  if (!starts && what != VmEvent::stopped && what != VmEvent::crashed) return;
  if (!note_power(f, starts, step.now.wall)) return;
  if (!starts)
    end_network(step,
                "'" + step.state().name + "' was turned off before its guest took the network settings");
  step.persist();
  if (starts) begin_network(step);
}

// --- taken back: held first, then what the guest wrote is set aside and the generation given up ---

void revert_again(Step& step) {
  step.act(Revert{step.await()});
}

void reverted(Step& step) {
  State& s = step.state();
  s.phase = Phase::standby;
  s.failover.reset();
  s.lineage = step.as<Reverted>().newest;
  step.clear_cause();
  step.end_job(JobType::revert_failover, {});
  step.persist();
  begin_merge(step);
}

bool failover_stands(const Step& step) {
  return step.as<Reverted>().failed_over == true;
}
// The hold that was set for it goes again.
void revert_failed(Step& step) {
  step.end_job(JobType::revert_failover, step.as<Reverted>().status);
  release(step);
}
void revert_unknown(Step& step) {
  step.set_cause(step.as<Reverted>().status.error());
  step.persist();
  step.arm(step.next_retry());
}

void failover_done(Step& step) {
  State& s = step.state();
  s.phase = Phase::failed_over;
  step.clear_cause();
  step.end_job(JobType::initiate_failover, {});
  step.persist();
  begin_network(step);  // the VM may have been started in the moment before
}

}  // namespace understudy::core::rules
