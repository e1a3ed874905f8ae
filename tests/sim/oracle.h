// What has to be true after every step. It reads the simulated disk as whoever has only the files would: its
// own manifest and qcow2 readers, no code of the product.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "hypervisor.h"

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

class Oracle {
 public:
  explicit Oracle(World& world) : world_(world) {}

  // --- told by the hypervisors ---
  void cut(const std::string& checkpoint, const Contents& contents, Wall at);
  void retired(const std::string& checkpoint, bool broken);
  void hold_lifted(int host);
  void started(int host);

  // An operator's failover was accepted, to this point; nil: to the newest.
  void failover_asked(const Uuid& point) { asked_ = point; }

  // The replica's folder is replaced by an older copy: what was acknowledged is gone.
  void rolled_back() { acknowledged_ = std::max(acknowledged_, newest_durable()); }

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
  bool holds(uint64_t sequence, uint32_t disk, ByteView content) const;
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

  World& world_;
  std::map<uint64_t, Cut> cuts_;  // by sequence; the primary's generation is 1
  std::optional<Violation> violation_;
  Uuid asked_;
  uint64_t acknowledged_ = 0;  // before a roll-back
  uint64_t seen_changes_ = UINT64_MAX;
  std::optional<ManifestOnDisk> seen_;
};

}  // namespace understudy::sim
