#include "performer/core_loop.h"

#include <chrono>

namespace understudy::performer {
namespace {

core::CallId call_of(const Answer& answer) {
  return std::visit([](const auto& each) { return each.call; }, answer);
}

}  // namespace

CoreLoop::CoreLoop(Ports ports)
    : clock_(ports.clock),
      core_(std::move(ports), pools_.executors(),
            {[this](const Uuid& vm, core::Event event) { post(vm, std::move(event)); },
             [this](Answer given) { answer(std::move(given)); },
             [this](const core::State& state) { publish(state); }}) {}

CoreLoop::~CoreLoop() {
  stop();
}

Status CoreLoop::load() {
  return core_.load();
}

void CoreLoop::start() {
  thread_ = Thread("core", [this] { run(); });
}

void CoreLoop::stop() {
  core_.performer().stop();
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

std::optional<Uuid> CoreLoop::vm_of_job(const Uuid& job) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [vm, state] : published_)
    for (const Job& one : state.jobs)
      if (one.id == job) return vm;
  return std::nullopt;
}

std::vector<Uuid> CoreLoop::replicas() const {
  std::vector<Uuid> found;
  const std::lock_guard lock(mutex_);
  for (const auto& [vm, state] : published_)
    if (core::is_replica(state.phase)) found.push_back(vm);
  return found;
}

void CoreLoop::run() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopping_ || !queue_.empty(); };
      if (const auto due = core_.next_timer()) {
        const Duration wait = *due - clock_.now().monotonic;
        wake_.wait_for(lock, std::chrono::microseconds(std::max<int64_t>(wait.us, 0)), ready);
      } else {
        wake_.wait(lock, ready);
      }
      if (stopping_) return;
      if (queue_.empty()) {
        lock.unlock();
        core_.fire_timers();
        continue;
      }
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    core_.step(item.vm, item.event);
    core_.fire_timers();
  }
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
    if (!job.finished()) core_.performer().progress().fill(job);
}

}  // namespace understudy::performer
