#include "hypervisor.h"

#include <algorithm>

#include "world.h"

namespace understudy::sim {

uint64_t blocks_of(const DiskGeometry& disk) {
  return (disk.size + kBlock - 1) / kBlock;
}

void fill_block(uint64_t value, MutableByteView into) {
  for (size_t at = 0; at + 8 <= into.size(); at += 8) store_le<uint64_t>(into.data() + at, value);
}

namespace {

Error no_vm(const Uuid& vm) {
  return Error(ErrorCode::not_found, "no domain " + vm.lower());
}
tl::unexpected<Error> refused(ErrorCode code, const std::string& what) {
  return fail(code, what);
}

// The open job's disks over NBD. It ends with the job.
class SimSource final : public transfer::Source {
 public:
  SimSource(World& world, int host, std::vector<DiskGeometry> disks, const Vm::Job& job, uint32_t granule)
      : world_(world), host_(host), disks_(std::move(disks)), opened_(job.opened), granule_(granule) {
    for (uint32_t disk = 0; disk < disks_.size(); ++disk) list_disk(disk, job);
  }
  uint32_t granule() const override { return granule_; }
  Result<uint64_t> bytes_to_send(Cursor from) override {
    uint64_t total = 0;
    for (const Extent& e : extents_)
      if (!e.zero) total += left_of(e, from).length;
    return total;
  }
  Status stream(Cursor from, uint64_t, const std::function<Status(transfer::ExtentData)>& deliver,
                const CancelToken& cancel) override {
    for (const Extent& listed : extents_) {
      const Extent e = left_of(listed, from);
      if (e.length == 0) continue;
      const bool stuck = world_.slowness == 1000 && world_.random.one_in(12);  // a busy disk
      world_.fibers.rest(Duration{static_cast<int64_t>(world_.random.below(stuck ? 40'000'000 : 400))});
      US_CHECK(cancel.check());
      const auto& job = world_.hosts[static_cast<size_t>(host_)]->hypervisor.vm.job;
      if (world_.hosts[static_cast<size_t>(host_)]->dead || !job || job->opened != opened_)
        return fail(ErrorCode::not_available, "NBD: the backup job is gone");
      transfer::ExtentData data{e, {}};
      if (!e.zero) {
        data.data.resize(e.length);
        for (uint64_t at = 0; at < e.length; at += kBlock)
          fill_block(job->contents[e.disk][(e.offset + at) / kBlock],
                     MutableByteView(data.data).subspan(at, std::min(kBlock, e.length - at)));
      }
      US_CHECK(deliver(std::move(data)));
    }
    return {};
  }

 private:
  // Granules that changed, joined while they are alike.
  void list_disk(uint32_t disk, const Vm::Job& job) {
    for (uint64_t at = 0; at < disks_[disk].size; at += granule_) {
      const uint64_t length = std::min<uint64_t>(granule_, disks_[disk].size - at);
      bool changed = !job.changed;
      bool zero = true;
      for (uint64_t block = at / kBlock; block * kBlock < at + length; ++block) {
        changed = changed || job.changed->contains({disk, block});
        zero = zero && job.contents[disk][block] == 0;
      }
      if (!changed) continue;
      Extent* last = extents_.empty() ? nullptr : &extents_.back();
      if (last != nullptr && last->disk == disk && last->offset + last->length == at && last->zero == zero &&
          last->length < 5 * granule_)
        last->length += length;
      else
        extents_.push_back({disk, at, length, zero});
    }
  }
  static Extent left_of(Extent e, Cursor from) {
    uint64_t done = 0;
    if (e.disk < from.disk) done = e.length;
    if (e.disk == from.disk && e.offset < from.offset) done = std::min(e.length, from.offset - e.offset);
    return {e.disk, e.offset + done, e.length - done, e.zero};
  }

