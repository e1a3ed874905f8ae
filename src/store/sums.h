// The checksums of one image at rest, in a sparse file beside it: 16 bytes for each cluster of the disk
// (docs/spec/store.md, "Checksums"). They find what the disk, a cable or a careless hand changed; not malice.
//
// Lives as long as what uses the image; one thread at a time. Nothing is cached: what was put is in the file,
// and durable after sync().
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "store/layout.h"
#include "store/qcow2_image.h"

namespace understudy::store {

struct Sum {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Sum&) const = default;

  static constexpr Sum none() { return {0, 0}; }     // nothing is there
  static constexpr Sum zero() { return {0, 1}; }     // the zero flag
  static constexpr Sum damaged() { return {0, 2}; }  // fits nothing: what is there was found to be wrong
  static Sum of(ByteView cluster);                   // XXH3-128, never one of the above
};

class Sums {
 public:
  static Result<std::unique_ptr<Sums>> create(Files& files, const std::string& path,
                                              const qcow2::Header& image);
  // Those of this image. Null when there is no such file. corrupt: it is not one, or of another image.
  static Result<std::unique_ptr<Sums>> open(Files& files, const std::string& path, OpenMode mode,
                                            const qcow2::Header& image);

  // Was a cluster ever marked damaged in this file? False when there is none.
  static Result<bool> ever_marked(Files& files, const std::string& path);

  // Clusters by their number.
  Status get(uint64_t first, std::span<Sum> into);
  Status put(uint64_t first, std::span<const Sum> sums);
  Status fill(uint64_t first, uint64_t count, const Sum& sum);
  // `bad` hears of each cluster that is marked damaged.
  using Bad = std::function<Status(uint64_t offset, uint64_t length)>;
  Status marked(const Bad& bad);
  Status sync() { return file_->sync(); }

  uint64_t cluster_size() const { return cluster_; }
  // What of the disk is in a cluster: the last one may be shorter.
  uint64_t length_of(uint64_t cluster) const;

  // Of a cluster that holds no data.
  Sum nothing(qcow2::Mapping::Kind kind) const;

  // Compares one run of the image, as map() gives it, of whole clusters. `data` is what it holds, when it
  // holds data. `bad` hears of each range that does not fit.
  Status compare(uint64_t offset, const qcow2::Mapping& run, ByteView data, const Bad& bad);

 private:
  Sums(std::unique_ptr<File> file, const qcow2::Header& image);
  bool fits(const Sum& sum, qcow2::Mapping::Kind kind, ByteView cluster) const;

  const std::unique_ptr<File> file_;
  const uint64_t size_;  // of the disk
  const uint64_t cluster_;
  const bool backed_;
};

// An image and its checksums, kept together: what is written has its checksum, in the same flush. An image
// without a file of checksums is written all the same, and stays without.
class SummedImage {
 public:
  static Result<std::unique_ptr<SummedImage>> create(Files& files, const std::string& path,
                                                     const qcow2::Image::New& wanted);
  // Checksums that cannot be used are removed (and a warning says so).
  static Result<std::unique_ptr<SummedImage>> open(Files& files, const std::string& path,
                                                   qcow2::Access access, const qcow2::StopCheck& stop = {});

  const qcow2::Header& header() const { return image_->header(); }
  // As those of qcow2::Image.
  Status write(uint64_t offset, ByteView data);
  Status zero(uint64_t offset, uint64_t length);
  Status flush();
  Status seal();
  void shrink() { image_->shrink(); }

  // What was written there is known to be wrong, and stays so until it is written again.
  Status mark_damaged(uint64_t offset, uint64_t length);

 private:
  SummedImage(std::unique_ptr<qcow2::Image> image, std::unique_ptr<Sums> sums, bool sure);
  // A range and the whole clusters in it.
  struct Split {
    uint64_t begin = 0;  // of the whole ones; begin == end: there are none
    uint64_t end = 0;
  };
  Split split(uint64_t offset, uint64_t length) const;
  Status change_part(uint64_t offset, uint64_t length, const std::function<Status()>& change);
  Status put_sums(uint64_t offset, ByteView data);

  const std::unique_ptr<qcow2::Image> image_;
  const std::unique_ptr<Sums> sums_;  // may be null
  // Do checksums fit what no crash left half written? Then a cluster that is changed in part is compared
  // first.
  const bool sure_;
};

}  // namespace understudy::store
