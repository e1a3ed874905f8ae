// libvirt, QEMU and the guest of one host, as far as the product can see them: power, holds, checkpoints with
// their records of changed blocks, one backup job, and the contents of the disks, a number for each block.
#pragma once

#include <map>
#include <set>

#include "core/event.h"
#include "random.h"
#include "transfer/source.h"

namespace understudy::sim {

class World;

inline constexpr uint64_t kBlock = 4096;
inline constexpr uint64_t kSector = 512;

// Contents of all disks: block values, 0 = zeroes. A value fills its block (fill_block).
using Contents = std::vector<std::vector<uint64_t>>;
using BlockSet = std::set<std::pair<uint32_t, uint64_t>>;

uint64_t blocks_of(const DiskGeometry& disk);
void fill_block(uint64_t value, MutableByteView into);

struct Vm {
  bool defined = false;
  bool ours = false;  // a replica that was defined by the product
  core::VmPower power = core::VmPower::off;
  bool held = false;
  bool managed_save = false;
  bool watched = false;
  bool paused_by_scratch = false;
  std::set<std::string> changed_while_off;
  struct Checkpoint {
    std::string name;
    BlockSet changed;  // since then
    bool broken = false;
  };
  std::vector<Checkpoint> checkpoints;
  struct Job {
    Contents contents;                // of the instant
    std::optional<BlockSet> changed;  // none: everything
    bool foreign = false;
    Monotonic opened;
  };
  std::optional<Job> job;
  VmDefinition definition;
  std::vector<std::string> disk_paths;
  Contents now;
  Contents flushed;  // what a power cut leaves at least
  uint64_t starts = 0;
  Monotonic agent_comes;  // after the last of them
  // What its agent gave the guest's network cards, by MAC. It is on the disks: a failover begins without.
  std::map<std::string, NicSettings> network;
  uint64_t network_generation = 0;  // of that failover
};

class SimHypervisor final : public core::Hypervisor {
 public:
  SimHypervisor(World& world, int host) : world_(world), host_(host) {}

  Result<std::string> host_name() override;
  Result<std::vector<core::VmSummary>> list() override;
  Result<core::VmSummary> find(const Uuid& vm) override;
  Result<core::VmFacts> inspect(const Uuid& vm) override;
  Status start(const Uuid& vm) override;
  Status stop(const Uuid& vm) override;
  Result<std::vector<VmNic>> network_cards(const Uuid&) override { return vm.definition.nics; }
  Status give_network(const Uuid& vm, const std::vector<NicSettings>& cards,
                      const CancelToken& cancel) override;
  Result<VmDefinition> definition(const Uuid& vm) override;
  Result<std::vector<DiskGeometry>> replicable(const Uuid& vm,
                                               const std::vector<std::string>& disks) override;
  Result<core::OpenedJob> open_job(const core::OpenJobRequest& request) override;
  Status end_job(const Uuid& vm) override;
  Status delete_checkpoint(const Uuid& vm, const std::string& name) override;
  Status delete_checkpoint_offline(const Uuid& vm, const std::string& name) override;
  Status watch_disks(const Uuid& vm, bool on) override;
  Status forget_disk_changes(const Uuid& vm) override;
  Status agent_answers(const Uuid&) override { return {}; }
  Result<Bytes> nvram(const Uuid& vm) override;
  Status hold(const Uuid& vm, const std::string& reason) override;
  Status lift_hold(const Uuid& vm) override;
  Result<bool> held(const Uuid& vm) override;
  Result<std::vector<std::string>> check_replica(const core::ReplicaRequest& request) override;
  Status define_replica(const core::ReplicaRequest& request) override;
  Status undefine(const Uuid& vm) override;
  Status disown(const Uuid& vm) override;
  Status remove_managed_save(const Uuid& vm) override;
  void on_event(std::function<void(const Uuid&, core::VmEvent)>) override {}

  // What libvirt tells whoever asks, the product aside.
  core::CallFacts facts() const;
  Result<std::unique_ptr<transfer::Source>> open_source(const std::vector<DiskGeometry>& disks);

  // --- the world: what happens to the guest ---
  Status power_on();
  void power_off(bool cleanly);  // else the records of changes are broken
  void power_cut();              // of the host: what was not flushed may be lost
  void guest_writes(uint64_t blocks, bool zeroes);
  void change_hardware();
  void guest_flushes() { vm.flushed = vm.now; }
  void write_behind_qemu();  // to a disk of a VM that is off
  void lose_checkpoint(uint64_t which, bool broken);
  void open_foreign_job();
  void undefine_by_hand();
  void define_again();
  void fill_scratch();
  bool runs() const { return vm.power == core::VmPower::running; }

  Vm vm;

 private:
  // Every call: time passes, the host may be dead by then, or a fault may come.
  Status begin(const char* call, bool changes);
  Status end();
  void drop_checkpoint(const std::string& name);
  void begin_guest();
  void look_whose_disks_it_has();
  void set_block(uint32_t disk, uint64_t block, uint64_t value);

  World& world_;
  const int host_;
  std::optional<Error> late_error_;  // of a call whose effect is there
};

}  // namespace understudy::sim
