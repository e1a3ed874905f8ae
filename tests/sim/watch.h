// Situations that are rare and that must be reached: each is named, counted, and missed by the run when it
// never comes. And the rows of the engine's table: which were taken.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>

#include "core/engine.h"

namespace understudy::sim {

class World;
class Host;

#define SIM_RARES(RARE)                                                            \
  RARE(reply_recognised, "a lost reply is recognised by lineage")                  \
  RARE(cut_void, "a cut whose job is gone is given up")                            \
  RARE(cut_sent_again, "a cut goes on in its own job")                             \
  RARE(cut_sent_after_restart, "a cut goes on in its own job after a restart")     \
  RARE(stale_job, "a job that nobody can use is ended")                            \
  RARE(passes_lost, "the replica lost the passes of a copy")                       \
  RARE(copy_lost, "a copy starts again, for the record of changes is lost")        \
  RARE(base_broken, "a base is inconsistent")                                      \
  RARE(base_gone, "a base is gone")                                                \
  RARE(disks_changed, "a disk was written while the VM was off")                   \
  RARE(sequence_lost, "the replica holds another sequence")                        \
  RARE(another_sent, "the replica was sent by a host of another name")             \
  RARE(taken_over, "a host of the trust group takes the replica over")             \
  RARE(takeover_refused, "a host of the trust group is refused midway")            \
  RARE(compares_with_another, "a comparison turns to another point")               \
  RARE(foreign_job, "another program's job is in the way")                         \
  RARE(resync_cancelled, "a comparison is cancelled while it sends")               \
  RARE(resync_resumed, "a comparison goes on at a durable cursor")                 \
  RARE(pass_resumed, "a first copy goes on at a durable cursor")                   \
  RARE(delta_resumed, "a delta goes on at a durable cursor")                       \
  RARE(paused_in_transfer, "paused while it sends")                                \
  RARE(paused_in_cut, "paused while a job is being opened")                        \
  RARE(guest_protected, "scratch fills up while it sends")                         \
  RARE(primary_halted, "the primary sees the failover and holds its copy")         \
  RARE(primary_released, "the primary's hold is lifted after a revert")            \
  RARE(primary_waits, "the primary waits while a failover is under way")           \
  RARE(failover_ends_merge, "a failover ends a merge")                             \
  RARE(failover_after_publish, "a failover waits for a publication")               \
  RARE(failover_after_begin, "a failover waits for a transfer that begins")        \
  RARE(point_lost, "the point of a failover is delisted meanwhile")                \
  RARE(failover_to_old, "failover to an older point")                              \
  RARE(failover_undone, "a failover fails and is undone")                          \
  RARE(failover_unknown, "a failover fails and cannot be undone at once")          \
  RARE(failover_resumed, "a failover goes on after a restart")                     \
  RARE(release_resumed, "a hold is lifted after a restart")                        \
  RARE(release_failed, "a hold cannot be lifted at first")                         \
  RARE(revert_resumed, "a revert goes on after a restart")                         \
  RARE(revert_failed, "a revert fails and the failover stands")                    \
  RARE(revert_unknown, "a revert fails and nothing is known")                      \
  RARE(prepare_resumed, "a replica is prepared after a restart")                   \
  RARE(create_resumed, "a relationship is made after a restart")                   \
  RARE(prepared_twice, "a replica is asked for twice")                             \
  RARE(begin_busy, "a transfer begins while another one does")                     \
  RARE(old_generation, "data of the old generation are refused")                   \
  RARE(finish_repeated, "a finish is repeated")                                    \
  RARE(publish_without_space, "no space while a point is published")               \
  RARE(publish_failed, "a publication fails")                                      \
  RARE(receive_failed, "the disk refuses what is received")                        \
  RARE(merge_failed, "a merge fails")                                              \
  RARE(settle_failed, "obligations are tried again")                               \
  RARE(resync_by_itself, "a resync begins by itself")                              \
  RARE(resync_scheduled, "a resync begins at the time asked for")                  \
  RARE(point_not_frozen, "a point on demand fails, for the guest does not freeze") \
  RARE(point_consistent, "an application-consistent point")                        \
  RARE(persist_failed, "an engine goes on after a failed write of its state")      \
  RARE(both_run, "both copies run, in different generations")                      \
  RARE(start_refused, "a held VM is refused to start")                             \
  RARE(died_in_merge, "a host dies within a merge")                                \
  RARE(died_before_manifest_sync, "power fails between a manifest and its sync")   \
  RARE(set_aside_dropped, "what a revert set aside is dropped")                    \
  RARE(store_opened_later, "a store that could not be opened is opened later")     \
  RARE(manifest_refused, "a damaged manifest is refused")                          \
  RARE(cursor_survived, "a damaged cursor is survived")                            \
  RARE(machine_refused, "a damaged machine is refused")                            \
  RARE(row_refused, "a damaged row of the database is refused")                    \
  RARE(primary_removed, "the primary is removed")                                  \
  RARE(removed_in_transfer, "the primary is removed while it sends")               \
  RARE(primary_removed_held, "the primary is removed after a failover")            \
  RARE(removed_off, "the primary is removed while its VM is off")                  \
  RARE(end_later, "the end of a primary is tried again")                           \
  RARE(retire_resumed, "a replica's removal goes on after a restart")              \
  RARE(retire_later, "a replica's removal is tried again")                         \
  RARE(replica_retired, "a replica with points becomes a VM")                      \
  RARE(replica_gone, "a replica without a point goes")                             \
  RARE(rebuilt_from_store, "an engine is rebuilt from its store")                  \
  RARE(image_damage_found, "the check finds a bit that flipped in a point")        \
  RARE(damage_marked, "a merge meets damage, and marks it")                        \
  RARE(damage_mended, "a resync mends a damaged newest point")                     \
  RARE(failover_cancelled, "a failover is cancelled before it begins")             \
  RARE(comparison_cancelled, "the job of a comparison is cancelled")               \
  RARE(point_cancelled, "a point on demand is cancelled before its cut")           \
  RARE(network_given, "a guest takes its network settings")                        \
  RARE(network_replaced, "network settings change while the guest takes others")   \
  RARE(network_resumed, "network settings are given after a restart")              \
  RARE(network_waits, "the VM is off when its guest is to be given settings")      \
  RARE(agent_late, "a guest has no agent for long, and health says so")            \
  RARE(network_refused, "a guest refuses its network settings")

enum class Rare : uint8_t {
#define SIM_RARE(name, text) name,
  SIM_RARES(SIM_RARE)
#undef SIM_RARE
      count
};
inline constexpr size_t kRares = static_cast<size_t>(Rare::count);
std::string_view rare_name(Rare rare);

inline constexpr size_t kMostRows = 256;

class Watch {
 public:
  explicit Watch(World& world) : world_(world) {}
  void stepped(const Host& host, const core::State& before, const core::Event& event,
               const core::Engine& after);
  void saw(Rare rare);
  const std::array<uint64_t, kRares>& counts() const { return counts_; }
  const std::bitset<kMostRows>& rows() const { return rows_; }

 private:
  void note_look(const core::Checked& looked, const core::State& now);
  void primary(const core::State& before, const core::Event& event, const core::Engine& after);
  void replica(const core::State& before, const core::Event& event, const core::Engine& after);

  World& world_;
  std::array<uint64_t, kRares> counts_{};
  std::bitset<kMostRows> rows_;
  bool store_failed_ = false;
  uint64_t cut_made_at_ = 0;  // boot of the primary in which the open job was made
};

}  // namespace understudy::sim
