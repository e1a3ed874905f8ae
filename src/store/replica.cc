#include "store/replica.h"

#include <algorithm>
#include <chrono>

#include "base/fault_point.h"
#include "base/limits.h"
#include "base/log.h"
#include "store/durable_file.h"
#include "store/merge.h"

namespace understudy::store {
namespace {

constexpr auto kMergeStop =
    std::chrono::seconds(30);  // it stops within a second; a stuck disk must not hold us for ever

constexpr uint64_t kZeroStep = 1 << 30;

std::string number(uint64_t n) {
  return std::to_string(n);
}

tl::unexpected<Error> does_not_continue(const std::string& name, const std::string& why) {
  return fail(ErrorCode::invalid_state, name + ": " + why, "compare both sides, then resynchronize");
}

}  // namespace

// Keeps merges away for as long as it lives; holds mutex_ while it does not wait.
class Replica::MergePause {
 public:
  MergePause(Replica& replica, Lock& lock) : replica_(replica) {
    ++replica_.pauses_;
    stopped_ = replica_.merge_ended_.wait_for(lock, kMergeStop, [&] { return !replica_.merging_; });
  }
  ~MergePause() { --replica_.pauses_; }  // mutex_ is held
  MergePause(const MergePause&) = delete;
  MergePause& operator=(const MergePause&) = delete;
  Status check() const {
    if (stopped_) return {};
    return fail(ErrorCode::in_use, "a merge in " + replica_.directory() + " does not stop",
                "look at the disk: dmesg");
  }

