#include "store/check.h"

#include <algorithm>

#include "model/extent_math.h"
#include "store/sums.h"

namespace understudy::store {
namespace {

constexpr uint64_t kStep = 1 << 20;           // of data
constexpr uint64_t kEmptyStep = 16ULL << 30;  // of what holds none
constexpr uint64_t kTablesOfDisk = 32 << 20;
constexpr int kMostTries = 5;

using Kind = qcow2::Mapping::Kind;
enum class Look : uint8_t { data, marks };

struct ChainFile {
  std::string path;
  std::unique_ptr<qcow2::Image> image;
  std::unique_ptr<Sums> sums;
  size_t point = 0;   // the oldest listed one that reads it
  uint64_t size = 0;  // of the file
};

class Check {
 public:
  Check(Files& files, const Loaded& loaded, const Layout& layout, Look look, const CheckProgress& progress,
        const CancelToken& cancel)
      : files_(files), loaded_(loaded), layout_(layout), look_(look), progress_(progress), cancel_(cancel) {
    found_.manifest = loaded.manifest;
    for (const ListedPoint& listed : loaded.manifest.points)
      found_.points.push_back({listed.point, {}, 0, {}});
  }

  Result<ReplicaCheck> run() {
    if (found_.points.empty()) return std::move(found_);
    const size_t disks = loaded_.manifest.identity.disks.size();
    std::vector<std::vector<ChainFile>> chains(disks);
    for (disk_ = 0; disk_ < disks; ++disk_) US_CHECK(open_chain(chains[disk_]));
    for (disk_ = 0; disk_ < disks; ++disk_) {
      chain_ = std::move(chains[disk_]);
      for (size_t file = 0; file < chain_.size(); ++file)
        US_CHECK(look_ == Look::data ? check_file(file) : check_marks(file));
    }
    return std::move(found_);
  }

 private:
  const DiskGeometry& geometry() const { return loaded_.manifest.identity.disks[disk_]; }

  // Everything is open before the first byte is compared: merges may rename and remove from then on.
  Status open_chain(std::vector<ChainFile>& chain) {
    const auto& links = loaded_.manifest.chain;
    size_t point = 0;
    for (size_t i = 0; i < links.size(); ++i) {
      const bool renamed = loaded_.merge.renamed[disk_] && links[i].number == loaded_.merge.lower;
      if (!renamed) US_CHECK(open_file(chain, i, point));
      if (file_of(loaded_.manifest.points[point]) == links[i].number) ++point;
    }
    return {};
  }

  Status open_file(std::vector<ChainFile>& chain, size_t link, size_t point) {
    const auto& links = loaded_.manifest.chain;
    ChainFile file;
    file.point = point;
    file.path = layout_.in(image_name(geometry().target, links[link].number));
    US_TRY(file.image, qcow2::Image::open(files_, file.path, qcow2::Access::read));
    file.image->limit_tables(kTablesOfDisk / links.size());
    US_TRY(const auto bytes, files_.open(file.path, OpenMode::read));
    US_TRY(file.size, bytes->size());
    // It took this name, and a crash kept its checksums from following.
    std::string sums = sums_path(file.path);
    if (link > 0 && loaded_.merge.renamed[disk_] && links[link - 1].number == loaded_.merge.lower) {
      const std::string before = sums_path(layout_.in(image_name(geometry().target, loaded_.merge.lower)));
      US_TRY(const bool stayed, files_.exists(before));
      if (stayed) sums = before;
    }
    auto opened = Sums::open(files_, sums, OpenMode::read, file.image->header());
    if (!opened && opened.error().code() != ErrorCode::corrupt) return fail(opened.error());
    if (opened) file.sums = std::move(*opened);
    total_ += file.size;
    chain.push_back(std::move(file));
    return {};
  }

  // What of this file a listed point reads. What it holds below newer data may be in the middle of a merge.
  Status check_file(size_t index) {
    ChainFile& file = chain_[index];
    if (!file.sums) {
      for (size_t point = file.point; point < found_.points.size(); ++point)
        found_.points[point].unverified.push_back(file.path);
      done_ += file.size;
      return {};
    }
    const uint64_t size = geometry().size;
    const uint64_t cluster = file.sums->cluster_size();
    const uint64_t done_before = done_;
    uint64_t compared = 0;  // everything before it
    for (uint64_t at = 0; at < size;) {
      US_CHECK(cancel_.check());
      uint64_t length = least(kEmptyStep, size - at);
      if (!covered(index, file.point, at, length)) {
        const uint64_t begin = std::max(align_down(at, cluster), compared);
        const uint64_t end = least(align_up(at + length, cluster), size);
        US_CHECK(compare(index, begin, end));
        compared = end;
      }
      at += length;
      done_ = done_before + static_cast<uint64_t>(static_cast<double>(file.size) * static_cast<double>(at) /
                                                  static_cast<double>(size));
      progress_(done_, total_);
    }
    done_ = done_before + file.size;
    return {};
  }

  Status check_marks(size_t index) {
    const ChainFile& file = chain_[index];
    if (!file.sums) return {};
    return file.sums->marked([&](uint64_t offset, uint64_t length) -> Status {
      damaged(index, offset, length, "a merge found that it does not fit its checksum");
      return {};
    });
  }

  // Does a newer file of the point hold what is at `at`? Says for how much that answer holds.
  bool covered(size_t below, size_t point, uint64_t at, uint64_t& length) {
    for (size_t i = below + 1; i < chain_.size() && chain_[i].point <= point; ++i) {
      const auto run = chain_[i].image->map(at, length);
      if (!run) continue;  // is found when that file is looked at
      length = run->length;
      if (run->kind != Kind::hole) return true;
    }
    return false;
  }

