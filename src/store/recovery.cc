#include "store/recovery.h"

#include <algorithm>
#include <set>

#include "base/limits.h"
#include "base/log.h"
#include "store/durable_file.h"
#include "store/qcow2_header.h"

namespace understudy::store {
namespace {

// What is on disk is damaged, whatever the layer below called it; failures of the disk itself stay what they
// are.
tl::unexpected<Error> as_corrupt(const Error& error) {
  const bool content = error.code() == ErrorCode::not_supported || error.code() == ErrorCode::not_found;
  return fail(content ? Error(ErrorCode::corrupt, error.message(), error.hint()) : error);
}

class Recovery {
 public:
  Recovery(Files& files, const Layout& layout) : files_(files), layout_(layout) {}

  Result<Recovered> run() {
    // A process may have died between a rename and its sync: what is read below must not be lost with the
    // machine.
    US_CHECK(files_.sync_directory(layout_.directory()));
    US_CHECK(read_manifest());
    US_CHECK(files_.make_directory(layout_.incoming()));
    US_CHECK(files_.sync_directory(layout_.incoming()));
    US_TRY(names_, files_.list(layout_.directory()));
    US_CHECK(read_cursor());
    US_CHECK(take_back_staged());
    US_CHECK(check_chains());
    US_CHECK(check_active());
    US_CHECK(remove_unnamed());
    return std::move(found_);
  }

 private:
  const std::vector<DiskGeometry>& disks() const { return found_.manifest.identity.disks; }
  bool present(const std::string& name) const {
    return std::binary_search(names_.begin(), names_.end(), name);
  }

  Status read_manifest() {
    US_TRY(const std::string text, read_small_file(files_, layout_.manifest(), limits::kMostManifest));
    auto manifest = decode_manifest(text);
    if (!manifest) return fail(manifest.error().context(layout_.manifest()));
    found_.manifest = std::move(*manifest);
    found_.merged.assign(disks().size(), false);
    return {};
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
      const Manifest& m = found_.manifest;
      return !layer || (layer->key.lineage.set == m.identity.set &&
                        layer->key.lineage.generation == m.identity.generation &&
                        layer->link.number.generation == m.identity.generation &&
                        layer->link.number.sequence > m.newest() && layer->cursor.disk <= disks().size() &&
                        (layer->key.kind == TransferKind::pass || layer->key.from == 0 ||
                         layer->key.from == m.newest()));
    };
    // After a publication the cursor may be left: what it names is in the manifest now.
    if (!found_.manifest.failover && ours(record->base) && ours(record->delta)) found_.staging = *record;
    return {};
  }

  // A publication that was not committed has moved images up: they go back, for a first copy may have taken
  // days.
  Status take_back_staged() {
    if (!found_.staging) return {};
    StagingRecord& record = *found_.staging;
    if (record.base) {
      US_TRY(const bool whole, take_back(*record.base, {}));
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

  std::optional<FileNumber> below_delta() const {
    if (found_.staging->base) return found_.staging->base->link.number;
    if (found_.staging->delta->key.from == 0) return std::nullopt;
    return found_.manifest.chain.empty() ? std::optional<FileNumber>() : found_.manifest.chain.back().number;
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
      const std::string backing = below ? image_name(disk.target, *below) : "";
      Status good = check_image(files_, layout_.staged(name), disk.size, layer.link.cluster_size, backing);
      if (good) continue;
      if (good.error().code() != ErrorCode::corrupt) return fail(good.error());
      log_warning("store", "what was half received is dropped: " + good.error().text());
      return false;
    }
    return true;
  }

  Status check_chains() {
    for (size_t d = 0; d < disks().size(); ++d)
      if (Status good = check_chain(d); !good) return as_corrupt(good.error());
    return {};
  }

  Status check_chain(size_t d) {
    const auto& chain = found_.manifest.chain;
    const DiskGeometry& disk = disks()[d];
    size_t first = 0;
    // The only file that may be missing is a bottom whose merge got as far as the rename.
    if (found_.manifest.oldest_listed() >= 2 && !present(image_name(disk.target, chain[0].number))) {
      found_.merged[d] = true;
      first = 1;
    }
    for (size_t i = first; i < chain.size(); ++i) {
      const std::string name = image_name(disk.target, chain[i].number);
      const uint32_t cluster_size = i == first ? chain[0].cluster_size : chain[i].cluster_size;
      const std::string backing = i == first ? "" : image_name(disk.target, chain[i - 1].number);
      US_CHECK(check_image(files_, layout_.in(name), disk.size, cluster_size, backing));
    }
    return {};
  }

  Status check_active() {
    const auto& failover = found_.manifest.failover;
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

  // Only names that are made here are removed: what somebody else put into the directory is his.
  Status remove_unnamed() {
    std::set<std::string> named;
    for (const DiskGeometry& disk : disks())
      for (const ChainLink& link : found_.manifest.chain) named.insert(image_name(disk.target, link.number));
    for (const std::string& name : names_) {
      const bool ours = is_image_name(name) || name == "manifest.tmp";
      if (ours && !named.contains(name)) US_CHECK(files_.remove(layout_.in(name)));
    }
    std::set<std::string> staged;
    if (found_.staging) {
      staged.insert("cursor");
      for (const auto& layer : {found_.staging->base, found_.staging->delta})
        for (const DiskGeometry& disk : disks())
          if (layer) staged.insert(image_name(disk.target, layer->link.number));
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

Status check_image(Files& files, const std::string& path, uint64_t size, uint32_t cluster_size,
                   const std::string& backing) {
  US_TRY(const auto file, files.open(path, OpenMode::read));
  auto header = qcow2::read_header(*file, path);
  if (!header) return as_corrupt(header.error());
  const auto bad = [&](const std::string& what) {
    return fail(ErrorCode::corrupt, path + " " + what, "qemu-img info " + path);
  };
  if (header->size != size) return bad("is not of the size of its disk");
  if (cluster_size != 0 && header->cluster_size() != cluster_size)
    return bad("has another cluster size than recorded");
  if (header->backing != backing) return bad("has another backing file than the chain says");
  if (!backing.empty() && header->backing_format != "qcow2")
    return bad("does not say that its backing file is qcow2");
  return {};
}

Result<Recovered> recover(Files& files, const Layout& layout) {
  return Recovery(files, layout).run();
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
  for (const std::string& name : names)
    if (is_image_name(name) || is_active_name(name) || name == "manifest.tmp")
      US_CHECK(files.remove(layout.in(name)));
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