 private:
  Replica& replica_;
  bool stopped_ = false;
};

// --- start ---

Result<std::unique_ptr<ReplicaStore>> ReplicaStore::create(Files& files, const std::string& directory,
                                                           const ReplicaIdentity& identity) {
  const Layout layout(directory);
  US_TRY(const bool dying, removal_begun(files, layout));
  if (dying) US_CHECK(finish_removal(files, layout));
  US_CHECK(files.make_directory(directory));
  US_TRY(const auto names, files.list(directory));
  for (const std::string& name : names)
    if (name != "incoming" && name != "manifest.tmp")
      return fail(ErrorCode::invalid_state, directory + " is not empty: it has " + name,
                  "ls -la " + directory);
  Manifest manifest;
  manifest.identity = identity;
  const std::string text = encode_manifest(manifest);
  if (auto sound = decode_manifest(text); !sound)
    return fail(ErrorCode::invalid_parameter, "a replica cannot be made: it " + sound.error().message());
  US_CHECK(files.make_directory(layout.incoming()));
  US_CHECK(files.sync_directory(directory));
  US_CHECK(files.sync_directory(layout.parent()));
  US_CHECK(fault_point("store.create.before-manifest"));
  US_CHECK(replace_file(files, layout.manifest(), text));
  US_CHECK(fault_point("store.create.after-manifest"));
  return open(files, directory);
}

Result<std::unique_ptr<ReplicaStore>> ReplicaStore::open(Files& files, const std::string& directory) {
  Layout layout(directory);
  US_TRY(const bool dying, removal_begun(files, layout));
  if (dying) {
    US_CHECK(finish_removal(files, layout));
    return fail(ErrorCode::not_found,
                "the replica in " + directory + " was being removed, and is removed now");
  }
  US_TRY(Recovered found, recover(files, layout));
  return std::make_unique<Replica>(files, std::move(layout), std::move(found));
}

Replica::Replica(Files& files, Layout layout, Recovered found)
    : files_(files),
      layout_(std::move(layout)),
      identity_(found.manifest.identity),
      area_(files, layout_, identity_) {
  adopt(std::move(found));
}

void Replica::adopt(Recovered found) {
  manifest_ = std::move(found.manifest);
  merged_ = std::move(found.merged);
  area_.restore(found.staging);
  show_staging();
}

Status Replica::settle() {
  US_CHECK(usable());
  if (!unsure_) return {};
  US_TRY(Recovered found, recover(files_, layout_));
  adopt(std::move(found));
  unsure_ = false;
  return {};
}

// A change that failed half-way in another thread: whoever comes next from the start settles it.
Status Replica::sure() const {
  if (!unsure_) return {};
  return fail(ErrorCode::failed, "the last change of " + directory() + " broke off", "try again");
}

Status Replica::usable() const {
  if (destroyed_) return fail(ErrorCode::not_found, "the replica in " + directory() + " was removed");
  return {};
}

void Replica::show_staging() {
  staged_ = area_.current();
}

// --- what readers see ---

Lineage Replica::newest() const {
  const Lock lock(mutex_);
  return {identity_.set, identity_.generation, manifest_.newest()};
}

std::vector<RecoveryPoint> Replica::points() const {
  const Lock lock(mutex_);
  std::vector<RecoveryPoint> points;
  for (const ListedPoint& listed : manifest_.points) points.push_back(listed.point);
  return points;
}

std::optional<Staging> Replica::staging() const {
  const Lock lock(mutex_);
  return staged_;
}

bool Replica::failed_over() const {
  const Lock lock(mutex_);
  return manifest_.failover.has_value();
}

uint64_t Replica::generation() const {
  const Lock lock(mutex_);
  return manifest_.failover ? manifest_.failover->generation : identity_.generation;
}

std::string Replica::image_path(size_t disk, FileNumber file) const {
  return layout_.in(image_name(identity_.disks[disk].target, file));
}

std::string Replica::active_path(uint32_t disk) const {
  return layout_.in(active_name(identity_.disks.at(disk).target));
}

Result<FileNumber> Replica::file_of(const Uuid& point) const {
  for (const ListedPoint& listed : manifest_.points)
    if (listed.point.id == point)
      for (const ChainLink& link : manifest_.chain)
        if (link.number.sequence == listed.point.lineage.sequence) return link.number;
  return fail(ErrorCode::not_found, identity_.name + " has no recovery point " + point.lower());
}

Result<std::vector<std::vector<std::string>>> Replica::chains(const Uuid& point) const {
  const Lock lock(mutex_);
  US_TRY(const FileNumber top, file_of(point));
  std::vector<std::vector<std::string>> all(identity_.disks.size());
  for (size_t disk = 0; disk < all.size(); ++disk) {
    for (size_t i = merged_[disk] ? 1 : 0; i < manifest_.chain.size(); ++i) {
      all[disk].insert(all[disk].begin(), image_path(disk, manifest_.chain[i].number));
      if (manifest_.chain[i].number == top) break;
    }
  }
  return all;
}

// --- staging ---

Status Replica::check_key(const TransferKey& key, uint32_t granule) const {
  const Lineage& theirs = key.lineage;
  if (manifest_.failover)
    return fail(
        ErrorCode::invalid_state,
        identity_.name + " is failed over here, in generation " + number(manifest_.failover->generation),
        "revert or reverse it");
  if (granule < limits::kLeastGranule || granule > limits::kGranule || (granule & (granule - 1)) != 0)
    return fail(ErrorCode::invalid_parameter, "a granule of " + number(granule) + " bytes");
  if (theirs.set != identity_.set)
    return does_not_continue(identity_.name, "the sender has disk set " + theirs.set.lower() +
                                                 ", the replica " + identity_.set.lower());
  if (theirs.generation != identity_.generation)
    return does_not_continue(identity_.name, "the sender is in generation " + number(theirs.generation) +
                                                 ", the replica in " + number(identity_.generation));
  if (theirs.sequence <= manifest_.newest())
    return does_not_continue(identity_.name, "the sender offers point " + number(theirs.sequence) +
                                                 ", the replica already holds " + number(manifest_.newest()));
  return key.kind == TransferKind::pass ? check_pass(key) : check_delta(key);
}

// A pass may begin a first copy at any time (a resync, when there are points), repeat, or follow on the one
// before.
Status Replica::check_pass(const TransferKey& key) const {
  if (key.from == 0) return {};
  const auto& base = area_.record().base;
  if (!base)
    return does_not_continue(identity_.name, "the sender begins pass " + number(key.from) +
                                                 " of a first copy, the replica has none staged");
  if (key.from > base->key.from + 1 || key.from < base->key.from ||
      key.lineage.sequence < base->key.lineage.sequence)
    return does_not_continue(identity_.name, "the sender begins pass " + number(key.from) + " at sequence " +
                                                 number(key.lineage.sequence) + ", the replica has pass " +
                                                 number(base->key.from) + " at sequence " +
                                                 number(base->key.lineage.sequence));
  return {};
}

Status Replica::check_delta(const TransferKey& key) const {
  const auto& base = area_.record().base;
  const bool closes = key.from == 0 && base && key.lineage.sequence > base->key.lineage.sequence;
  const bool alone = key.from == 0 && !base;  // a full export that needs nothing below
  if (!closes && !(alone && manifest_.chain.empty()) && (key.from == 0 || key.from != manifest_.newest()))
    return does_not_continue(
        identity_.name,
        "the sender offers the changes since point " + number(key.from) + ", the replica holds " +
            number(manifest_.newest()) +
            (base ? " and a first copy at sequence " + number(base->key.lineage.sequence) : ""));
  if (key.from != 0 && manifest_.chain.size() + 1 > limits::kMostChainDepth)
    return fail(ErrorCode::in_use, identity_.name + ": the chain already has " +
                                       number(manifest_.chain.size()) +
                                       " files, which are to be merged first");
  return {};
}

Result<Cursor> Replica::begin(const TransferKey& key, uint32_t granule) {
  const Lock staging_lock(staging_mutex_);
  std::optional<ChainLink> below;
  {
    const Lock lock(mutex_);
    US_CHECK(settle());
    US_CHECK(check_key(key, granule));
    if (!manifest_.chain.empty()) below = manifest_.chain.back();
  }
  auto cursor = area_.begin(key, granule, below);
  const Lock lock(mutex_);
  show_staging();
  return cursor;
}

Status Replica::write(uint32_t disk, uint64_t offset, ByteView data) {
  const Lock staging_lock(staging_mutex_);
  return area_.write(disk, offset, data);
}

Status Replica::zero(uint32_t disk, uint64_t offset, uint64_t length) {
  // In steps, so that a failover need not wait for the metadata of a whole disk.
  while (length > kZeroStep) {
    const Lock staging_lock(staging_mutex_);
    US_CHECK(area_.zero(disk, offset, kZeroStep));
    offset += kZeroStep;
    length -= kZeroStep;
  }
  const Lock staging_lock(staging_mutex_);
  return area_.zero(disk, offset, length);
}

Status Replica::advance(Cursor cursor) {
  const Lock staging_lock(staging_mutex_);
  Status done = area_.advance(cursor);
  const Lock lock(mutex_);
  show_staging();
  return done;
}

Status Replica::drop_staging() {
  const Lock staging_lock(staging_mutex_);
  Status done = area_.drop();
  const Lock lock(mutex_);
  show_staging();
  return done;
}

// --- publishing ---

// An error leaves it open which manifest is on the disk: settle() asks.
Status Replica::commit(Manifest next) {
  if (auto done = commit_file(files_, layout_.manifest()); !done) {
    unsure_ = true;
    return done;
  }
  manifest_ = std::move(next);
  return {};
}

// The new manifest is written beside the old one before anything moves, so that a full disk changes nothing.
Status Replica::publish(const Manifest& next, const std::vector<ChainLink>& links) {
  US_CHECK(prepare_file(files_, layout_.manifest(), encode_manifest(next)));
  US_CHECK(fault_point("store.publish.before-rename"));
  unsure_ = true;
  for (const ChainLink& link : links) {
    for (const DiskGeometry& disk : identity_.disks) {
      const std::string name = image_name(disk.target, link.number);
      US_CHECK(files_.rename(layout_.staged(name), layout_.in(name)));
    }
  }
  US_CHECK(fault_point("store.publish.after-rename"));
  US_CHECK(files_.sync_directory(layout_.directory()));
  US_CHECK(files_.sync_directory(layout_.incoming()));
  US_CHECK(fault_point("store.publish.before-manifest"));
  US_CHECK(commit(next));
  unsure_ = false;
  return fault_point("store.publish.after-manifest");
}

// What the new manifest names no more. The next start removes what this could not.
void Replica::remove_chain(const Manifest& gone, const Manifest& kept) {
  for (const ChainLink& link : gone.chain) {
    if (std::find(kept.chain.begin(), kept.chain.end(), link) != kept.chain.end()) continue;
    for (size_t disk = 0; disk < identity_.disks.size(); ++disk)
      if (auto done = files_.remove(image_path(disk, link.number)); !done)
        log_warning("store", "a file that is no longer needed stays: " + done.error().text());
  }
}

Result<RecoveryPoint> Replica::finish(const PointRequest& request) {
  const Lock staging_lock(staging_mutex_);
  const TransferKey& key = request.key;
  {
    const Lock lock(mutex_);
    US_CHECK(settle());
    for (const ListedPoint& listed : manifest_.points)
      if (key == TransferKey{listed.point.lineage, listed.from, TransferKind::delta}) return listed.point;
    US_CHECK(check_key(key, limits::kGranule));
  }
  const auto staged = area_.current();
  if (key.kind != TransferKind::delta || !staged || staged->key != key)
    return does_not_continue(identity_.name,
                             "transfer " + number(key.lineage.sequence) + " is finished, but " +
                                 (staged ? number(staged->key.lineage.sequence) : "none") + " is staged");
  US_CHECK(fault_point("store.publish.before-sync"));
  US_CHECK(area_.complete());

  Lock lock(mutex_);
  US_CHECK(sure());
  std::optional<MergePause> pause;
  if (key.from == 0) US_CHECK(pause.emplace(*this, lock).check());  // the old chain goes
  const Manifest before = manifest_;
  Manifest next = manifest_;
  const std::vector<ChainLink> links = area_.links();
  if (key.from == 0) next.chain.clear();  // stands by itself
  next.chain.insert(next.chain.end(), links.begin(), links.end());
  const RecoveryPoint point{request.id,  key.lineage,      request.type,
                            request.cut, request.received, area_.bytes()};
  next.points = {{point, key.from}};  // this version lists the latest only
  US_CHECK(publish(next, links));
  if (key.from == 0) {
    merged_.assign(identity_.disks.size(), false);
    remove_chain(before, next);
  }
  if (auto forgotten = area_.forget(); !forgotten)
    log_warning("store", "the cursor of a published transfer stays: " + forgotten.error().text());
  show_staging();
  return point;
}

// --- merging ---

bool Replica::due() const {
  return manifest_.oldest_listed() >= 2;
}

bool Replica::merge_due() const {
  const Lock lock(mutex_);
  return !manifest_.failover && due();
}

Result<uint64_t> Replica::merge(const CancelToken& cancel) {
  {
    const Lock staging_lock(staging_mutex_);
    const Lock lock(mutex_);
    US_CHECK(settle());
  }
  Lock lock(mutex_);
  if (manifest_.failover)
    return fail(ErrorCode::invalid_state, identity_.name + " is failed over: its chain is in use");
  if (merging_ || pauses_ > 0)
    return fail(ErrorCode::in_use, "the chain of " + identity_.name + " is in use");
  merging_ = true;
  uint64_t merged = 0;
  Status status;
  while (status && !unsure_ && due()) {
    auto step = merge_step(lock, cancel);
    if (step)
      merged += *step;
    else
      status = fail(step.error());
  }
  merging_ = false;
  merge_ended_.notify_all();
  if (!status) return fail(status.error());
  return merged;
}

// One file of each disk into the bottom; the lock is open while bytes are copied.
Result<uint64_t> Replica::merge_step(Lock& lock, const CancelToken& cancel) {
  const ChainLink bottom = manifest_.chain[0];
  const ChainLink upper = manifest_.chain[1];
  const auto stop = [&]() -> Status {
    US_CHECK(cancel.check());
    const Lock look(mutex_);
    return pauses_ == 0 ? Status()
                        : fail(ErrorCode::cancelled, "the chain of " + identity_.name + " is needed");
  };
  uint64_t merged = 0;
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk) {
    if (merged_[disk]) continue;
    lock.unlock();
    auto copied =
        merge_into_bottom(files_, image_path(disk, bottom.number), image_path(disk, upper.number), stop);
    lock.lock();
    if (!copied) return fail(copied.error().context("merging a disk of " + identity_.name));
    US_CHECK(sure());
    merged += *copied;
    US_CHECK(take_name(disk, bottom, upper));
  }
  US_CHECK(sure());
  Manifest next = manifest_;
  next.chain.erase(next.chain.begin());
  next.chain[0].cluster_size = bottom.cluster_size;  // the bottom stays the file that it was
  US_CHECK(prepare_file(files_, layout_.manifest(), encode_manifest(next)));
  US_CHECK(fault_point("store.merge.before-manifest"));
  US_CHECK(commit(next));
  merged_.assign(identity_.disks.size(), false);
  US_CHECK(fault_point("store.merge.after-manifest"));
  return merged;
}

