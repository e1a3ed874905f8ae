#include "faults.h"

#include <algorithm>

#include "world.h"

namespace understudy::sim {
namespace {

constexpr std::array<std::string_view, kFaults> kNames = {
    "daemon dies",       "power cut",      "QEMU dies",         "I/O error",        "no space",
    "bit flips",         "database lost",  "database error",    "hypervisor error", "answer lost",
    "nobody answers",    "connection cut", "connection stalls", "reply lost",       "late",
    "said again",        "frame damaged",  "checkpoint lost",   "more changed",     "VM stops",
    "written while off", "VM undefined",   "folder restored",   "scratch full",     "foreign job",
    "freeze fails",      "clock set",      "queue full",        "a bit rots",       "agent silent",
    "agent refuses"};

using Operation = store::CrashFiles::Operation;

bool ends_with(const std::string& path, std::string_view end) {
  return path.size() >= end.size() && path.substr(path.size() - end.size()) == end;
}

}  // namespace

std::string_view fault_name(Fault fault) {
  return kNames.at(static_cast<size_t>(fault));
}

void Faults::count(Fault fault, int host) {
  ++counts_[static_cast<size_t>(fault)];
  world_.trace.note(fault_name(fault), host);
}

// A seed likes about a third of all faults: what goes wrong together is not everything, and each alone is
// there too.
void Faults::begin() {
  Random& random = world_.random;
  const uint64_t of_ten = random.below(8);  // now and then nothing goes wrong
  for (bool& liked : likes_) liked = random.below(10) < of_ten;
  rarity_ = random.between(20, 400);
  on_ = true;
  for (int host = 0; host < 2; ++host) draw_death(host);
}

void Faults::stop() {
  on_ = false;
  dies_in_ = {};
  full_for_ = {};
  bad_for_ = {};
  unflip();
  if (rebuild_owed_) rebuild();
  world_.network.partitioned = false;
  Vm& over = world_.replica().hypervisor.vm;
  over.agent_comes = std::min(over.agent_comes, world_.fibers.now());
}

void Faults::draw_death(int host) {
  uint64_t& in = dies_in_[static_cast<size_t>(host)];
  in = 0;
  if (!likes(Fault::daemon_dies) && !likes(Fault::power_cut)) return;
  const uint64_t most = uint64_t{1} << world_.random.between(3, 10);
  in = world_.random.between(1, most);
}

std::optional<CallVerdict> Faults::death(int host, bool durable) {
  Host& mine = *world_.hosts[static_cast<size_t>(host)];
  const Error dead(ErrorCode::failed, "the process is dead");
  if (mine.dead) return CallVerdict{dead, false};
  uint64_t& in = dies_in_[static_cast<size_t>(host)];
  if (durable && in > 1 && manifest_unsynced_[static_cast<size_t>(host)] && world_.random.one_in(12)) in = 1;
  if (!durable || !on_ || in == 0 || --in != 0) return std::nullopt;
  const bool power = likes(Fault::power_cut) && (!likes(Fault::daemon_dies) || world_.random.one_in(2));
  const bool after = world_.random.one_in(2);
  count(power ? Fault::power_cut : Fault::daemon_dies, host);
  mine.kill(power ? Death::power : Death::daemon);
  const std::string_view fiber = world_.fibers.current();
  if (fiber == "merger") world_.watch.saw(Rare::died_in_merge);
  if (power && manifest_unsynced_[static_cast<size_t>(host)])
    world_.watch.saw(Rare::died_before_manifest_sync);
  draw_death(host);
  return CallVerdict{dead, after};
}

store::CrashFiles::Verdict Faults::file(int host, Operation operation, const std::string& path) {
  if (world_.hosts[static_cast<size_t>(host)] == nullptr) return {};
  const bool changes = operation != Operation::look && operation != Operation::read;
  if (changes) {
    world_.trace.add(static_cast<uint64_t>(operation) + path.size() * 16);
  }
  if (const auto dead = death(host, changes)) return {dead->error, dead->after, 0};
  bool& unsynced = manifest_unsynced_[static_cast<size_t>(host)];
  const bool syncs_manifest = changes && unsynced;
  if (changes) unsynced = operation == Operation::name && ends_with(path, "/manifest");
  if (!on_) return {};
  Random& random = world_.random;
  uint64_t& full = full_for_[static_cast<size_t>(host)];
  const bool takes_space = operation == Operation::write || operation == Operation::name ||
                           operation == Operation::sync || operation == Operation::resize;
  if (full > 0 && takes_space) {
    --full;
    count(Fault::no_space, host);
    return {Error(ErrorCode::no_space, "no space left: " + path), false, random.below(kBlock)};
  }
  if (takes_space && likes(Fault::no_space) && random.one_in(rarity_ * 8)) full = random.between(1, 30);
  uint64_t& bad = bad_for_[static_cast<size_t>(host)];
  const uint64_t goes_bad = syncs_manifest ? 20 : rarity_ * 8;
  if (likes(Fault::io_error) && bad == 0 && random.one_in(goes_bad))
    bad = random.one_in(3) ? random.between(2, 12) : 1;
  if (bad > 0) {
    --bad;
    count(Fault::io_error, host);
    return {Error(ErrorCode::failed, "input/output error: " + path), random.one_in(4), random.below(kBlock)};
  }
  return {};
}

CallVerdict Faults::call(int host, std::string_view name, bool changes) {
  if (changes) world_.trace.note(name, host);
  if (const auto dead = death(host, changes)) return *dead;
  if (!on_) return {};
  const bool database = name == "put" || name == "remove" || name == "load";
  const Fault refusal = database ? Fault::database_error : Fault::hypervisor_error;
  if (likes(refusal) && world_.random.one_in(rarity_)) {
    count(refusal, host);
    return {Error(database ? ErrorCode::no_space : ErrorCode::not_available,
                  std::string(name) + " does not work now"),
            false};
  }
  if (!database && changes && likes(Fault::answer_lost) && world_.random.one_in(rarity_)) {
    count(Fault::answer_lost, host);
    return {Error(ErrorCode::timeout, std::string(name) + ": no answer in time"), true};
  }
  return {};
}

LinkPlan Faults::link() {
  LinkPlan plan;
  if (!on_) return plan;
  Random& random = world_.random;
  const auto after = [&] { return random.below(uint64_t{1} << random.between(8, 19)); };
  if (likes(Fault::connection_cut) && random.one_in(6)) plan.cut_after = after();
  if (likes(Fault::connection_stalls) && random.one_in(12)) plan.stall_after = after();
  if (likes(Fault::frame_damaged) && random.one_in(6)) plan.flip_after = after();
  if (likes(Fault::reply_lost) && random.one_in(5)) plan.cut_reply = true;
  return plan;
}

bool Faults::link_answers() {
  if (!likes(Fault::nobody_answers) || !world_.random.one_in(10)) return true;
  count(Fault::nobody_answers);
  return false;
}

Duration Faults::latency() {
  Random& random = world_.random;
  if (likes(Fault::late) && random.one_in(60)) {
    count(Fault::late);
    return Duration::millis(static_cast<int64_t>(random.between(1, random.one_in(4) ? 400'000 : 20'000)));
  }
  return Duration{static_cast<int64_t>(random.between(50, 900))};
}

bool Faults::queue_is_full() {
  if (!likes(Fault::queue_full) || !world_.random.one_in(rarity_)) return false;
  count(Fault::queue_full);
  return true;
}
bool Faults::freeze_fails() {
  if (!likes(Fault::freeze_fails) || !world_.random.one_in(2)) return false;
  count(Fault::freeze_fails);
  return true;
}
Duration Faults::agent_comes() {
  Random& random = world_.random;
  if (!likes(Fault::agent_silent) || random.one_in(3))
    return Duration::millis(static_cast<int64_t>(random.below(30'000)));
  count(Fault::agent_silent);
  return Duration::seconds(static_cast<int64_t>(random.between(30, random.one_in(2) ? 400 : 1'000'000)));
}
bool Faults::agent_refuses() {
  if (!likes(Fault::agent_refuses) || !world_.random.one_in(3)) return false;
  count(Fault::agent_refuses);
  return true;
}
bool Faults::more_changed() {
  if (!likes(Fault::more_changed) || !world_.random.one_in(2)) return false;
  count(Fault::more_changed);
  return true;
}

Duration Faults::until_next() {
  const auto most = static_cast<uint64_t>(world_.settings.replication_interval) * 1000;
  return Duration::millis(static_cast<int64_t>(world_.random.between(100, most)));
}

void Faults::happen() {
  Random& random = world_.random;
  const auto fault = static_cast<Fault>(random.below(kFaults));
  if (!likes(fault)) return;
  Host& primary = world_.primary();
  switch (fault) {
    case Fault::daemon_dies:
    case Fault::power_cut: {
      Host& host = *world_.hosts[random.below(2)];
      if (host.dead || !host.has_daemon()) return;
      count(fault, host.index);
      host.kill(fault == Fault::power_cut ? Death::power : Death::daemon);
      break;
    }
    case Fault::qemu_dies:
    case Fault::vm_stops: {
      Host& host = random.one_in(3) ? world_.replica() : primary;
      if (host.hypervisor.vm.power == core::VmPower::off) return;
      count(fault, host.index);
      host.hypervisor.power_off(fault == Fault::vm_stops);
      if (host.index == 1 || fault == Fault::qemu_dies) return;
      if (likes(Fault::written_while_off) && random.one_in(2)) {
        count(Fault::written_while_off, 0);
        primary.hypervisor.write_behind_qemu();
      }
      break;
    }
    case Fault::vm_undefined:
      if (!primary.hypervisor.vm.defined || primary.phase() < core::Phase::idle) return;
      count(fault, 0);
      primary.hypervisor.undefine_by_hand();
      break;
    case Fault::folder_restored:
      restore_folder();
      break;
    case Fault::bit_flip:
      flip();
      break;
    case Fault::rots:
      rot();
      break;
    case Fault::database_lost:
      lose_database();
      break;
    case Fault::nobody_answers:
      world_.network.partitioned = !world_.network.partitioned;
      if (world_.network.partitioned) count(fault);
      break;
    case Fault::said_again:
      for (uint64_t times = random.between(1, 3); times > 0; --times)
        if (world_.network.replay()) count(fault);
      break;
    case Fault::checkpoint_lost: {
      if (primary.hypervisor.vm.checkpoints.empty()) return;
      count(fault, 0);
      const bool broken = random.one_in(2);
      primary.hypervisor.lose_checkpoint(random.next(), broken);
      break;
    }
    case Fault::scratch_full:
      if (!primary.hypervisor.vm.job || primary.hypervisor.vm.job->foreign) return;
      count(fault, 0);
      primary.hypervisor.fill_scratch();
      break;
    case Fault::foreign_job:
      if (primary.hypervisor.vm.job || !primary.hypervisor.runs()) return;
      count(fault, 0);
      primary.hypervisor.open_foreign_job();
      break;
    case Fault::clock_set: {
      count(fault);
      const int64_t minutes = random.one_in(3) ? 1500 : static_cast<int64_t>(random.below(400)) - 120;
      world_.hosts[random.below(2)]->clock.offset.us += minutes * 60'000'000;
      break;
    }
    default:
      break;  // not out of nowhere
  }
}

}  // namespace understudy::sim
