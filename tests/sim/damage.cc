// Faults at rest: bits that flip in files and rows, and a database that is gone.
#include <algorithm>
#include <utility>

#include "core/recovered.h"
#include "store/check.h"
#include "world.h"

namespace understudy::sim {
namespace {
constexpr size_t kMostRots = 3;  // each is looked for in every point
}

void Faults::flip() {
  Host& replica = world_.replica();
  if (flipped() || row_host_ || !replica.up()) return;
  const std::string directory = world_.directory();
  switch (world_.random.below(6)) {
    case 0:
      return flip_record(directory + "/manifest");
    case 1:
      return flip_record(directory + "/incoming/cursor");
    case 2: {
      for (const std::string& path : replica.files.paths())
        if (path.find("/machine-") != std::string::npos && !path.ends_with(".tmp")) return flip_record(path);
      return;
    }
    case 3:
      return damage_row();
    default:
      return flip_image();
  }
}

// Read at the next start; so that one comes, and finds it.
void Faults::flip_record(const std::string& path) {
  Host& replica = world_.replica();
  const Bytes* bytes = replica.files.bytes(path);
  if (bytes == nullptr || bytes->empty()) return;
  count(Fault::bit_flip, 1);
  flip_path_ = path;
  flip_bit_ = world_.random.below(bytes->size() * 8);
  replica.files.flip(path, flip_bit_);
  flipped_ = bytes;
  replica.kill(Death::daemon);
}

void Faults::booted(Host& host, const Status& loaded) {
  if (row_host_ && *row_host_ == host.index) {
    if (loaded)
      world_.oracle.violate("a damaged row of the state database is refused", host.name + " starts");
    world_.watch.saw(Rare::row_refused);
    if (world_.random.one_in(2)) unflip();
    return;
  }
  if (host.index != 1 || !flipped() || !loaded) return;
  const auto store = host.store();
  const bool cursor = flip_path_.find("/cursor") != std::string::npos;
  if (cursor) {
    if (store == nullptr) return unflip();  // for another reason; what is read later may be a new one
    if (store->staging())
      world_.oracle.violate("a damaged cursor costs what is staged", "it is still staged");
    world_.watch.saw(Rare::cursor_survived);
  } else {
    const bool replica = core::is_replica(host.phase()) && host.phase() != core::Phase::preparing;
    if (replica && store != nullptr)
      world_.oracle.violate("a damaged record is refused", flip_path_ + " bit " + std::to_string(flip_bit_));
    if (replica)
      world_.watch.saw(flip_path_.find("/machine-") != std::string::npos ? Rare::machine_refused
                                                                         : Rare::manifest_refused);
  }
  unflip();
}

void Faults::unflip() {
  if (row_host_) world_.hosts[static_cast<size_t>(*row_host_)]->db.rows["engine"][world_.vm.lower()] = row_;
  row_host_.reset();
  if (flipped() && world_.replica().files.bytes(flip_path_) == flipped_)
    world_.replica().files.flip(flip_path_, flip_bit_);
  flipped_ = nullptr;
}

// The check must name it if a single byte of a point is another one; and nothing else may be wrong.
void Faults::flip_image() {
  Host& replica = world_.replica();
  std::vector<std::string> images;
  for (const std::string& path : replica.files.paths())
    if (path.ends_with(".qcow2") && path.find("/incoming/") == std::string::npos &&
        path.find("-active") == std::string::npos && path.find("-reverted") == std::string::npos)
      images.push_back(path);
  const auto is_good = [&]() -> std::optional<bool> {
    auto checked = store::check_replica(
        replica.files, world_.directory(), [](uint64_t, uint64_t) {}, CancelToken());
    if (!checked) return false;
    if (checked->points.empty()) return std::nullopt;
    return std::all_of(checked->points.begin(), checked->points.end(),
                       [](const auto& point) { return point.good(); });
  };
  if (images.empty() || replica.dead || !world_.oracle.manifest()) return;
  on_ = false;  // the check itself is not to be disturbed
  const auto before = is_good();
  if (before == false && !replica.dead && world_.oracle.rots().empty())
    world_.oracle.violate("what is not damaged passes the check", "it does not");
  const std::string path = images[world_.random.below(images.size())];
  const uint64_t bit = world_.random.below(replica.files.bytes(path)->size() * 8);
  count(Fault::bit_flip, 1);
  replica.files.flip(path, bit);
  const bool differs = world_.oracle.any_point_differs();
  const auto after = is_good();
  if (before == true && differs && after == true)
    world_.oracle.violate("a bit that flipped in a point is found by the check",
                          path + " bit " + std::to_string(bit));
  if (before == true && differs && after == false) world_.watch.saw(Rare::image_damage_found);
  replica.files.flip(path, bit);
  on_ = true;
}

// A bit of a point's data, for good: no table, so that all goes on as if nothing were wrong.
void Faults::rot() {
  Host& replica = world_.replica();
  const auto& held = world_.oracle.seen();
  if (!replica.up() || flipped() || row_host_ || !held || held->points.empty()) return;
  Random& random = world_.random;
  const bool newest = random.one_in(2);
  const PointOnDisk& point = newest ? held->points.back() : held->points[random.below(held->points.size())];
  Rot rot;
  rot.disk = static_cast<uint32_t>(random.below(world_.disks.size()));
  const DiskGeometry& disk = world_.disks[rot.disk];
  rot.offset = random.below(disk.size / kSector) * kSector;
  const uint64_t bit = random.below(64);
  rot.mask = uint64_t{1} << bit;
  const ChainReader chain(
      replica.files, world_.directory(),
      disk.target + "-" + std::to_string(point.generation) + "-" + std::to_string(point.sequence) + ".qcow2");
  const auto place = chain.place(rot.offset);
  const bool again = std::ranges::any_of(world_.oracle.rots(), [&](const Rot& other) {
    return other.disk == rot.disk && other.offset == rot.offset;
  });
  if (!place || again || world_.oracle.rots().size() >= kMostRots) return;
  count(Fault::rots, 1);
  replica.files.flip(place->path, place->byte * 8 + bit);
  world_.oracle.rotted(rot);
}

// Rows have no checksum: that of the database is not simulated. What can be told is told.
void Faults::damage_row() {
  const int at = static_cast<int>(world_.random.below(2));
  Host& host = *world_.hosts[static_cast<size_t>(at)];
  auto& rows = host.db.rows["engine"];
  const auto row = rows.find(world_.vm.lower());
  if (row == rows.end() || row->second.empty() || host.dead) return;
  count(Fault::bit_flip, at);
  row_host_ = at;
  row_ = row->second;
  row->second[world_.random.below(row_.size())] = '\1';
  host.kill(Death::daemon);
}

// The replica host's database is gone. It is rebuilt from the store, as `understudy store recover` does, at
// once or when somebody has noticed.
void Faults::lose_database() {
  Host& host = world_.replica();
  if (rebuild_owed_) return rebuild();
  if (!host.up() || flipped() || row_host_ || !core::is_replica(host.phase()) ||
      host.phase() == core::Phase::preparing)
    return;
  count(Fault::database_lost, 1);
  host.kill(Death::daemon);
  host.db.rows["engine"].clear();
  world_.oracle.database_lost();
  rebuild_owed_ = true;
  if (world_.random.one_in(2)) rebuild();
}

void Faults::read_disk(const std::function<void()>& work) {
  Host& host = world_.replica();
  const bool on = std::exchange(on_, false);
  const bool was_dead = std::exchange(host.dead, false);
  work();
  host.dead = was_dead;
  on_ = on;
}

void Faults::rebuild() {
  Host& host = world_.replica();
  Result<store::Manifest> manifest = fail(ErrorCode::not_found, "not read yet");
  read_disk([&] { manifest = store::load_manifest(host.files, store::Layout(world_.directory())); });
  rebuild_owed_ = !manifest;  // it is damaged at this moment
  if (!manifest) return;
  const auto& rows = host.db.rows["engine"];
  if (const auto row = rows.find(world_.vm.lower());
      row != rows.end() && core::knows_relationship(row->second))
    return;  // by now
  core::FoundReplica found;
  found.vm = manifest->identity.vm;
  found.name = manifest->identity.name;
  found.directory = world_.directory();
  found.primary = manifest->identity.primary;
  found.settings = manifest->identity.settings;
  found.disks = manifest->identity.disks;
  found.newest = {manifest->identity.set, manifest->identity.generation, manifest->newest()};
  for (const store::ListedPoint& listed : manifest->points) found.points.push_back(listed.point);
  if (manifest->failover)
    found.failover = core::FoundReplica::OpenFailover{
        manifest->failover->point, manifest->failover->generation, manifest->failover->complete};
  const auto state = core::recovered_state(found, host.clock.now().wall);
  if (!state)
    return world_.oracle.violate("a replica's engine can be rebuilt from its store", state.error().text());
  host.kill(Death::daemon);
  host.db.rows["engine"][world_.vm.lower()] = core::encode_state(*state);
  world_.watch.saw(Rare::rebuilt_from_store);
}

// A copy of the whole folder, as of a moment at which the store was at rest.
void Faults::keep_folder() {
  const auto& files = world_.replica().files;
  folder_.clear();
  for (const std::string& path : files.paths())
    if (path.starts_with(world_.directory() + "/") && files.bytes(path) != nullptr)
      folder_[path] = files.content(path);
}

void Faults::restore_folder() {
  Host& host = world_.replica();
  if (!host.up() || flipped() || row_host_ || host.phase() != core::Phase::standby) return;
  if (folder_.empty() || world_.random.one_in(3)) return keep_folder();
  count(Fault::folder_restored, 1);
  host.kill(Death::daemon);
  world_.oracle.rolled_back();
  host.files.replace_all(world_.directory(), folder_);
  folder_.clear();
}

}  // namespace understudy::sim
