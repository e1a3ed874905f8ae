#include "performer/core_loop.h"

#include <chrono>

#include "base/assert.h"
#include "base/log.h"

namespace understudy::performer {
namespace {

constexpr const char* kEngines = "engine";
constexpr core::ActionId kActionsPerLife = 1ULL << 32;

core::CallId call_of(const Answer& answer) {
  return std::visit([](const auto& each) { return each.call; }, answer);
}

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

CoreLoop::CoreLoop(Ports ports)
    : ports_(ports),
      slots_(limits::kMostTransfers),
      performer_(ports, [this](const Uuid& vm, core::Event event) { post(vm, std::move(event)); }) {}

CoreLoop::~CoreLoop() {
  stop();
}

Status CoreLoop::load() {
  US_TRY(const auto rows, ports_.state_db.load(kEngines));
  for (const auto& [key, text] : rows) {
    auto state = core::decode_state(text);
    if (!state) return fail(state.error().context("stored state of VM " + key));
    persisted_[state->vm] = text;
    performer_.adopt(*state);
    publish(*state);
    const Uuid vm = state->vm;
    engines_.try_emplace(vm, std::move(*state), ports_.ids, next_life_++ * kActionsPerLife);
    queue_.push_back({vm, core::Started{}});
  }
  return {};
}

void CoreLoop::start() {
  thread_ = Thread("core", [this] { run(); });
}

void CoreLoop::stop() {
  performer_.stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();  // breaks their promises
  }
  wake_.notify_all();
  thread_.join();
}

void CoreLoop::post(const Uuid& vm, core::Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    queue_.push_back({vm, std::move(event)});
  }
  wake_.notify_all();
}

void CoreLoop::post_known(const Uuid& vm, core::Event event) {
  if (state(vm)) post(vm, std::move(event));
}

Result<Answer> CoreLoop::ask(const Uuid& vm, const std::function<core::Event(core::CallId)>& make,
                             Duration deadline) {
  std::future<Answer> future;
  core::CallId call = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(ErrorCode::cancelled, "the daemon is stopping");
    if (queue_.size() >= limits::kMostEvents)
      return fail(ErrorCode::out_of_memory, "this host is overloaded: too many requests wait", "try again");
    call = next_call_++;
    future = waiting_[call].get_future();
    queue_.push_back({vm, make(call)});
  }
  wake_.notify_all();
  if (future.wait_for(std::chrono::microseconds(deadline.us)) != std::future_status::ready) {
    const std::lock_guard lock(mutex_);
    waiting_.erase(call);
    return fail(ErrorCode::timeout, "no answer within " + age_text(deadline),
                "look at what runs: understudy list");
  }
  try {
    return future.get();
  } catch (const std::future_error&) {
    return fail(ErrorCode::cancelled, "the daemon is stopping");
  }
}

std::vector<core::State> CoreLoop::states() const {
  std::vector<core::State> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [vm, state] : published_) all.push_back(state);
  }
  for (core::State& state : all) fill_progress(state);
  return all;
}

std::optional<core::State> CoreLoop::state(const Uuid& vm) const {
  std::optional<core::State> copy;
  {
    const std::lock_guard lock(mutex_);
    const auto found = published_.find(vm);
    if (found == published_.end()) return std::nullopt;
    copy = found->second;
  }
  fill_progress(*copy);
  return copy;
}

void CoreLoop::run() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopping_ || !queue_.empty(); };
      if (const auto due = next_timer()) {
        const Duration wait = *due - ports_.clock.now().monotonic;
        wake_.wait_for(lock, std::chrono::microseconds(std::max<int64_t>(wait.us, 0)), ready);
      } else {
        wake_.wait(lock, ready);
      }
      if (stopping_) return;
      if (queue_.empty()) {
        lock.unlock();
        fire_timers();
        continue;
      }
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    step(item);
    fire_timers();
  }
}

std::optional<Monotonic> CoreLoop::next_timer() const {
  std::optional<Monotonic> next;
  for (const auto* timers : {&timers_, &restarts_})
    for (const auto& [vm, due] : *timers)
      if (!next || due < *next) next = due;
  return next;
}

void CoreLoop::fire_timers() {
  const Monotonic now = ports_.clock.now().monotonic;
  const auto take_due = [now](std::map<Uuid, Monotonic>& timers) {
    std::vector<Uuid> due;
    for (const auto& [vm, at] : timers)
      if (at <= now) due.push_back(vm);
    for (const Uuid& vm : due) timers.erase(vm);
    return due;
  };
  for (const Uuid& vm : take_due(restarts_)) step({vm, core::Started{}});
  for (const Uuid& vm : take_due(timers_)) step({vm, core::TimerDue{}});
}