  Status compare(size_t index, uint64_t begin, uint64_t end) {
    ChainFile& file = chain_[index];
    const uint64_t cluster = file.sums->cluster_size();
    while (begin < end) {
      US_CHECK(cancel_.check());
      auto run = file.image->map(begin, end - begin);
      if (run && run->kind == Kind::data) {
        run->length = least(run->length, std::max(kStep, cluster));
        buffer_.resize(run->length);
        if (Status read = file.image->read(begin, buffer_); !read) run = fail(read.error());
      }
      if (!run) {  // of this cluster nothing can be known, perhaps of the next
        const uint64_t length = least(cluster - begin % cluster, end - begin);
        damaged(index, begin, length, run.error().text());
        begin += length;
        continue;
      }
      if (run->kind == Kind::data) {
        found_.bytes += run->length;
        progress_(done_, total_);
      }
      Status fits = file.sums->compare(begin, *run, buffer_, [&](uint64_t offset, uint64_t length) -> Status {
        return misfit(index, offset, length);
      });
      if (!fits) damaged(index, begin, run->length, fits.error().text());
      begin += run->length;
    }
    return {};
  }

  // A cluster of which a part is covered may be in the middle of a merge, or left there by a crash.
  Status misfit(size_t index, uint64_t offset, uint64_t length) {
    const uint64_t cluster = chain_[index].sums->cluster_size();
    const uint64_t end = offset + length;
    for (uint64_t at = offset; at < end;) {
      uint64_t n = least(cluster, end - at);
      if (!partly_covered(index, at, n) || !being_written(index))
        damaged(index, at, n, "it does not fit its checksum");
      at += n;
    }
    return {};
  }

  bool partly_covered(size_t index, uint64_t at, uint64_t length) {
    for (const uint64_t end = at + length; at < end;) {
      uint64_t n = end - at;
      if (covered(index, chain_[index].point, at, n)) return true;
      at += n;
    }
    return false;
  }
  bool being_written(size_t index) {
    const auto image = qcow2::Image::open(files_, chain_[index].path, qcow2::Access::read);
    return image && (*image)->was_unclean();
  }

  void damaged(size_t index, uint64_t offset, uint64_t length, const std::string& what) {
    for (size_t point = chain_[index].point; point < found_.points.size(); ++point) {
      for (uint64_t at = offset; at < offset + length;) {
        uint64_t n = offset + length - at;
        if (!covered(index, point, at, n))
          add(found_.points[point], {disk_of(), at, n, chain_[index].path, what});
        at += n;
      }
    }
  }
  uint32_t disk_of() const { return static_cast<uint32_t>(disk_); }

  static void add(CheckedPoint& point, Damage damage) {
    point.damaged_bytes += damage.length;
    if (!point.damages.empty()) {
      Damage& last = point.damages.back();
      if (last.disk == damage.disk && last.file == damage.file && last.what == damage.what &&
          last.offset + last.length == damage.offset) {
        last.length += damage.length;
        return;
      }
    }
    if (point.damages.size() < kMostDamages) point.damages.push_back(std::move(damage));
  }

  Files& files_;
  const Loaded& loaded_;
  const Layout& layout_;
  const Look look_;
  const CheckProgress& progress_;
  const CancelToken& cancel_;
  ReplicaCheck found_;
  size_t disk_ = 0;
  std::vector<ChainFile> chain_;  // of it, bottom first
  Bytes buffer_;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
};

bool same(const Loaded& a, const Loaded& b) {
  return a.manifest == b.manifest && a.merge.lower == b.merge.lower && a.merge.renamed == b.merge.renamed;
}

bool all_good(const ReplicaCheck& check) {
  return std::all_of(check.points.begin(), check.points.end(),
                     [](const CheckedPoint& p) { return p.good(); });
}

// What went wrong while a daemon changed the chain is looked at again: only a chain that stood still is
// judged.
Result<ReplicaCheck> look_at(Files& files, const std::string& directory, Look look,
                             const CheckProgress& progress, const CancelToken& cancel) {
  const Layout layout(directory);
  for (int tries = 1;; ++tries) {
    const auto loaded = load_replica(files, directory);
    auto checked =
        loaded ? Check(files, *loaded, layout, look, progress, cancel).run() : fail(loaded.error());
    if (checked && all_good(*checked)) return checked;
    US_CHECK(cancel.check());
    const auto now = load_replica(files, directory);
    const bool stood_still = loaded && now && same(*loaded, *now);
    const bool cannot_be_read = !loaded && !now;
    if (stood_still || cannot_be_read || tries == kMostTries) return checked;
  }
}

}  // namespace

Result<ReplicaCheck> check_replica(Files& files, const std::string& directory, const CheckProgress& progress,
                                   const CancelToken& cancel) {
  return look_at(files, directory, Look::data, progress, cancel);
}

// From the bottom up, as checksums go when a merge gives them another name.
Result<std::vector<CheckedPoint>> known_damage(Files& files, const std::string& directory) {
  const Layout layout(directory);
  US_TRY(const Manifest manifest, load_manifest(files, layout));
  bool any = false;
  for (const ChainLink& link : manifest.chain) {
    for (const DiskGeometry& disk : manifest.identity.disks) {
      US_TRY(const bool marked,
             Sums::ever_marked(files, sums_path(layout.in(image_name(disk.target, link.number)))));
      any = any || marked;
    }
  }
  if (!any) return std::vector<CheckedPoint>();
  US_TRY(ReplicaCheck found, look_at(
                                 files, directory, Look::marks, [](uint64_t, uint64_t) {}, CancelToken()));
  return std::move(found.points);
}

}  // namespace understudy::store