// The bottom has everything of the file above it, and takes over its name: what is above finds it there.
Status Replica::take_name(size_t disk, const ChainLink& bottom, const ChainLink& upper) {
  US_CHECK(fault_point("store.merge.before-rename"));
  unsure_ = true;
  US_CHECK(files_.rename(image_path(disk, bottom.number), image_path(disk, upper.number)));
  unsure_ = false;
  merged_[disk] = true;
  US_CHECK(fault_point("store.merge.after-rename"));
  return files_.sync_directory(layout_.directory());
}

// --- failover ---

Status Replica::fail_over(const Uuid& point, uint64_t new_generation) {
  const Lock staging_lock(staging_mutex_);
  Lock lock(mutex_);
  US_CHECK(settle());
  US_TRY(const FileNumber top, file_of(point));
  const auto& failover = manifest_.failover;
  if (failover && (failover->generation != new_generation || failover->point != point))
    return fail(ErrorCode::invalid_state, identity_.name + " is already failed over to point " +
                                              failover->point.lower() + " in generation " +
                                              number(failover->generation));
  if (new_generation <= identity_.generation)
    return fail(ErrorCode::invalid_parameter, "generation " + number(new_generation) +
                                                  " does not follow on " + number(identity_.generation));
  const MergePause pause(*this, lock);
  US_CHECK(pause.check());
  Manifest next = manifest_;
  if (!failover) {
    next.failover = Failover{new_generation, point, false};
    US_CHECK(fault_point("store.failover.before-generation"));
    US_CHECK(prepare_file(files_, layout_.manifest(), encode_manifest(next)));
    US_CHECK(commit(next));
    US_CHECK(fault_point("store.failover.after-generation"));
  }
  US_CHECK(area_.drop());
  show_staging();
  if (next.failover->complete) return {};
  US_CHECK(make_active(top));
  next.failover->complete = true;
  US_CHECK(prepare_file(files_, layout_.manifest(), encode_manifest(next)));
  US_CHECK(commit(next));
  return fault_point("store.failover.after-overlays");
}

