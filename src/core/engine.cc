#include "core/engine.h"

#include <algorithm>
#include <array>

#include "core/step.h"
#include "core/transitions.h"

namespace understudy::core {
namespace {

// Finished jobs go after five minutes, and the oldest earlier when there are too many. When the clock was set
// back, the five minutes begin anew.
void prune_jobs(State& state, Wall now) {
  for (Job& job : state.jobs)
    if (job.finished()) job.ended = std::min(job.ended, now);
  std::erase_if(state.jobs,
                [&](const Job& job) { return job.finished() && now - job.ended > limits::kJobKept; });
  while (state.jobs.size() > limits::kMostJobsKept) {
    const auto oldest =
        std::find_if(state.jobs.begin(), state.jobs.end(), [](const Job& j) { return j.finished(); });
    if (oldest == state.jobs.end()) break;
    state.jobs.erase(oldest);
  }
}

// Bytes and percent of the transfer that ended, so that they do not go back when the daemon is restarted.
void note_progress(State& state, const Event& event, ActionId awaited) {
  const auto* sent = std::get_if<Sent>(&event);
  if (sent == nullptr || sent->id != awaited || !sent->progress) return;
  for (Job& job : state.jobs)
    if (!job.finished() && (job.type == JobType::send_initial || job.type == JobType::resynchronize))
      job.progress = sent->progress;
}

// The certificate name of the host that asks; null when nobody does.
const std::string* asking_peer(const Event& event) {
  if (const auto* query = std::get_if<QueryAsk>(&event)) return &query->peer;
  if (const auto* begin = std::get_if<BeginAsk>(&event)) return &begin->peer;
  if (const auto* finish = std::get_if<FinishAsk>(&event)) return &finish->peer;
  return nullptr;
}

// Whatever is answered: who asks is alive.
void note_heard(State& state, const Event& event, Monotonic now) {
  const std::string* peer = asking_peer(event);
  if (peer != nullptr && is_replica(state.phase) && *peer == state.primary_name) state.heard = now;
}

void note_neighbour(State& state, const HostState& host, Duration ahead, Wall now) {
  Neighbour& other = state.neighbour;
  other.findings = host.findings;
  other.ahead = ahead;
  const bool skewed = ahead > limits::kClockSkewMost || Duration{} - ahead > limits::kClockSkewMost;
  if (!skewed)
    other.skewed_since = {};
  else if (other.skewed_since.never())
    other.skewed_since = now;
}

void note_version(Neighbour& other, const std::string& version, Wall now) {
  if (version.empty()) return;
  if (version == UNDERSTUDY_VERSION)
    other.other_version_since = {};
  else if (version != other.version)
    other.other_version_since = now;
  other.version = version;
}

// What the other host says of itself, whatever comes of the question.
void note_neighbour(State& state, const Event& event, Wall now) {
  if (const auto* found = std::get_if<Inventoried>(&event)) {
    note_version(state.neighbour, found->version, now);
    if (found->replica && found->replica->host)
      note_neighbour(state, *found->replica->host, found->ahead, now);
  } else if (const auto* query = std::get_if<QueryAsk>(&event)) {
    if (!is_replica(state.phase) || query->peer != state.primary_name) return;
    note_version(state.neighbour, query->version, now);
    if (query->host) note_neighbour(state, *query->host, query->host->clock - now, now);
  }
}

}  // namespace

Actions Engine::step(const Event& event, Now now) {
  Step step(*this, event, now);
  prune_jobs(state_, now.wall);
  note_heard(state_, event, now.monotonic);
  note_neighbour(state_, event, now.wall);
  note_progress(state_, event, volatile_.waiting);
  // What no phase resumes ends here: none of the jobs stays open for ever, none vanishes.
  if (std::holds_alternative<Started>(event))
    step.end_job(JobType::request_state_change,
                 fail(ErrorCode::status_unknown, "the daemon was restarted before it knew the end of it",
                      "look at the VM: understudy show " + state_.name));
  row_ = nullptr;
  for (const Transition& row : transitions()) {
    if (row.from && *row.from != state_.phase) continue;
    if (row.event != event.index() || !row.guard(step)) continue;
    const Phase before = state_.phase;
    row_ = &row;
    row.rule(step);
    US_ASSERT(state_.phase == row.to.value_or(before));
    break;
  }
  return std::move(step.actions);
}

Job& Step::begin_job(JobType type, std::string title) {
  Job job;
  job.id = new_id();
  job.type = type;
  job.title = std::move(title);
  job.submitted = now.wall;
  state().jobs.push_back(std::move(job));
  return state().jobs.back();
}

Job* Step::running_job(JobType type) {
  for (Job& job : state().jobs)
    if (job.type == type && !job.finished()) return &job;
  return nullptr;
}

void Step::end_job(JobType type, const Status& status) {
  Job* job = running_job(type);
  if (job == nullptr) return;
  job->ended = now.wall;
  job->state = status ? JobState::completed : JobState::exception;
  if (!status) job->error = status.error();
}

void Step::terminate_job(Job& job, const Error& why) {
  job.ended = now.wall;
  job.state = JobState::terminated;
  job.error = why;
}

void Step::set_cause(const Error& error) {
  if (!state().cause) state().cause_since = now.wall;
  state().cause = error;
}

void Step::clear_cause() {
  state().cause.reset();
  state().cause_since = {};
}

Duration Step::next_retry() {
  const uint32_t doublings = std::min(run().failures++, 16U);
  const Duration wait = limits::kRetryFirst * (int64_t{1} << doublings);
  return std::min(wait, limits::kRetryMost);
}

std::string_view event_name(size_t index) {
  static constexpr std::array<std::string_view, std::variant_size_v<Event>> kNames = {
      "Started",       "TimerDue",     "HypervisorNews", "CreateCall", "StartCall",       "FailoverCall",
      "PowerCall",     "RevertCall",   "StateCall",      "ResyncCall", "PointCall",       "StatisticsCall",
      "PrepareAsk",    "QueryAsk",     "BeginAsk",       "FinishAsk",  "PreparedPeer",    "Inventoried",
      "SlotGranted",   "JobOpened",    "Sent",           "Settled",    "PreparedReplica", "StagingOpened",
      "Published",     "Merged",       "Stopped",        "FailedOver", "Released",        "Reverted",
      "ReceiveFailed", "PowerChanged", "RemoveCall",     "Retired",    "NetworkCall",     "NetworkGiven",
      "ModifyCall",    "Checked",      "CancelCall"};
  return kNames.at(index);
}

}  // namespace understudy::core
