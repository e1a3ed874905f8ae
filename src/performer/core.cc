#include "performer/core.h"

#include "base/assert.h"
#include "base/log.h"

namespace understudy::performer {
namespace {

constexpr const char* kEngines = "engine";
constexpr core::ActionId kActionsPerLife = 1ULL << 32;

// An answer that says the step was not made durable.
std::optional<Answer> refusal_of(const core::Action& action, const Error& error) {
  const tl::unexpected<Error> refused(error);
  if (const auto* a = std::get_if<core::Reply>(&action)) return core::Reply{a->call, refused};
  if (const auto* a = std::get_if<core::PrepareReply>(&action)) return core::PrepareReply{a->call, refused};
  if (const auto* a = std::get_if<core::QueryReply>(&action)) return core::QueryReply{a->call, refused};
  if (const auto* a = std::get_if<core::BeginReply>(&action)) return core::BeginReply{a->call, refused};
  if (const auto* a = std::get_if<core::FinishReply>(&action)) return core::FinishReply{a->call, refused};
  return std::nullopt;
}

}  // namespace

Core::Core(Ports ports, Executors executors, Outlets outlets)
    : ports_(ports),
      outlets_(std::move(outlets)),
      slots_(limits::kMostTransfers),
      performer_(std::move(ports), executors, outlets_.post) {}

Status Core::load() {
  US_TRY(const auto rows, ports_.state_db.load(kEngines));
  for (const auto& [key, text] : rows) {
    auto state = core::decode_state(text);
    if (!state) return fail(state.error().context("stored state of VM " + key));
    persisted_[state->vm] = text;
    performer_.adopt(*state);
    outlets_.changed(*state);
    const Uuid vm = state->vm;
    engines_.try_emplace(vm, std::move(*state), ports_.ids, next_life_++ * kActionsPerLife);
    outlets_.post(vm, core::Started{});
  }
  return {};
}

std::optional<Monotonic> Core::next_timer() const {
  std::optional<Monotonic> next;
  for (const auto* timers : {&timers_, &restarts_})
    for (const auto& [vm, due] : *timers)
      if (!next || due < *next) next = due;
  return next;
}

void Core::fire_timers() {
  const Monotonic now = ports_.clock.now().monotonic;
  const auto take_due = [now](std::map<Uuid, Monotonic>& timers) {
    std::vector<Uuid> due;
    for (const auto& [vm, at] : timers)
      if (at <= now) due.push_back(vm);
    for (const Uuid& vm : due) timers.erase(vm);
    return due;
  };
  for (const Uuid& vm : take_due(restarts_)) step(vm, core::Started{});
  for (const Uuid& vm : take_due(timers_)) step(vm, core::TimerDue{});
}

core::Engine& Core::engine(const Uuid& vm) {
  const auto found = engines_.find(vm);
  if (found != engines_.end()) return found->second;
  core::State state;
  state.vm = vm;
  return engines_.try_emplace(vm, std::move(state), ports_.ids, next_life_++ * kActionsPerLife).first->second;
}

void Core::step(const Uuid& vm, const core::Event& event) {
  // An engine that goes on after a failed Persist hears of its start before anything else.
  if (restarts_.erase(vm) != 0) step(vm, core::Started{});
  core::Engine& mine = engine(vm);
  const core::Phase before = mine.state().phase;
  std::optional<core::State> watched;
  if (outlets_.stepped) watched = mine.state();
  const core::Actions actions = mine.step(event, ports_.clock.now());
  const core::Phase after = mine.state().phase;
  if (before != after)
    log_debug("engine", "phase",
              {{"vm", mine.state().name},
               {"event", core::event_name(event.index())},
               {"from", core::phase_name(before)},
               {"to", core::phase_name(after)}});
  outlets_.changed(mine.state());
  if (watched) outlets_.stepped(*watched, event, mine);
  perform(vm, actions);
}

void Core::perform(const Uuid& vm, const core::Actions& actions) {
  for (size_t i = 0; i < actions.size(); ++i) {
    const core::Action& action = actions[i];
    if (const auto* a = std::get_if<core::Persist>(&action)) {
      if (const Status status = persist(vm, *a); !status) return reload(vm, actions, i, status.error());
    } else if (const auto* arm = std::get_if<core::Arm>(&action)) {
      timers_[vm] = arm->due;
    } else if (std::holds_alternative<core::RequestSlot>(action)) {
      if (slots_.request(vm)) outlets_.post(vm, core::SlotGranted{});
    } else if (std::holds_alternative<core::ReleaseSlot>(action)) {
      if (const auto next = slots_.release(vm)) outlets_.post(*next, core::SlotGranted{});
    } else if (const auto* r = std::get_if<core::Reply>(&action)) {
      outlets_.answer(*r);
    } else if (const auto* p = std::get_if<core::PrepareReply>(&action)) {
      outlets_.answer(*p);
    } else if (const auto* q = std::get_if<core::QueryReply>(&action)) {
      outlets_.answer(*q);
    } else if (const auto* b = std::get_if<core::BeginReply>(&action)) {
      outlets_.answer(*b);
    } else if (const auto* f = std::get_if<core::FinishReply>(&action)) {
      outlets_.answer(*f);
    } else {
      performer_.perform(engine(vm).state(), action);
    }
  }
}

Status Core::persist(const Uuid& vm, const core::Persist& action) {
  if (action.state.empty()) {
    US_CHECK(ports_.state_db.remove(kEngines, vm.lower()));
    persisted_.erase(vm);
    return {};
  }
  US_CHECK(ports_.state_db.put(kEngines, vm.lower(), action.state));
  persisted_[vm] = action.state;
  return {};
}

void Core::reload(const Uuid& vm, const core::Actions& undone, size_t from, const Error& error) {
  log_error("engine", "the state of a VM could not be stored; it goes on from what was stored last",
            {{"vm", vm.lower()}, {"error", error.text()}});
  core::State state;
  state.vm = vm;
  if (const auto stored = persisted_.find(vm); stored != persisted_.end()) {
    auto decoded = core::decode_state(stored->second);
    US_ASSERT(decoded.has_value());
    state = std::move(*decoded);
  }
  // What is not stored holds on.
  state.heard = engine(vm).state().heard;
  state.findings = engine(vm).state().findings;
  state.neighbour = engine(vm).state().neighbour;
  if (const auto next = slots_.release(vm)) outlets_.post(*next, core::SlotGranted{});
  performer_.abandon(vm);
  timers_.erase(vm);
  engines_.erase(vm);
  core::Engine& fresh =
      engines_.try_emplace(vm, std::move(state), ports_.ids, next_life_++ * kActionsPerLife).first->second;
  outlets_.changed(fresh.state());
  restarts_[vm] = ports_.clock.now().monotonic + limits::kRetryFirst;
  for (size_t i = from; i < undone.size(); ++i)
    if (auto refused = refusal_of(undone[i], error)) outlets_.answer(std::move(*refused));
}

}  // namespace understudy::performer
