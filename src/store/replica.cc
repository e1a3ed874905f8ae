#include "store/replica.h"

#include <algorithm>

#include "base/fault_point.h"
#include "base/limits.h"
#include "base/log.h"
#include "store/durable_file.h"
#include "store/machine_file.h"

namespace understudy::store {
namespace {

constexpr uint64_t kZeroStep = 1 << 30;

std::string number(uint64_t n) {
  return std::to_string(n);
}

tl::unexpected<Error> does_not_continue(const std::string& name, const std::string& why) {
  return fail(ErrorCode::invalid_state, name + ": " + why, "compare both sides, then resynchronize");
}

}  // namespace

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
  manifest.spent = identity.generation;
  const std::string text = encode_manifest(manifest);
  const auto sound = decode_manifest(text);
  if (!sound)
    return fail(ErrorCode::invalid_parameter, "a replica cannot be made: it " + sound.error().message());
  if (sound->identity != identity)
    return fail(ErrorCode::invalid_parameter, "a replica cannot be made: it has a text that is not UTF-8");
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
      identity_(found.loaded.manifest.identity),
      area_(files, layout_, identity_) {
  adopt(std::move(found));
}

void Replica::adopt(Recovered found) {
  held_ = std::move(found.loaded);
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

Status Replica::make_sure() {
  {
    const Lock lock(mutex_);
    if (!unsure_) return {};
  }
  const Lock staging_lock(staging_mutex_);
  const Lock lock(mutex_);
  return settle();
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
  return {identity_.set, identity_.generation, held_.manifest.newest()};
}

std::vector<RecoveryPoint> Replica::points() const {
  const Lock lock(mutex_);
  std::vector<RecoveryPoint> points;
  for (const ListedPoint& listed : held_.manifest.points) points.push_back(listed.point);
  return points;
}

std::optional<Staging> Replica::staging() const {
  const Lock lock(mutex_);
  return staged_;
}

Uuid Replica::failover_point() const {
  const Lock lock(mutex_);
  return held_.manifest.failover ? held_.manifest.failover->point : Uuid();
}
bool Replica::failed_over() const {
  const Lock lock(mutex_);
  return held_.manifest.failover.has_value();
}

uint64_t Replica::generation() const {
  const Lock lock(mutex_);
  return held_.manifest.failover ? held_.manifest.failover->generation : identity_.generation;
}

uint64_t Replica::generation_spent() const {
  const Lock lock(mutex_);
  return held_.manifest.spent;
}

std::string Replica::image_path(size_t disk, FileNumber file) const {
  return layout_.in(image_name(identity_.disks[disk].target, file));
}

std::string Replica::active_path(uint32_t disk) const {
  return layout_.in(active_name(identity_.disks.at(disk).target));
}

Result<const ListedPoint*> Replica::find(const Uuid& point) const {
  for (const ListedPoint& listed : held_.manifest.points)
    if (listed.point.id == point) return &listed;
  return fail(ErrorCode::not_found, identity_.name + " has no recovery point " + point.lower());
}

Result<std::vector<std::vector<std::string>>> Replica::chains(const Uuid& point) const {
  const Lock lock(mutex_);
  US_TRY(const ListedPoint* listed, find(point));
  std::vector<std::vector<std::string>> all;
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk) {
    const auto bottom_first = files_of(layout_, held_, disk, file_of(*listed));
    all.emplace_back(bottom_first.rbegin(), bottom_first.rend());
  }
  return all;
}

Result<std::unique_ptr<PointView>> Replica::view(const Uuid& point) {
  const Lock lock(mutex_);
  US_CHECK(usable());
  if (held_.manifest.points.empty())
    return fail(ErrorCode::not_found, identity_.name + " has no recovery point yet");
  const ListedPoint* listed = &held_.manifest.points.back();
  if (!point.nil()) {
    US_TRY(listed, find(point));
  }
  const std::shared_ptr<void> pin = pins_->pin(listed->point.lineage.sequence);
  std::vector<std::vector<std::string>> chains;
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk)
    chains.push_back(files_of(layout_, held_, disk, file_of(*listed)));
  return PointView::open(files_, listed->point, identity_.disks, chains, pin);
}