  World& world_;
  const int host_;
  const std::vector<DiskGeometry> disks_;
  const Monotonic opened_;
  const uint32_t granule_;
  std::vector<Extent> extents_;
};

}  // namespace

Status SimHypervisor::begin(const char* call, bool changes) {
  if (world_.fibers.inside()) world_.fibers.rest(Duration{static_cast<int64_t>(world_.random.below(8000))});
  const CallVerdict verdict = world_.faults.call(host_, call, changes);
  if (verdict.refused()) return fail(*verdict.error);
  late_error_ = verdict.error;
  return {};
}
Status SimHypervisor::end() {
  if (late_error_) return fail(*late_error_);
  return {};
}

Result<std::string> SimHypervisor::host_name() {
  return world_.hosts[static_cast<size_t>(host_)]->name;
}

core::CallFacts SimHypervisor::facts() const {
  core::CallFacts facts;
  facts.vm.id = world_.vm;
  facts.vm.name = "vm1";
  facts.vm.power = vm.power;
  return facts;
}

Result<std::vector<core::VmSummary>> SimHypervisor::list() {
  return std::vector<core::VmSummary>{facts().vm};
}
Result<core::VmSummary> SimHypervisor::find(const Uuid& id) {
  if (!vm.defined) return fail(no_vm(id));
  return facts().vm;
}

Result<core::VmFacts> SimHypervisor::inspect(const Uuid&) {
  US_CHECK(begin("inspect", false));
  core::VmFacts facts;
  facts.exists = vm.defined;
  facts.power = vm.power;
  facts.managed_save = vm.managed_save;
  facts.job_open = vm.job.has_value();
  facts.job_foreign = vm.job && vm.job->foreign;
  for (const Vm::Checkpoint& checkpoint : vm.checkpoints) {
    facts.checkpoints.push_back(checkpoint.name);
    if (checkpoint.broken && vm.power != core::VmPower::off)
      facts.broken_checkpoints.push_back(checkpoint.name);
  }
  facts.changed_while_off.assign(vm.changed_while_off.begin(), vm.changed_while_off.end());
  return facts;
}

Status SimHypervisor::start(const Uuid&) {
  US_CHECK(begin("start", true));
  US_CHECK(power_on());
  return end();
}
Status SimHypervisor::stop(const Uuid&) {
  US_CHECK(begin("stop", true));
  if (vm.power != core::VmPower::off) power_off(true);
  return end();
}

Result<VmDefinition> SimHypervisor::definition(const Uuid& id) {
  US_CHECK(begin("definition", false));
  if (!vm.defined) return fail(no_vm(id));
  return vm.definition;
}
Result<std::vector<DiskGeometry>> SimHypervisor::replicable(const Uuid&, const std::vector<std::string>&) {
  return world_.disks;
}

Result<core::OpenedJob> SimHypervisor::open_job(const core::OpenJobRequest& request) {
  US_CHECK(begin("open_job", true));
  if (vm.power == core::VmPower::off) return refused(ErrorCode::invalid_state, "the domain is not running");
  if (vm.job) return refused(ErrorCode::in_use, "a backup job is active already");
  Vm::Job job;
  job.contents = vm.now;
  job.opened = world_.fibers.now();
  if (request.from) {
    const auto from = std::find_if(vm.checkpoints.begin(), vm.checkpoints.end(),
                                   [&](const auto& each) { return each.name == *request.from; });
    if (from == vm.checkpoints.end()) return refused(ErrorCode::not_found, "no checkpoint " + *request.from);
    if (from->broken)
      return refused(ErrorCode::invalid_state, "the bitmap of " + *request.from + " is inconsistent");
    job.changed = from->changed;
    if (world_.faults.more_changed())
      for (uint32_t disk = 0; disk < world_.disks.size(); ++disk)
        job.changed->insert({disk, world_.random.below(blocks_of(world_.disks[disk]))});
  }
  core::OpenedJob opened;
  if (request.freeze != core::Freeze::no) {
    if (world_.faults.freeze_fails()) {
      const Error error(ErrorCode::timeout, "the guest agent does not answer");
      if (request.freeze == core::Freeze::require) return fail(error);
      opened.freeze_error = error;
    } else {
      opened.consistent = true;
      opened.frozen = Duration::millis(20);
      vm.flushed = vm.now;
    }
  }
  if (request.new_checkpoint) {
    for (const Vm::Checkpoint& each : vm.checkpoints)
      if (each.name == *request.new_checkpoint)
        return refused(ErrorCode::in_use, "checkpoint " + each.name + " exists");
    vm.checkpoints.push_back({*request.new_checkpoint, {}, false});
  }
  vm.job = std::move(job);
  opened.cut = world_.hosts[static_cast<size_t>(host_)]->clock.now().wall;
  if (request.new_checkpoint) world_.oracle.cut(*request.new_checkpoint, vm.now, opened.cut);
  US_CHECK(end());
  return opened;
}

Status SimHypervisor::end_job(const Uuid&) {
  US_CHECK(begin("end_job", true));
  if (vm.job && vm.job->foreign) return end();
  vm.job.reset();
  if (vm.paused_by_scratch && vm.power == core::VmPower::paused) vm.power = core::VmPower::running;
  vm.paused_by_scratch = false;
  return end();
}

Status SimHypervisor::delete_checkpoint(const Uuid&, const std::string& name) {
  US_CHECK(begin("delete_checkpoint", true));
  const bool found = std::any_of(vm.checkpoints.begin(), vm.checkpoints.end(),
                                 [&](const auto& each) { return each.name == name; });
  if (found && vm.power == core::VmPower::off)
    return fail(ErrorCode::invalid_state, "checkpoint " + name + " cannot be deleted while vm1 is off",
                "it is deleted when the VM runs again: virsh start vm1");
  drop_checkpoint(name);
  return end();
}
Status SimHypervisor::delete_checkpoint_offline(const Uuid& id, const std::string& name) {
  if (vm.power != core::VmPower::off) return delete_checkpoint(id, name);
  US_CHECK(begin("delete_checkpoint_offline", true));
  if (!vm.checkpoints.empty() && vm.checkpoints.front().name != name)
    return fail(ErrorCode::in_use, "checkpoint " + name + " is on another one",
                "it is deleted when the VM runs again: virsh start vm1");
  drop_checkpoint(name);
  return end();
}
void SimHypervisor::drop_checkpoint(const std::string& name) {
  const auto found = std::find_if(vm.checkpoints.begin(), vm.checkpoints.end(),
                                  [&](const auto& each) { return each.name == name; });
  if (found == vm.checkpoints.end()) return;
  world_.oracle.retired(name, found->broken);
  vm.checkpoints.erase(found);
}

Status SimHypervisor::watch_disks(const Uuid&, bool on) {
  US_CHECK(begin("watch_disks", true));
  vm.watched = on;
  if (!on) vm.changed_while_off.clear();
  return end();
}
Status SimHypervisor::forget_disk_changes(const Uuid&) {
  US_CHECK(begin("forget_disk_changes", true));
  vm.changed_while_off.clear();
  return end();
}
Result<Bytes> SimHypervisor::nvram(const Uuid&) {
  US_CHECK(begin("nvram", false));
  return Bytes();
}

Status SimHypervisor::hold(const Uuid&, const std::string&) {
  US_CHECK(begin("hold", true));
  vm.held = true;
  return end();
}
Status SimHypervisor::lift_hold(const Uuid&) {
  US_CHECK(begin("lift_hold", true));
  world_.oracle.hold_lifted(host_);
  vm.held = false;
  return end();
}
Result<bool> SimHypervisor::held(const Uuid&) {
  return vm.held;
}

Result<std::vector<std::string>> SimHypervisor::check_replica(const core::ReplicaRequest&) {
  US_CHECK(begin("check_replica", false));
  return std::vector<std::string>{"network 'lan' is not mapped"};
}
Status SimHypervisor::define_replica(const core::ReplicaRequest& request) {
  US_CHECK(begin("define_replica", true));
  if (vm.defined && !vm.ours) return refused(ErrorCode::in_use, "no replica of ours");
  vm.defined = vm.ours = true;
  vm.definition = request.definition;
  vm.disk_paths = request.disk_paths;
  return end();
}
Status SimHypervisor::undefine(const Uuid&) {
  US_CHECK(begin("undefine", true));
  if (vm.defined && !vm.ours) return refused(ErrorCode::access_denied, "no replica of ours");
  vm.defined = vm.ours = false;
  return end();
}
Status SimHypervisor::disown(const Uuid&) {
  US_CHECK(begin("disown", true));
  vm.ours = false;
  return end();
}
Status SimHypervisor::remove_managed_save(const Uuid&) {
  US_CHECK(begin("remove_managed_save", true));
  vm.managed_save = false;
  return end();
}

Result<std::unique_ptr<transfer::Source>> SimHypervisor::open_source(const std::vector<DiskGeometry>& disks) {
  US_CHECK(begin("open_source", false));
  if (!vm.job || vm.job->foreign) return refused(ErrorCode::not_found, "vm1 has no open backup job of ours");
  return std::make_unique<SimSource>(world_, host_, disks, *vm.job, world_.granule);
}

// --- the world ---

Status SimHypervisor::power_on() {
  if (!vm.defined) return fail(no_vm(world_.vm));
  if (vm.held) return refused(ErrorCode::access_denied, "the hook refuses: held");
  if (vm.power != core::VmPower::off) return {};
  Host& mine = *world_.hosts[static_cast<size_t>(host_)];
  for (const std::string& path : vm.disk_paths)
    if (mine.files.bytes(path) == nullptr) return refused(ErrorCode::not_found, path + " is not there");
  vm.power = core::VmPower::running;
  begin_guest();
  world_.trace.note("VM starts", host_);
  world_.oracle.started(host_);
  mine.news(core::VmEvent::started);
  return {};
}

void SimHypervisor::power_off(bool cleanly) {
  vm.power = core::VmPower::off;
  vm.paused_by_scratch = false;
  vm.job.reset();
  world_.trace.note("VM stops", host_, cleanly ? 1 : 0);
  if (cleanly)
    vm.flushed = vm.now;
  else
    for (Vm::Checkpoint& checkpoint : vm.checkpoints) checkpoint.broken = true;
  world_.hosts[static_cast<size_t>(host_)]->news(cleanly ? core::VmEvent::stopped : core::VmEvent::crashed);
}

void SimHypervisor::power_cut() {
  if (vm.power == core::VmPower::off) return;
  power_off(false);
  for (size_t disk = 0; disk < vm.now.size(); ++disk)
    for (size_t block = 0; block < vm.now[disk].size(); ++block)
      if (vm.now[disk][block] != vm.flushed[disk][block] && world_.random.one_in(2))
        vm.now[disk][block] = vm.flushed[disk][block];
  vm.flushed = vm.now;
}

void SimHypervisor::set_block(uint32_t disk, uint64_t block, uint64_t value) {
  vm.now[disk][block] = value;
  for (Vm::Checkpoint& checkpoint : vm.checkpoints) checkpoint.changed.insert({disk, block});
}

void SimHypervisor::guest_writes(uint64_t blocks, bool zeroes) {
  for (; blocks > 0 && runs(); --blocks) {
    const auto disk = static_cast<uint32_t>(world_.random.below(vm.now.size()));
    const uint64_t block = world_.random.below(vm.now[disk].size());
    set_block(disk, block, zeroes ? 0 : ++world_.last_value);
  }
}

void SimHypervisor::write_behind_qemu() {
  const auto disk = static_cast<uint32_t>(world_.random.below(vm.now.size()));
  vm.now[disk][world_.random.below(vm.now[disk].size())] = ++world_.last_value;
  vm.flushed = vm.now;
  if (vm.watched)
    vm.changed_while_off.insert(world_.disks[disk].target);
  else  // nobody has kept a record of the files: libvirt sees bitmaps of another image
    for (Vm::Checkpoint& checkpoint : vm.checkpoints) checkpoint.broken = true;
}

void SimHypervisor::lose_checkpoint(uint64_t which, bool broken) {
  const auto at = vm.checkpoints.begin() + static_cast<ptrdiff_t>(which % vm.checkpoints.size());
  if (broken)
    at->broken = true;
  else
    vm.checkpoints.erase(at);
}

void SimHypervisor::open_foreign_job() {
  vm.job = Vm::Job{vm.now, std::nullopt, true, world_.fibers.now()};
}

// libvirt forgets the checkpoints with the domain; the bitmaps are of no use then.
void SimHypervisor::undefine_by_hand() {
  if (vm.power != core::VmPower::off) power_off(true);
  vm.defined = false;
  vm.checkpoints.clear();
  world_.hosts[static_cast<size_t>(host_)]->news(core::VmEvent::undefined);
}
void SimHypervisor::define_again() {
  if (vm.defined) return;
  vm.defined = true;
  world_.hosts[static_cast<size_t>(host_)]->news(core::VmEvent::defined);
  (void)power_on();
}

void SimHypervisor::fill_scratch() {
  if (runs() && world_.random.one_in(2)) {
    vm.power = core::VmPower::paused;
    vm.paused_by_scratch = true;
    world_.hosts[static_cast<size_t>(host_)]->news(core::VmEvent::paused_io_error);
  } else {
    world_.hosts[static_cast<size_t>(host_)]->news(core::VmEvent::scratch_full);
  }
}

}  // namespace understudy::sim
