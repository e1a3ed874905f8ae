// Damage at rest that stays: which points read it is known here, and what the product says of it is compared.
#include <utility>

#include "world.h"

namespace understudy::sim {
namespace {

using store::CheckedPoint;
using store::Damage;

bool covers(const Damage& damage, const Rot& rot) {
  return damage.disk == rot.disk && damage.offset <= rot.offset && rot.offset < damage.offset + damage.length;
}
const CheckedPoint* find(const std::vector<CheckedPoint>& points, const std::string& id) {
  const auto found =
      std::ranges::find_if(points, [&](const CheckedPoint& each) { return each.point.id.lower() == id; });
  return found == points.end() ? nullptr : &*found;
}
bool names(const CheckedPoint* point, const Rot& rot) {
  return point != nullptr &&
         std::ranges::any_of(point->damages, [&](const Damage& damage) { return covers(damage, rot); });
}

}  // namespace

Excuse Oracle::excuse(uint32_t disk) const {
  if (rots_.empty()) return {};
  return [this, disk](uint64_t offset, uint64_t value, uint64_t found) {
    return std::ranges::any_of(rots_, [&](const Rot& rot) {
      return rot.disk == disk && rot.offset == offset && (value ^ rot.mask) == found;
    });
  };
}

bool Oracle::reads(const PointOnDisk& point, const Rot& rot) const {
  const auto cut = cuts_.find(point.sequence);
  if (cut == cuts_.end()) return false;
  const std::string top = world_.disks[rot.disk].target + "-" + std::to_string(point.generation) + "-" +
                          std::to_string(point.sequence) + ".qcow2";
  const ChainReader chain(world_.replica().files, world_.directory(), top);
  return chain.word(rot.offset) == (cut->second.contents[rot.disk][rot.offset / kBlock] ^ rot.mask);
}

size_t Oracle::known_damage() {
  if (rots_.empty()) return 0;
  size_t damaged = 0;
  world_.faults.read_disk([&] {
    const auto points = store::known_damage(world_.replica().files, world_.directory());
    if (!points) return;
    for (const CheckedPoint& point : *points) damaged += point.good() ? 0 : 1;
  });
  return damaged;
}

void Oracle::check_damage() {
  if (violation_ || !world_.replica().up()) return;
  damage_due_ = false;
  if (!seen_) return;
  world_.faults.read_disk([&] {
    store::Files& files = world_.replica().files;
    const auto checked = store::check_replica(
        files, world_.directory(), [](uint64_t, uint64_t) {}, CancelToken());
    const auto marked = store::known_damage(files, world_.directory());
    if (!checked || !marked)
      return violate("a replica with damaged data can be checked",
                     checked ? marked.error().text() : checked.error().text());
    judge_damage(checked->points, *marked);
  });
}

void Oracle::judge_damage(const std::vector<CheckedPoint>& checked, const std::vector<CheckedPoint>& marked) {
  std::set<std::pair<std::string, size_t>> known;
  const bool was_damaged = std::exchange(newest_damaged_, false);
  for (const PointOnDisk& point : seen_->points) {
    const CheckedPoint* found = find(checked, point.id);
    const CheckedPoint* mark = find(marked, point.id);
    const std::string which = "point " + std::to_string(point.sequence);
    if (found == nullptr) return violate("the check looks at every listed point", which);
    for (size_t i = 0; i < rots_.size(); ++i) {
      if (!reads(point, rots_[i])) continue;
      newest_damaged_ = newest_damaged_ || &point == &seen_->points.back();
      const std::string where = which + ", byte " + std::to_string(rots_[i].offset);
      if (!names(found, rots_[i])) violate("the check names what is damaged at rest", where);
      if (names(mark, rots_[i]))
        known.emplace(point.id, i);
      else if (known_damage_.contains({point.id, i}))
        violate("damage that a merge has marked is not forgotten while a point reads it", where);
    }
    for (const Damage& damage : found->damages)
      if (std::ranges::none_of(rots_, [&](const Rot& rot) { return covers(damage, rot); }))
        violate("only what is damaged is called so", which + ": " + damage.file + ", " + damage.what);
    if (mark != nullptr && found->good() && !mark->good())
      violate("what merges have marked the check finds too", which);
  }
  if (was_damaged && !newest_damaged_ && world_.operations.mends) world_.watch.saw(Rare::damage_mended);
  if (known.size() > known_damage_.size()) world_.watch.saw(Rare::damage_marked);
  known_damage_ = std::move(known);
}

}  // namespace understudy::sim
