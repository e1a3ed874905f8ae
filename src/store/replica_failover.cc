// How a replica is used, given back, and removed.
#include <algorithm>
#include <chrono>

#include "base/fault_point.h"
#include "base/limits.h"
#include "store/durable_file.h"
#include "store/replica.h"

namespace understudy::store {
namespace {

constexpr auto kMergeStop =
    std::chrono::seconds(30);  // it stops within a second; a stuck disk must not hold us for ever

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

Status Replica::fail_over(const Uuid& point, uint64_t new_generation) {
  const Lock staging_lock(staging_mutex_);
  Lock lock(mutex_);
  US_CHECK(settle());
  US_TRY(const ListedPoint* listed, find(point));
  const FileNumber top = file_of(*listed);
  const auto& failover = held_.manifest.failover;
  if (failover && (failover->generation != new_generation || failover->point != point))
    return fail(ErrorCode::invalid_state, identity_.name + " is already failed over to point " +
                                              failover->point.lower() + " in generation " +
                                              std::to_string(failover->generation));
  if (!failover && new_generation <= held_.manifest.spent)
    return fail(ErrorCode::invalid_parameter, "generation " + std::to_string(new_generation) +
                                                  " does not follow on " +
                                                  std::to_string(held_.manifest.spent));
  const MergePause pause(*this, lock);
  US_CHECK(pause.check());
  Manifest next = held_.manifest;
  if (!failover) {
    US_CHECK(check_files(top));
    next.failover = Failover{new_generation, point, false};
    next.spent = new_generation;
    US_CHECK(replace_manifest(next, "store.failover.before-generation", "store.failover.after-generation"));
  }
  US_CHECK(area_.drop());
  show_staging();
  if (next.failover->complete) return {};
  US_CHECK(make_active(top));
  next.failover->complete = true;
  return replace_manifest(next, "store.failover.before-complete", "store.failover.after-complete");
}

// Nothing but a whole chain is given to a guest: what it wrote on another one could not be undone. What is
// above the point is of no account.
Status Replica::check_files(FileNumber top) const {
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk)
    for (const std::string& path : files_of(layout_, held_, disk, top)) {
      US_TRY(const bool there, files_.exists(path));
      if (!there)
        return fail(ErrorCode::not_found,
                    "the chain of " + identity_.disks[disk].target + " of " + identity_.name +
                        " is broken: " + path + " is missing",
                    "understudy store check " + directory());
    }
  const auto good = check_chains(files_, layout_, held_.manifest, top);
  return good ? Status() : Status(fail(good.error()));
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

// --- revert ---

// The manifest decides, and says until when overlays may still have to be moved: every start goes on with it.
Status Replica::revert(Wall now) {
  const Lock staging_lock(staging_mutex_);
  const Lock lock(mutex_);
  US_CHECK(settle());
  if (!held_.manifest.failover) return {};
  if (held_.manifest.set_aside.size() >= limits::kMostSetAside) US_CHECK(drop_oldest_reverted());
  US_TRY(const ListedPoint* listed, find(held_.manifest.failover->point));
  Manifest next = held_.manifest;
  next.set_aside.push_back({next.failover->generation, now, file_of(*listed)});
  next.failover.reset();
  next.reverting = true;
  unsure_ = true;
  Status done = replace_manifest(next, "store.revert.before-manifest", "store.revert.after-manifest");
  if (done) done = finish_revert(files_, layout_, held_.manifest);
  if (done) {
    unsure_ = false;
    return {};
  }
  // It may be reverted all the same; whoever holds the VM has to know.
  if (const Status asked = settle(); asked && !held_.manifest.failover) return {};
  return done;
}

std::vector<std::string> Replica::files_of_reverted(const Reverted& reverted) const {
  std::vector<std::string> paths;
  for (const DiskGeometry& disk : identity_.disks)
    paths.push_back(layout_.in(reverted_name(disk.target, reverted.generation)));
  return paths;
}

SetAside Replica::described(const Reverted& reverted) const {
  SetAside one{reverted.generation, reverted.since, {}, 0};
  for (const std::string& path : files_of_reverted(reverted)) {
    const auto file = files_.open(path, OpenMode::read);
    if (!file) continue;  // the failover ended before it was made, or somebody has moved it away
    one.files.push_back(path);
    one.bytes += (*file)->size().value_or(0);
  }
  return one;
}

std::vector<SetAside> Replica::set_aside() const {
  const Lock lock(mutex_);
  std::vector<SetAside> all;
  for (const Reverted& reverted : held_.manifest.set_aside)
    if (SetAside one = described(reverted); !one.files.empty()) all.push_back(std::move(one));
  return all;
}

Status Replica::drop_set_aside(Wall older_than) {
  const Lock staging_lock(staging_mutex_);
  const Lock lock(mutex_);
  US_CHECK(settle());
  return drop_reverted([&](const Reverted& reverted) { return reverted.since < older_than; });
}

Result<uint64_t> Replica::make_room(uint64_t bytes) {
  const Lock staging_lock(staging_mutex_);
  const Lock lock(mutex_);
  US_CHECK(settle());
  uint64_t freed = 0, last = 0;
  for (const Reverted& reverted : held_.manifest.set_aside) {
    if (freed >= bytes) break;
    freed += described(reverted).bytes;
    last = reverted.generation;
  }
  US_CHECK(drop_reverted([&](const Reverted& reverted) { return reverted.generation <= last; }));
  return freed;
}

// The files go before their entry: what has no entry is not known to be dropped, and is never removed.
Status Replica::drop_reverted(const std::function<bool(const Reverted&)>& goes) {
  Manifest next = held_.manifest;
  std::erase_if(next.set_aside, goes);
  if (next.set_aside == held_.manifest.set_aside) return {};
  US_CHECK(fault_point("store.set-aside.before-remove"));
  for (const Reverted& reverted : held_.manifest.set_aside)
    if (goes(reverted))
      for (const std::string& path : files_of_reverted(reverted)) US_CHECK(files_.remove(path));
  US_CHECK(files_.sync_directory(layout_.directory()));
  return replace_manifest(next, "store.set-aside.before-manifest", "store.set-aside.after-manifest");
}

Status Replica::drop_oldest_reverted() {
  const uint64_t oldest = held_.manifest.set_aside.front().generation;
  return drop_reverted([&](const Reverted& reverted) { return reverted.generation == oldest; });
}

// --- end ---

Status Replica::retire() {
  const Lock staging_lock(staging_mutex_);
  const Lock lock(mutex_);
  US_CHECK(settle());
  if (!held_.manifest.failover || !held_.manifest.failover->complete)
    return fail(ErrorCode::invalid_state, identity_.name + " is not failed over: no VM could use its files");
  US_CHECK(fault_point("store.retire.before-rename"));
  unsure_ = true;
  US_CHECK(files_.rename(layout_.manifest(), layout_.retired_manifest()));
  US_CHECK(files_.sync_directory(layout_.directory()));
  US_CHECK(fault_point("store.retire.after-rename"));
  destroyed_ = true;
  return {};
}

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
