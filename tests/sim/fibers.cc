#include "fibers.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace understudy::sim {
namespace {

#ifdef SIM_ASAN
constexpr size_t kStack = 1 << 20;
#else
constexpr size_t kStack = 256 << 10;
#endif

// Stacks are made once and used again; a page that was never touched costs nothing.
std::vector<void*>& free_stacks() {
  static std::vector<void*> stacks;
  return stacks;
}

// What AddressSanitizer has to know of every switch.
struct Side {
  void* fake = nullptr;
  const void* bottom = nullptr;
  size_t size = 0;
};
struct PooledStack {
  Side* side;
  boost::context::stack_context allocate() const {
    void* base = nullptr;
    if (free_stacks().empty()) {
      base =
          mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      US_ASSERT(base != MAP_FAILED);
      US_ASSERT(mprotect(base, 4096, PROT_NONE) == 0);
    } else {
      base = free_stacks().back();
      free_stacks().pop_back();
    }
    boost::context::stack_context context;
    *side = {nullptr, base, kStack};
    context.size = kStack;
    context.sp = static_cast<char*>(base) + kStack;
    return context;
  }
  static void deallocate(boost::context::stack_context& context) {
    free_stacks().push_back(static_cast<char*>(context.sp) - kStack);
  }
};

void leave([[maybe_unused]] Side* from, [[maybe_unused]] const Side& to) {
#ifdef SIM_ASAN
  __sanitizer_start_switch_fiber(from != nullptr ? &from->fake : nullptr, to.bottom, to.size);
#endif
}
void arrive([[maybe_unused]] Side& here, [[maybe_unused]] Side* from) {
#ifdef SIM_ASAN
  __sanitizer_finish_switch_fiber(here.fake, from != nullptr ? &from->bottom : nullptr,
                                  from != nullptr ? &from->size : nullptr);
#endif
}
Side g_world;

}  // namespace

struct Fibers::Fiber {
  uint64_t id = 0;
  Owner owner = 0;
  std::string name;
  boost::context::fiber context;
  Side side;
  const void* what = nullptr;
  std::optional<Monotonic> due;  // none: it is ready, or waits for ever
  bool waiting = false;
  bool notified = false;
  bool done = false;
};

Fibers::Fibers() = default;
Fibers::~Fibers() {
  US_ASSERT(all_.empty());
}

uint64_t Fibers::start(const std::string& name, std::function<void()> body) {
  US_ASSERT(current_ != nullptr);
  start_for(current_->owner, name, std::move(body));
  return last_id_;
}

void Fibers::start_for(Owner owner, const std::string& name, std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->id = ++last_id_;
  fiber->owner = owner;
  fiber->name = name;
  Fiber* mine = fiber.get();
  fiber->context =
      boost::context::fiber(std::allocator_arg, PooledStack{&mine->side},
                            [this, mine, body = std::move(body)](boost::context::fiber&& world) mutable {
                              arrive(mine->side, &g_world);
                              world_ = std::move(world);
                              body();
                              body = nullptr;
                              mine->done = true;
                              leave(nullptr, g_world);
                              return std::move(world_);
                            });
  ready_.push_back(mine);
  all_.push_back(std::move(fiber));
}

void Fibers::run(size_t index) {
  US_ASSERT(current_ == nullptr);
  Fiber* fiber = ready_.at(index);
  ready_.erase(ready_.begin() + static_cast<ptrdiff_t>(index));
  current_ = fiber;
  leave(&g_world, fiber->side);
  fiber->context = std::move(fiber->context).resume();
  arrive(g_world, nullptr);
  current_ = nullptr;
  if (!fiber->done) return;
  notify(fiber);
  std::erase_if(all_, [fiber](const auto& each) { return each.get() == fiber; });
}

bool Fibers::suspend() {
  Fiber* mine = current_;
  leave(&mine->side, g_world);
  world_ = std::move(world_).resume();
  arrive(mine->side, &g_world);
  return mine->notified;
}

bool Fibers::wait(const void* what, Duration most) {
  US_ASSERT(current_ != nullptr);
  current_->what = what;
  current_->waiting = true;
  current_->due.reset();
  if (most.us < INT64_MAX / 2) current_->due = now_ + std::max(most, Duration{0});
  return suspend();
}

void Fibers::rest(Duration time) {
  US_ASSERT(current_ != nullptr);
  if (time.us > 0) {
    (void)wait(nullptr, time);
    return;
  }
  ready_.push_back(current_);
  (void)suspend();
}

void Fibers::join(uint64_t thread) {
  const auto found = [&] {
    return std::find_if(all_.begin(), all_.end(), [&](const auto& each) { return each->id == thread; });
  };
  for (auto it = found(); it != all_.end() && !(*it)->done; it = found())
    (void)wait(it->get(), Duration{INT64_MAX});
}

void Fibers::wake(Fiber& fiber, bool notified) {
  fiber.waiting = false;
  fiber.notified = notified;
  fiber.due.reset();
  ready_.push_back(&fiber);
}

void Fibers::notify(const void* what) {
  for (const auto& fiber : all_)
    if (fiber->waiting && what != nullptr && fiber->what == what) wake(*fiber, true);
}

std::optional<Monotonic> Fibers::next_due() const {
  std::optional<Monotonic> next;
  for (const auto& fiber : all_)
    if (fiber->waiting && fiber->due && (!next || *fiber->due < *next)) next = fiber->due;
  return next;
}

void Fibers::advance(Monotonic to) {
  now_ = std::max(now_, to);
  for (const auto& fiber : all_)
    if (fiber->waiting && fiber->due && *fiber->due <= now_) wake(*fiber, false);
}

void Fibers::drain(Owner owner) {
  const auto next = [&]() -> std::optional<size_t> {
    for (size_t i = 0; i < ready_.size(); ++i)
      if (ready_[i]->owner == owner) return i;
    return std::nullopt;
  };
  const auto mine = [&](const auto& fiber) { return fiber->owner == owner; };
  size_t rounds = 0;
  while (std::any_of(all_.begin(), all_.end(), mine)) {
    if (const auto index = next()) {
      run(*index);
      continue;
    }
    US_ASSERT(++rounds < 10'000);  // they do not end
    for (const auto& fiber : all_)
      if (mine(fiber) && fiber->waiting) wake(*fiber, !fiber->due.has_value());
  }
}

std::string_view Fibers::current() const {
  return current_ != nullptr ? std::string_view(current_->name) : std::string_view();
}

}  // namespace understudy::sim
