// The fault model. Everything here may happen at any moment of a seed's first part; in the second part it is
// over, and the relationship has to come to rest.
//
// Hosts. The daemon of either side dies, or the power of the whole host fails, at any durable step: before or
// after any change of a file or a name, any write of the state database, any call of the hypervisor. With the
// power goes what was not synced: each sector of each write and each name is lost or kept by itself (a rename
// is never half done); with the primary's power goes QEMU, whose records of changes are inconsistent then,
// and what the guest had not flushed. Disks. Reading, writing, syncing fail with EIO, now and then several
// times; what a failed sync was to make durable never will be. Space runs out for a while, a write is refused
// after any of its bytes. A bit flips at rest in what is sealed: manifest, cursor, machine, a row of the
// state database; it must be refused by name, or be survived; and in an image: the check must find it, and
// when it stays, no merge and no point that follows may make it look whole. The replica's database is lost
// and rebuilt from its store, at once or later; its folder is replaced by an older copy. Network. Nobody
// answers; a connection breaks after any byte, in silence or not; bytes are late, up to longer than any
// deadline; an answer is lost after its request was carried out; a whole conversation is said again later, as
// by a host that was believed gone; a frame arrives damaged (TLS would see to that; the decoders must too).
// Hypervisor. A call fails, or succeeds and its answer is lost; a checkpoint is gone or its record
// inconsistent; the record has more than what changed; QEMU dies; the VM stops and starts; somebody writes to
// its disks meanwhile; the scratch space is full; another program has a job open; the guest does not freeze;
// the VM is undefined. Guest. After a failover its agent comes late, or never before the next start, or
// refuses what it is given; it ends in the middle of that. Clocks. The wall clock is set forward by hours, or
// back.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>

#include "network.h"
#include "random.h"
#include "store/testing/crash_files.h"

namespace understudy::sim {

enum class Fault : uint8_t {
  daemon_dies,
  power_cut,
  qemu_dies,
  io_error,
  no_space,
  bit_flip,
  database_lost,
  database_error,
  hypervisor_error,
  answer_lost,
  nobody_answers,
  connection_cut,
  connection_stalls,
  reply_lost,
  late,
  said_again,
  frame_damaged,
  checkpoint_lost,
  more_changed,
  vm_stops,
  written_while_off,
  vm_undefined,
  folder_restored,
  scratch_full,
  foreign_job,
  freeze_fails,
  clock_set,
  queue_full,
  rots,
  agent_silent,
  agent_refuses,
  count
};
inline constexpr size_t kFaults = static_cast<size_t>(Fault::count);
std::string_view fault_name(Fault fault);

struct CallVerdict {
  std::optional<Error> error{};
  bool after = false;  // the effect is there all the same
  bool refused() const { return error && !after; }
  Status error_or_nothing() const {
    if (error) return fail(*error);
    return {};
  }
};

class Host;

class Faults {
 public:
  explicit Faults(World& world) : world_(world) {}
  void begin();  // draws what this seed's world is like
  void stop();   // and repairs what is broken

  // --- asked by the ports ---
  store::CrashFiles::Verdict file(int host, store::CrashFiles::Operation operation, const std::string& path);
  CallVerdict call(int host, std::string_view name, bool changes);
  LinkPlan link();
  bool link_answers();
  Duration latency();
  bool queue_is_full();
  bool freeze_fails();
  bool more_changed();
  Duration agent_comes();  // after a start of the VM on the replica's host
  bool agent_refuses();
  // --- out of nowhere ---
  void happen();
  Duration until_next();

  void count(Fault fault, int host = -1);
  const std::array<uint64_t, kFaults>& counts() const { return counts_; }
  // A bit of the replica's own records is flipped at this moment.
  bool flipped() const { return flipped_ != nullptr; }
  void booted(Host& host, const Status& loaded);
  // A command reads the disk, undisturbed, whether the daemon lives or not.
  void read_disk(const std::function<void()>& work);

 private:
  bool likes(Fault fault) const { return on_ && likes_[static_cast<size_t>(fault)]; }
  std::optional<CallVerdict> death(int host, bool durable);
  void draw_death(int host);
  void flip();
  void flip_record(const std::string& path);
  void flip_image();
  void rot();
  void damage_row();
  void lose_database();
  void unflip();
  void keep_folder();
  void restore_folder();
  void rebuild();

  World& world_;
  bool on_ = false;
  std::array<bool, kFaults> likes_{};  // of this seed
  std::array<uint64_t, kFaults> counts_{};
  std::array<uint64_t, 2> dies_in_{};   // durable steps of the host; 0: not
  std::array<uint64_t, 2> bad_for_{};   // operations of its disk that fail
  std::array<uint64_t, 2> full_for_{};  // operations of its disk that find no space
  uint64_t rarity_ = 0;                 // of errors among operations
  std::string flip_path_;               // of the replica's disk
  const Bytes* flipped_ = nullptr;
  uint64_t flip_bit_ = 0;
  std::optional<int> row_host_;
  std::string row_;  // as it was
  std::array<bool, 2> manifest_unsynced_{};
  std::map<std::string, std::string> folder_;  // as it was once; empty: never
  bool rebuild_owed_ = false;
};

}  // namespace understudy::sim