Result<Machine> Replica::machine(const Uuid& point) const {
  const Lock lock(mutex_);
  US_TRY(const ListedPoint* listed, find(point));
  if (!listed->machine) return Machine();
  return read_machine(files_, layout_.in(machine_name(*listed->machine)));
}

// --- staging ---

Status Replica::check_key(const TransferKey& key, uint32_t granule, const StagingRecord& staged) const {
  const Lineage& theirs = key.lineage;
  if (held_.manifest.failover)
    return fail(
        ErrorCode::invalid_state,
        identity_.name + " is failed over here, in generation " + number(held_.manifest.failover->generation),
        "revert or reverse it");
  if (granule < limits::kLeastGranule || granule > limits::kGranule || (granule & (granule - 1)) != 0)
    return fail(ErrorCode::invalid_parameter, "a granule of " + number(granule) + " bytes");
  if (theirs.set != identity_.set)
    return does_not_continue(identity_.name, "the sender has disk set " + theirs.set.lower() +
                                                 ", the replica " + identity_.set.lower());
  if (theirs.generation != identity_.generation)
    return does_not_continue(identity_.name, "the sender is in generation " + number(theirs.generation) +
                                                 ", the replica in " + number(identity_.generation));
  if (theirs.sequence <= held_.manifest.newest())
    return does_not_continue(identity_.name, "the sender offers point " + number(theirs.sequence) +
                                                 ", the replica already holds " +
                                                 number(held_.manifest.newest()));
  // A message that comes late must not undo what came after it.
  if (!staged.empty() && theirs.sequence < staged.top().key.lineage.sequence)
    return does_not_continue(identity_.name, "the sender offers sequence " + number(theirs.sequence) +
                                                 ", the replica already receives " +
                                                 number(staged.top().key.lineage.sequence));
  return key.kind == TransferKind::pass ? check_pass(key, granule, staged.base)
                                        : check_delta(key, staged.base);
}

// Its transfer came to its end, which is durable.
bool Replica::is_whole(const StagedLayer& layer) const {
  return layer.cursor.disk == identity_.disks.size();
}

// A pass may begin a first copy at any time (a resync, when there are points), repeat, or follow on the one
// before.
Status Replica::check_pass(const TransferKey& key, uint32_t granule,
                           const std::optional<StagedLayer>& base) const {
  if (key.from == 0) return held_.manifest.chain.empty() ? Status() : room_for(2);
  if (!base)
    return does_not_continue(identity_.name, "the sender begins pass " + number(key.from) +
                                                 " of a first copy, the replica has none staged");
  if (key.from > base->key.from + (is_whole(*base) ? 1 : 0) || key.from < base->key.from ||
      key.lineage.sequence < base->key.lineage.sequence)
    return does_not_continue(identity_.name, "the sender begins pass " + number(key.from) + " at sequence " +
                                                 number(key.lineage.sequence) + ", the replica has pass " +
                                                 number(base->key.from) + " at sequence " +
                                                 number(base->key.lineage.sequence));
  if (!held_.manifest.chain.empty() && granule % base->link.cluster_size != 0)
    return does_not_continue(identity_.name, "the sender has a granule of " + number(granule) +
                                                 " bytes, the resync was begun with " +
                                                 number(base->link.cluster_size));
  return {};
}

Status Replica::check_delta(const TransferKey& key, const std::optional<StagedLayer>& base) const {
  const bool closes =
      key.from == 0 && base && is_whole(*base) && key.lineage.sequence > base->key.lineage.sequence;
  const bool alone = key.from == 0 && !base;  // a full export that needs nothing below
  if (!closes && !(alone && held_.manifest.chain.empty()) &&
      (key.from == 0 || key.from != held_.manifest.newest()))
    return does_not_continue(
        identity_.name,
        "the sender offers the changes since point " + number(key.from) + ", the replica holds " +
            number(held_.manifest.newest()) +
            (base ? " and a first copy at sequence " + number(base->key.lineage.sequence) : ""));
  return room_for(closes ? 2 : 1);
}

