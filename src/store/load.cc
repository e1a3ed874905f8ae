#include "store/load.h"

#include <set>

#include "base/limits.h"
#include "store/durable_file.h"
#include "store/machine_file.h"
#include "store/qcow2_header.h"

namespace understudy::store {
namespace {

// What is on disk is damaged, whatever the layer below called it; failures of the disk itself stay what they
// are.
tl::unexpected<Error> as_corrupt(const Error& error) {
  const bool content = error.code() == ErrorCode::not_supported || error.code() == ErrorCode::not_found;
  return fail(content ? Error(ErrorCode::corrupt, error.message(), error.hint()) : error);
}

class ChainCheck {
 public:
  ChainCheck(Files& files, const Layout& layout, const Manifest& manifest, std::optional<FileNumber> top)
      : files_(files), layout_(layout), manifest_(manifest), top_(top) {
    merge_.renamed.assign(manifest.identity.disks.size(), false);
  }

  Result<OpenMerge> run() {
    for (size_t disk = 0; disk < merge_.renamed.size(); ++disk)
      if (Status good = check(disk); !good) return as_corrupt(good.error());
    return merge_;
  }

 private:
  Status check(size_t disk) {
    const DiskGeometry& geometry = manifest_.identity.disks[disk];
    const auto& chain = manifest_.chain;
    std::string below;
    for (size_t i = 0; i < chain.size(); ++i) {
      const std::string name = image_name(geometry.target, chain[i].number);
      uint32_t cluster_size = chain[i].cluster_size;
      if (merge_.renamed[disk] && i > 0 && chain[i - 1].number == merge_.lower)
        cluster_size = chain[i - 1].cluster_size;  // it is that file
      US_TRY(const bool there, files_.exists(layout_.in(name)));
      if (!there && may_be_renamed(i)) {
        merge_.lower = chain[i].number;
        merge_.renamed[disk] = true;
        continue;
      }
      US_CHECK(check_image(files_, layout_.in(name), geometry.size, cluster_size, below));
      below = name;
      if (chain[i].number == top_) break;
    }
    return {};
  }

  // The only file that may be missing is one that is not kept, and whose merge got as far as the
  // rename; the same of every disk. Nothing is merged with the newest.
  bool may_be_renamed(size_t i) const {
    return i + 2 < manifest_.chain.size() && !manifest_.keeps(manifest_.chain[i].number) &&
           (!merge_.any() || merge_.lower == manifest_.chain[i].number);
  }

  Files& files_;
  const Layout& layout_;
  const Manifest& manifest_;
  const std::optional<FileNumber> top_;
  OpenMerge merge_;
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
  if (header->cluster_size() != cluster_size) return bad("has another cluster size than recorded");
  if (header->backing != backing) return bad("has another backing file than the chain says");
  if (!backing.empty() && header->backing_format != "qcow2")
    return bad("does not say that its backing file is qcow2");
  return {};
}

Result<Manifest> load_manifest(Files& files, const Layout& layout) {
  US_TRY(const std::string text, read_small_file(files, layout.manifest(), limits::kMostManifest));
  auto manifest = decode_manifest(text);
  if (!manifest) return fail(manifest.error().context(layout.manifest()));
  return manifest;
}

Result<OpenMerge> check_chains(Files& files, const Layout& layout, const Manifest& manifest,
                               std::optional<FileNumber> top) {
  return ChainCheck(files, layout, manifest, top).run();
}

Status check_machines(Files& files, const Layout& layout, const Manifest& manifest) {
  std::set<std::string> names;
  for (const ListedPoint& listed : manifest.points)
    if (listed.machine) names.insert(machine_name(*listed.machine));
  for (const std::string& name : names)
    if (auto machine = read_machine(files, layout.in(name)); !machine) return as_corrupt(machine.error());
  return {};
}

Result<Loaded> load_replica(Files& files, const std::string& directory) {
  const Layout layout(directory);
  Loaded loaded;
  US_TRY(loaded.manifest, load_manifest(files, layout));
  US_TRY(loaded.merge, check_chains(files, layout, loaded.manifest));
  US_CHECK(check_machines(files, layout, loaded.manifest));
  return loaded;
}

std::vector<std::string> files_of(const Layout& layout, const Loaded& loaded, size_t disk, FileNumber top) {
  std::vector<std::string> paths;
  for (const ChainLink& link : loaded.manifest.chain) {
    if (!loaded.merge.renamed[disk] || link.number != loaded.merge.lower)
      paths.push_back(layout.in(image_name(loaded.manifest.identity.disks[disk].target, link.number)));
    if (link.number == top) break;
  }
  return paths;
}

}  // namespace understudy::store
