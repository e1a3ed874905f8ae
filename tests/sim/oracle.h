// What has to be true after every step. It reads the simulated disk as whoever has only the files would: its
// own manifest and qcow2 readers, no code of the product.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>

#include "chain_reader.h"
#include "core/state.h"
#include "hypervisor.h"
#include "store/check.h"

namespace understudy::sim {

struct Violation {
  std::string check;
  std::string found;
};

struct PointOnDisk {
  std::string id;
  uint64_t generation = 0;
  uint64_t sequence = 0;
  unsigned keep = 0;
  int64_t cut_us = 0;
};
// As far as it is looked at here.
struct ManifestOnDisk {
  uint64_t generation = 0;
  uint64_t spent = 0;
  size_t chain = 0;
  std::vector<PointOnDisk> points;
  struct Failover {
    uint64_t generation = 0;
    bool complete = false;
    std::string point;
  };
  std::optional<Failover> failover;
  size_t set_aside = 0;
  uint64_t newest() const { return points.empty() ? 0 : points.back().sequence; }
};

// A bit of the replica's data that has changed at rest and stays so: in the first word of a sector.
struct Rot {
  uint32_t disk = 0;
  uint64_t offset = 0;
  uint64_t mask = 0;
};

class Host;

class Oracle {
 public:
  explicit Oracle(World& world) : world_(world) {}

  // --- told by the hypervisors ---
  void cut(const std::string& checkpoint, const Contents& contents, Wall at);
  void retired(const std::string& checkpoint, bool broken);
  void hold_lifted(int host);
  void started(int host);

  // The hardware of the primary's VM, from now on.
  void defined_as(const VmDefinition& definition) { definitions_.push_back(definition); }

  // --- the network settings of a guest (oracle_network.cc) ---
  void network_asked(int host, const core::NetworkCall& call);  // before it is posted; calls end in order
  void network_answered(int host, bool accepted);
  void restarted(const Host& host);
  void database_lost() { wanted_[1] = {}; }  // of the replica's host: its settings are nowhere else
  void gives_network(const std::vector<NicSettings>& cards);  // the replica's daemon, to its guest
  bool guest_has_its_network() const;  // all that it was to be given, and the engine knows

  // --- damage at rest (oracle_damage.cc) ---
  void rotted(const Rot& rot) { rots_.push_back(rot); }
  const std::vector<Rot>& rots() const { return rots_; }
  bool newest_is_damaged() const { return newest_damaged_; }
  size_t known_damage();  // points, as merges have marked them

  void cancelled(const core::State& engine, const Uuid& job);  // its cancellation was accepted
  // An operator's failover was accepted, to this point; nil: to the newest.
  void failover_asked(const Uuid& point) { asked_ = point; }

  // The replica's folder is replaced by an older copy: what was acknowledged is gone.
  void rolled_back() {
    acknowledged_ = std::max(acknowledged_, newest_durable());
    known_damage_.clear();
  }

  void after_step();
  void at_rest();  // the relationship is idle, and nothing is owed; or it was removed on both sides
  void look_at_everything();  // whatever is remembered as looked at
  void violate(const std::string& check, const std::string& found);
  const std::optional<Violation>& violation() const { return violation_; }

  std::optional<ManifestOnDisk> manifest(bool durable = false) const { return read("manifest", durable); }
  std::optional<ManifestOnDisk> retired(bool durable = false) const {
    return read("manifest.retired", durable);
  }
  uint64_t newest_durable() const;
  uint64_t last_cut() const { return cuts_.empty() ? 0 : cuts_.rbegin()->first; }
  // Does any listed point have other bytes than the primary had?
  bool any_point_differs();
  // Is that what the disk held at that cut?
  bool holds(const RecoveryPoint& point, uint32_t disk, ByteView content) const;
  const std::optional<ManifestOnDisk>& seen() const { return seen_; }
  uint64_t points_checked = 0;

 private:
  std::optional<ManifestOnDisk> read(const std::string& name, bool durable) const;
  void check_retired();
  struct Cut {
    Contents contents;
    Wall at;
  };
  void check_replica();
  void check_point(const PointOnDisk& point, bool wholly);
  // `file`: what follows the target in the names of its files.
  void check_contents(uint64_t sequence, const std::string& file, bool wholly, const std::string& check);
  void check_active(const ManifestOnDisk& manifest);
  void check_bounds(const ManifestOnDisk& manifest);
  void check_holds();
  void check_network(const Host& host);
  void check_guest(const Host& host);
  void check_damage();
  void judge_damage(const std::vector<store::CheckedPoint>& checked,
                    const std::vector<store::CheckedPoint>& marked);
  bool reads(const PointOnDisk& point, const Rot& rot) const;
  Excuse excuse(uint32_t disk) const;

  World& world_;
  std::map<uint64_t, Cut> cuts_;  // by sequence; the primary's generation is 1
  std::optional<Violation> violation_;
  Uuid asked_;
  uint64_t acknowledged_ = 0;  // before a roll-back
  uint64_t seen_changes_ = UINT64_MAX;
  std::optional<ManifestOnDisk> seen_;
  std::vector<VmDefinition> definitions_;
  // What the guest is to be given, by MAC, of either host: as accepted; and calls without an answer yet.
  using Cards = std::map<std::string, NicSettings>;
  static Cards after(const Cards& cards, const core::NetworkCall& call);
  struct Wanted {
    Cards cards;
    std::deque<core::NetworkCall> asked;
  };
  std::array<Wanted, 2> wanted_;
  std::optional<Monotonic> unasked_since_;  // a guest and its agent run, and nothing is known of its settings
  std::vector<Rot> rots_;
  bool damage_due_ = false;  // to be looked for
  bool newest_damaged_ = false;
  std::set<std::pair<std::string, size_t>> known_damage_;  // point and index of what rotted
};

}  // namespace understudy::sim