Status Replica::room_for(size_t more) const {
  const size_t files = held_.manifest.chain.size();
  if (files + more <= limits::kMostChainDepth) return {};
  return fail(ErrorCode::in_use, identity_.name + ": the chain already has " + number(files) +
                                     " files, which are to be merged first");
}

// What reverts set aside keeps files of the chain. The oldest goes when the chain has no room for what comes,
// and nothing that a merge could take: merges follow.
Status Replica::shorten_chain() {
  const Manifest& m = held_.manifest;
  while (m.chain.size() + 2 > limits::kMostChainDepth && !m.set_aside.empty() && !due())
    US_CHECK(drop_oldest_reverted());
  return {};
}

Status Replica::give_to(const std::string& sender) {
  US_CHECK(area_.drop());
  show_staging();
  Manifest next = held_.manifest;
  next.identity.primary = sender;
  return replace_manifest(next, "store.sender.before-manifest", "store.sender.after-manifest");
}

Result<Cursor> Replica::begin(const TransferKey& key, uint32_t granule, const std::string& sender) {
  const Lock staging_lock(staging_mutex_);
  std::optional<ChainLink> below;
  {
    const Lock lock(mutex_);
    US_CHECK(settle());
    US_CHECK(shorten_chain());
    const std::string& before = held_.manifest.identity.primary;
    const bool another = !sender.empty() && !before.empty() && sender != before;
    if (another && key.kind == TransferKind::delta && key.from == 0)  // alone it would look like a whole copy
      return does_not_continue(identity_.name,
                               "the sender closes a first copy, and what is staged was sent by " + before);
    US_CHECK(check_key(key, granule, another ? StagingRecord() : area_.record()));
    if (another) US_CHECK(give_to(sender));
    if (!held_.manifest.chain.empty()) below = held_.manifest.chain.back();
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
  held_.manifest = std::move(next);
  return {};
}

Status Replica::replace_manifest(Manifest next, std::string_view before, std::string_view after) {
  US_CHECK(prepare_file(files_, layout_.manifest(), encode_manifest(next)));
  US_CHECK(fault_point(before));
  US_CHECK(commit(std::move(next)));
  return fault_point(after);
}

std::string Replica::settings() const {
  const Lock lock(mutex_);
  return held_.manifest.identity.settings;
}

Status Replica::set_settings(const std::string& settings) {
  const Lock staging_lock(staging_mutex_);
  const Lock lock(mutex_);
  US_CHECK(settle());
  if (settings == held_.manifest.identity.settings) return {};
  Manifest next = held_.manifest;
  next.identity.settings = settings;
  const auto sound = decode_manifest(encode_manifest(next));
  if (!sound || sound->identity != next.identity)
    return fail(ErrorCode::invalid_parameter,
                "settings that are not UTF-8 text of at most " + number(limits::kMostSettings) + " bytes");
  return replace_manifest(next, "store.settings.before-manifest", "store.settings.after-manifest");
}

// The new manifest is written beside the old one before anything moves, so that a full disk changes nothing.
Status Replica::publish(const Manifest& next, const std::vector<ChainLink>& links) {
  US_CHECK(prepare_file(files_, layout_.manifest(), encode_manifest(next)));
  US_CHECK(fault_point("store.publish.before-rename"));
  unsure_ = true;
  for (const ChainLink& link : links) {
    for (const DiskGeometry& disk : identity_.disks) {
      const std::string name = image_name(disk.target, link.number);
      const std::string sums = sums_path(name);
      US_CHECK(files_.rename(layout_.staged(name), layout_.in(name)));
      US_TRY(const bool summed, files_.exists(layout_.staged(sums)));
      if (summed) US_CHECK(files_.rename(layout_.staged(sums), layout_.in(sums)));
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

// The file of the VM as of this cut: that of the point before when nothing changed, else a new one, durable.
Result<std::optional<FileNumber>> Replica::keep_machine(const PointRequest& request,
                                                        const std::optional<FileNumber>& before) {
  if (request.definition.empty()) return before;
  const Machine machine{request.definition, request.nvram};
  if (before) {
    const auto known = read_machine(files_, layout_.in(machine_name(*before)));
    if (known && *known == machine) return before;
  }
  const FileNumber file{request.key.lineage.generation, request.key.lineage.sequence};
  US_CHECK(fault_point("store.machine.before-write"));
  US_CHECK(replace_file(files_, layout_.in(machine_name(file)), encode_machine(machine)));
  US_CHECK(fault_point("store.machine.after-write"));
  return file;
}

// What the new manifest names no more. The next start removes what this could not.
void Replica::remove_machines(const Manifest& gone) {
  std::set<std::string> names;
  for (const ListedPoint& listed : gone.points)
    if (listed.machine) names.insert(machine_name(*listed.machine));
  for (const ListedPoint& listed : held_.manifest.points)
    if (listed.machine) names.erase(machine_name(*listed.machine));
  for (const std::string& name : names)
    if (auto done = files_.remove(layout_.in(name)); !done)
      log_warning("store", "a file that is no longer needed stays: " + done.error().text());
}

Manifest Replica::with_point(const ListedPoint& point, const Retention& retention) const {
  Manifest next = held_.manifest;
  const auto links = area_.links();
  next.chain.insert(next.chain.end(), links.begin(), links.end());
  next.points.push_back(point);
  std::vector<PointKeep> keeps;
  for (const ListedPoint& listed : next.points) keeps.push_back(listed.point.keep);
  const auto stays = stay_listed(keeps, retention);
  size_t i = 0;
  std::erase_if(next.points, [&](const ListedPoint&) { return !stays[i++]; });
  return next;
}

Result<RecoveryPoint> Replica::finish(const PointRequest& request, const Retention& retention) {
  const Lock staging_lock(staging_mutex_);
  const TransferKey& key = request.key;
  std::optional<FileNumber> before;
  {
    const Lock lock(mutex_);
    US_CHECK(settle());
    for (const ListedPoint& listed : held_.manifest.points)
      if (key == TransferKey{listed.point.lineage, listed.from, TransferKind::delta}) return listed.point;
    US_CHECK(check_key(key, limits::kGranule, area_.record()));
    if (find(request.id))
      return fail(ErrorCode::invalid_parameter,
                  identity_.name + " already has a point " + request.id.lower());
    if (!held_.manifest.points.empty()) before = held_.manifest.points.back().machine;
  }
  const auto staged = area_.current();
  if (key.kind != TransferKind::delta || !staged || staged->key != key)
    return does_not_continue(identity_.name,
                             "transfer " + number(key.lineage.sequence) + " is finished, but " +
                                 (staged ? number(staged->key.lineage.sequence) : "none") + " is staged");
  if (!request.definition.empty()) US_CHECK(check_machine({request.definition, request.nvram}));
  US_CHECK(fault_point("store.publish.before-sync"));
  US_CHECK(area_.complete());
  US_TRY(const auto machine, keep_machine(request, before));

  const Lock lock(mutex_);
  US_CHECK(sure());
  const RecoveryPoint point{request.id,       key.lineage,   request.type, request.cut,
                            request.received, area_.bytes(), request.keep};
  const Manifest gone = held_.manifest;
  US_CHECK(publish(with_point({point, key.from, machine}, retention), area_.links()));
  remove_machines(gone);
  if (auto forgotten = area_.forget(); !forgotten)
    log_warning("store", "the cursor of a published transfer stays: " + forgotten.error().text());
  show_staging();
  return point;
}

}  // namespace understudy::store