// Each overlay is whole before it has its name; one that is there already is of an earlier try.
Status Replica::make_active(FileNumber top) {
  for (const DiskGeometry& disk : identity_.disks) {
    const std::string name = active_name(disk.target);
    US_TRY(const bool there, files_.exists(layout_.in(name)));
    if (there) continue;
    US_CHECK(files_.remove(layout_.staged(name)));
    US_TRY(const auto image, qcow2::Image::create(files_, layout_.staged(name),
                                                  {disk.size, limits::kGranule, image_name(disk.target, top),
                                                   OpenMode::create_for_guest}));
    US_CHECK(image->flush());
    US_CHECK(fault_point("store.failover.before-rename"));
    US_CHECK(files_.rename(layout_.staged(name), layout_.in(name)));
    US_CHECK(fault_point("store.failover.after-rename"));
  }
  US_CHECK(files_.sync_directory(layout_.directory()));
  return files_.sync_directory(layout_.incoming());
}

// --- end ---

// The rename of the manifest is the decision; every start afterwards goes on removing.
Status Replica::destroy() {
  const Lock staging_lock(staging_mutex_);
  Lock lock(mutex_);
  const MergePause pause(*this, lock);
  US_CHECK(pause.check());
  if (!destroyed_) {
    US_CHECK(fault_point("store.destroy.before-rename"));
    US_CHECK(files_.rename(layout_.manifest(), layout_.removed_manifest()));
    destroyed_ = true;
    area_.restore(std::nullopt);
    show_staging();
    US_CHECK(files_.sync_directory(layout_.directory()));
    US_CHECK(fault_point("store.destroy.after-rename"));
  }
  return finish_removal(files_, layout_);
}

}  // namespace understudy::store
