#include "store/recovery.h"

#include <algorithm>
#include <set>

#include "base/fault_point.h"
#include "base/limits.h"
#include "base/log.h"
#include "store/durable_file.h"

namespace understudy::store {
namespace {

class Recovery {
 public:
  Recovery(Files& files, const Layout& layout) : files_(files), layout_(layout) {}

  Result<Recovered> run() {
    // A process may have died between a rename and its sync: what is read below must not be lost with the
    // machine.
    US_CHECK(files_.sync_directory(layout_.directory()));
    US_TRY(manifest(), load_manifest(files_, layout_));
    US_CHECK(files_.make_directory(layout_.incoming()));
    US_CHECK(files_.sync_directory(layout_.incoming()));
    US_TRY(names_, files_.list(layout_.directory()));
    US_CHECK(read_cursor());
    US_CHECK(take_back_staged());
    US_TRY(found_.loaded.merge, check_chains(files_, layout_, manifest()));
    US_CHECK(check_machines(files_, layout_, manifest()));
    US_CHECK(follow_renamed());
    US_CHECK(check_active());
    US_CHECK(remove_unnamed());
    return std::move(found_);
  }

 private:
  Manifest& manifest() { return found_.loaded.manifest; }
  const std::vector<DiskGeometry>& disks() { return manifest().identity.disks; }
  bool present(const std::string& name) const {
    return std::binary_search(names_.begin(), names_.end(), name);
  }

  // Staged data can be sent again: whatever is wrong with the cursor, what it names is dropped.
  Status read_cursor() {
    auto text = read_small_file(files_, layout_.cursor(), limits::kMostManifest);
    if (!text && text.error().code() == ErrorCode::not_found) return {};
    if (!text && text.error().code() != ErrorCode::corrupt) return fail(text.error());
    auto record = text ? decode_cursor(*text) : fail(text.error());
    if (!record) {
      log_warning("store",
                  "what was half received is dropped: " + layout_.cursor() + " " + record.error().text());
      return {};
    }
    const auto ours = [&](const std::optional<StagedLayer>& layer) {
      const Manifest& m = manifest();
      return !layer || (layer->key.lineage.set == m.identity.set &&
                        layer->key.lineage.generation == m.identity.generation &&
                        layer->link.number.generation == m.identity.generation &&
                        layer->link.number.sequence > m.newest() && layer->cursor.disk <= disks().size() &&
                        (layer->key.kind == TransferKind::pass || layer->key.from == 0 ||
                         layer->key.from == m.newest()));
    };
    // After a publication the cursor may be left: what it names is in the manifest now.
    if (!manifest().failover && ours(record->base) && ours(record->delta)) found_.staging = *record;
    return {};
  }

  // A publication that was not committed has moved images up: they go back, for a first copy may have taken
  // days.
  Status take_back_staged() {
    if (!found_.staging) return {};
    StagingRecord& record = *found_.staging;
    if (record.base) {
      US_TRY(const bool whole, take_back(*record.base, top_of_chain()));
      if (!whole) record = {};
    }
    if (record.delta) {
      US_TRY(const bool whole, take_back(*record.delta, below_delta()));
      if (!whole) record.delta.reset();
    }
    if (moved_) {
      US_CHECK(files_.sync_directory(layout_.incoming()));
      US_CHECK(files_.sync_directory(layout_.directory()));
      US_TRY(names_, files_.list(layout_.directory()));
    }
    if (record.empty()) found_.staging.reset();
    return {};
  }

  std::optional<FileNumber> top_of_chain() {
    return manifest().chain.empty() ? std::optional<FileNumber>() : manifest().chain.back().number;
  }
  std::optional<FileNumber> below_delta() {
    return found_.staging->base ? found_.staging->base->link.number : top_of_chain();
  }

  // Are all images of the layer there, and such as it says?
  Result<bool> take_back(const StagedLayer& layer, const std::optional<FileNumber>& below) {
    for (const DiskGeometry& disk : disks()) {
      const std::string name = image_name(disk.target, layer.link.number);
      US_TRY(const bool staged, files_.exists(layout_.staged(name)));
      if (!staged) {
        if (!present(name)) return false;
        US_CHECK(files_.rename(layout_.in(name), layout_.staged(name)));
        moved_ = true;
      }
      if (const std::string sums = sums_path(name); present(sums)) {
        US_CHECK(files_.rename(layout_.in(sums), layout_.staged(sums)));
        moved_ = true;
      }
      const std::string backing = below ? image_name(disk.target, *below) : "";
      Status good = check_image(files_, layout_.staged(name), disk.size, layer.link.cluster_size, backing);
      if (good) continue;
      if (good.error().code() != ErrorCode::corrupt) return fail(good.error());
      log_warning("store", "what was half received is dropped: " + good.error().text());
      return false;
    }
    return true;
  }

  // An image took the name of the one above it: its checksums do so too.
  Status follow_renamed() {
    const OpenMerge& merge = found_.loaded.merge;
    if (!merge.any()) return {};
    const FileNumber upper = manifest().chain[*manifest().index_of(merge.lower) + 1].number;
    for (size_t disk = 0; disk < disks().size(); ++disk) {
      const std::string sums = sums_path(image_name(disks()[disk].target, merge.lower));
      if (!merge.renamed[disk] || !present(sums)) continue;
      US_CHECK(
          files_.rename(layout_.in(sums), layout_.in(sums_path(image_name(disks()[disk].target, upper)))));
    }
    return files_.sync_directory(layout_.directory());
  }