core::Engine& CoreLoop::engine(const Uuid& vm) {
  const auto found = engines_.find(vm);
  if (found != engines_.end()) return found->second;
  core::State state;
  state.vm = vm;
  return engines_.try_emplace(vm, std::move(state), ports_.ids, next_life_++ * kActionsPerLife).first->second;
}

void CoreLoop::step(const Item& item) {
  core::Engine& mine = engine(item.vm);
  const core::Phase before = mine.state().phase;
  const core::Actions actions = mine.step(item.event, ports_.clock.now());
  const core::Phase after = mine.state().phase;
  if (before != after)
    log_debug("engine", "phase",
              {{"vm", mine.state().name},
               {"event", core::event_name(item.event.index())},
               {"from", core::phase_name(before)},
               {"to", core::phase_name(after)}});
  publish(mine.state());
  perform(item.vm, actions);
}

void CoreLoop::perform(const Uuid& vm, const core::Actions& actions) {
  for (size_t i = 0; i < actions.size(); ++i) {
    const core::Action& action = actions[i];
    if (const auto* a = std::get_if<core::Persist>(&action)) {
      if (const Status status = persist(vm, *a); !status) return reload(vm, actions, i, status.error());
    } else if (const auto* arm = std::get_if<core::Arm>(&action)) {
      timers_[vm] = arm->due;
    } else if (std::holds_alternative<core::RequestSlot>(action)) {
      if (slots_.request(vm)) post(vm, core::SlotGranted{});
    } else if (std::holds_alternative<core::ReleaseSlot>(action)) {
      if (const auto next = slots_.release(vm)) post(*next, core::SlotGranted{});
    } else if (const auto* r = std::get_if<core::Reply>(&action)) {
      answer(*r);
    } else if (const auto* p = std::get_if<core::PrepareReply>(&action)) {
      answer(*p);
    } else if (const auto* q = std::get_if<core::QueryReply>(&action)) {
      answer(*q);
    } else if (const auto* b = std::get_if<core::BeginReply>(&action)) {
      answer(*b);
    } else if (const auto* f = std::get_if<core::FinishReply>(&action)) {
      answer(*f);
    } else {
      performer_.perform(engine(vm).state(), action);
    }
  }
}

Status CoreLoop::persist(const Uuid& vm, const core::Persist& action) {
  if (action.state.empty()) {
    US_CHECK(ports_.state_db.remove(kEngines, vm.lower()));
    persisted_.erase(vm);
    return {};
  }
  US_CHECK(ports_.state_db.put(kEngines, vm.lower(), action.state));
  persisted_[vm] = action.state;
  return {};
}

void CoreLoop::reload(const Uuid& vm, const core::Actions& undone, size_t from, const Error& error) {
  log_error("engine", "the state of a VM could not be stored; it goes on from what was stored last",
            {{"vm", vm.lower()}, {"error", error.text()}});
  core::State state;
  state.vm = vm;
  if (const auto stored = persisted_.find(vm); stored != persisted_.end()) {
    auto decoded = core::decode_state(stored->second);
    US_ASSERT(decoded.has_value());
    state = std::move(*decoded);
  }
  if (const auto next = slots_.release(vm)) post(*next, core::SlotGranted{});
  engines_.erase(vm);
  core::Engine& fresh =
      engines_.try_emplace(vm, std::move(state), ports_.ids, next_life_++ * kActionsPerLife).first->second;
  publish(fresh.state());
  restarts_[vm] = ports_.clock.now().monotonic + limits::kRetryFirst;
  for (size_t i = from; i < undone.size(); ++i)
    if (auto refused = refusal_of(undone[i], error)) answer(std::move(*refused));
}

void CoreLoop::answer(Answer answer) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(call_of(answer));
  if (found == waiting_.end()) return;  // it gave up
  found->second.set_value(std::move(answer));
  waiting_.erase(found);
}

void CoreLoop::publish(const core::State& state) {
  const std::lock_guard lock(mutex_);
  published_[state.vm] = state;
}

void CoreLoop::fill_progress(core::State& state) const {
  for (Job& job : state.jobs)
    if (!job.finished()) performer_.progress().fill(job);
}

}  // namespace understudy::performer