  Status check_active() {
    if (manifest().reverting) return finish_revert(files_, layout_, manifest());
    const auto& failover = manifest().failover;
    for (const DiskGeometry& disk : disks()) {
      const std::string name = active_name(disk.target);
      if (!failover && present(name))
        return fail(ErrorCode::corrupt, layout_.in(name) + " is there, but the manifest knows of no failover",
                    "it may hold what a guest wrote: move it to another directory");
      if (failover && failover->complete && !present(name))
        return fail(ErrorCode::corrupt, layout_.in(name) + " of the failover is missing");
    }
    return {};
  }

  static void add_image(std::set<std::string>& names, const DiskGeometry& disk, FileNumber number) {
    const std::string name = image_name(disk.target, number);
    names.insert(name);
    names.insert(sums_path(name));
  }

  // Only names that are made here are removed: what somebody else put into the directory is his.
  Status remove_unnamed() {
    std::set<std::string> named{"manifest"};
    for (const DiskGeometry& disk : disks())
      for (const ChainLink& link : manifest().chain) add_image(named, disk, link.number);
    for (const ListedPoint& listed : manifest().points)
      if (listed.machine) named.insert(machine_name(*listed.machine));
    for (const std::string& name : names_) {
      const std::string whole = name.substr(0, name.size() - (name.ends_with(".tmp") ? 4 : 0));
      const bool ours =
          is_image_name(name) || is_sums_name(name) || whole == "manifest" || is_machine_name(whole);
      if (ours && !named.contains(name)) US_CHECK(files_.remove(layout_.in(name)));
    }
    std::set<std::string> staged;
    if (found_.staging) {
      staged.insert("cursor");
      for (const auto& layer : {found_.staging->base, found_.staging->delta})
        for (const DiskGeometry& disk : disks())
          if (layer) add_image(staged, disk, layer->link.number);
    }
    US_TRY(const auto incoming, files_.list(layout_.incoming()));
    for (const std::string& name : incoming)
      if (!staged.contains(name)) US_CHECK(files_.remove(layout_.staged(name)));
    return {};
  }

  Files& files_;
  const Layout& layout_;
  Recovered found_;
  std::vector<std::string> names_;  // in the replica's directory, sorted
  bool moved_ = false;
};

}  // namespace

Result<Recovered> recover(Files& files, const Layout& layout) {
  return Recovery(files, layout).run();
}

Status finish_revert(Files& files, const Layout& layout, Manifest& manifest) {
  const uint64_t generation = manifest.set_aside.back().generation;
  for (const DiskGeometry& disk : manifest.identity.disks) {
    const std::string active = layout.in(active_name(disk.target));
    const std::string aside = layout.in(reverted_name(disk.target, generation));
    US_TRY(const bool there, files.exists(active));
    if (!there) continue;
    US_TRY(const bool taken, files.exists(aside));
    if (taken)
      return fail(ErrorCode::corrupt, active + " and " + aside + " are both there",
                  "both may hold what a guest wrote: move one to another directory");
    US_CHECK(fault_point("store.revert.before-rename"));
    US_CHECK(files.rename(active, aside));
    US_CHECK(fault_point("store.revert.after-rename"));
  }
  US_CHECK(files.sync_directory(layout.directory()));
  Manifest next = manifest;
  next.reverting = false;
  US_CHECK(fault_point("store.revert.before-end"));
  US_CHECK(replace_file(files, layout.manifest(), encode_manifest(next)));
  manifest = std::move(next);
  return fault_point("store.revert.after-end");
}

Result<bool> removal_begun(Files& files, const Layout& layout) {
  US_TRY(const bool decided, files.exists(layout.removed_manifest()));
  US_TRY(const bool alive, files.exists(layout.manifest()));
  if (decided && alive)
    return fail(ErrorCode::corrupt, layout.directory() + " has both a manifest and a removed one",
                "ls -la " + layout.directory());
  return decided;
}

Status finish_removal(Files& files, const Layout& layout) {
  US_TRY(const bool there, files.exists(layout.directory()));
  if (!there) return {};
  US_TRY(const bool staging, files.exists(layout.incoming()));
  if (staging) {
    US_TRY(const auto names, files.list(layout.incoming()));
    for (const std::string& name : names) US_CHECK(files.remove(layout.staged(name)));
    US_CHECK(files.remove(layout.incoming()));
  }
  US_TRY(const auto names, files.list(layout.directory()));
  for (const std::string& name : names) {
    const std::string whole = name.substr(0, name.size() - (name.ends_with(".tmp") ? 4 : 0));
    if (is_image_name(name) || is_sums_name(name) || is_active_name(name) || is_reverted_name(name) ||
        is_machine_name(whole) || name == "manifest.tmp")
      US_CHECK(files.remove(layout.in(name)));
  }
  US_CHECK(files.sync_directory(layout.directory()));
  US_CHECK(files.remove(layout.removed_manifest()));
  US_CHECK(files.sync_directory(layout.directory()));
  US_TRY(const auto left, files.list(layout.directory()));
  if (!left.empty()) {
    log_warning("store", layout.directory() + " is kept for what is in it: " + left.front());
    return {};
  }
  US_CHECK(files.remove(layout.directory()));
  return files.sync_directory(layout.parent());
}

}  // namespace understudy::store
