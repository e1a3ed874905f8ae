#include "store/sums.h"

#include <xxhash.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "model/extent_math.h"

namespace understudy::store {
namespace {

constexpr char kMagic[16] = "understudy-sums";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kFirst = 4096;  // of the first sum in the file
constexpr size_t kHead = 48;       // magic, version, cluster size, disk size, their checksum
constexpr uint64_t kMarked = 48;   // a byte that is 1 once a cluster was marked damaged
constexpr uint64_t kSum = 16;
constexpr uint64_t kBatch = 65536;  // sums read or written at once
constexpr uint64_t kFewSums = 256;  // a page of them is not worth a hole

void encode(const Sum& sum, std::byte* to) {
  store_be(to, sum.high);
  store_be(to + 8, sum.low);
}

Bytes head_of(const qcow2::Header& image) {
  ByteWriter writer;
  writer.raw(as_bytes({kMagic, sizeof kMagic}));
  writer.be(kVersion);
  writer.be(static_cast<uint32_t>(image.cluster_size()));
  writer.be(image.size);
  Bytes head = writer.take();
  std::byte seal[kSum];
  encode(Sum::of(head), seal);
  head.insert(head.end(), seal, seal + kSum);
  US_ASSERT(head.size() == kHead);
  return head;
}

}  // namespace

Sum Sum::of(ByteView cluster) {
  const XXH128_hash_t hash = XXH3_128bits(cluster.data(), cluster.size());
  if (hash.high64 == 0 && hash.low64 <= damaged().low) return {0, damaged().low + 1};
  return {hash.high64, hash.low64};
}

// --- the file ---

Sums::Sums(std::unique_ptr<File> file, const qcow2::Header& image)
    : file_(std::move(file)),
      size_(image.size),
      cluster_(image.cluster_size()),
      backed_(!image.backing.empty()) {}

Result<std::unique_ptr<Sums>> Sums::create(Files& files, const std::string& path,
                                           const qcow2::Header& image) {
  US_TRY(auto file, files.open(path, OpenMode::create_new));
  const uint64_t clusters = align_up(image.size, image.cluster_size()) / image.cluster_size();
  US_CHECK(file->truncate(kFirst + clusters * kSum));
  US_CHECK(file->write_at(0, head_of(image)));
  return std::unique_ptr<Sums>(new Sums(std::move(file), image));
}

Result<std::unique_ptr<Sums>> Sums::open(Files& files, const std::string& path, OpenMode mode,
                                         const qcow2::Header& image) {
  auto file = files.open(path, mode);
  if (!file && file.error().code() == ErrorCode::not_found) return nullptr;
  if (!file) return fail(file.error());
  std::unique_ptr<Sums> sums(new Sums(std::move(*file), image));
  US_TRY(const uint64_t length, sums->file_->size());
  const uint64_t clusters = align_up(image.size, image.cluster_size()) / image.cluster_size();
  Bytes head(kHead);
  if (length == kFirst + clusters * kSum) US_CHECK(sums->file_->read_at(0, head));
  if (head != head_of(image))
    return fail(ErrorCode::corrupt, path + " does not hold the checksums of the image beside it");
  return sums;
}

Result<bool> Sums::ever_marked(Files& files, const std::string& path) {
  const auto file = files.open(path, OpenMode::read);
  if (!file && file.error().code() == ErrorCode::not_found) return false;
  if (!file) return fail(file.error());
  std::byte marked{};
  US_TRY(const uint64_t length, (*file)->size());
  if (length > kMarked) US_CHECK((*file)->read_at(kMarked, {&marked, 1}));
  return marked == std::byte{1};
}

uint64_t Sums::length_of(uint64_t cluster) const {
  return least(cluster_, size_ - cluster * cluster_);
}

Status Sums::get(uint64_t first, std::span<Sum> into) {
  Bytes raw(into.size() * kSum);
  US_CHECK(file_->read_at(kFirst + first * kSum, raw));
  for (size_t i = 0; i < into.size(); ++i)
    into[i] = {load_be<uint64_t>(raw.data() + i * kSum), load_be<uint64_t>(raw.data() + i * kSum + 8)};
  return {};
}

Status Sums::put(uint64_t first, std::span<const Sum> sums) {
  Bytes raw(sums.size() * kSum);
  for (size_t i = 0; i < sums.size(); ++i) encode(sums[i], raw.data() + i * kSum);
  return file_->write_at(kFirst + first * kSum, raw);
}

Status Sums::fill(uint64_t first, uint64_t count, const Sum& sum) {
  if (sum == Sum::none() && count > kFewSums) return file_->punch(kFirst + first * kSum, count * kSum);
  if (sum == Sum::damaged()) US_CHECK(file_->write_at(kMarked, Bytes{std::byte{1}}));
  const std::vector<Sum> batch(least(count, kBatch), sum);
  for (; count > 0; count -= least(count, kBatch), first += kBatch)
    US_CHECK(put(first, std::span(batch).first(least(count, kBatch))));
  return {};
}

Status Sums::marked(const Bad& bad) {
  const uint64_t end = align_up(size_, cluster_) / cluster_;
  std::vector<Sum> batch;
  for (uint64_t at = 0; at < end; at += batch.size()) {
    batch.resize(least(end - at, kBatch));
    US_CHECK(get(at, batch));
    for (size_t i = 0; i < batch.size(); ++i)
      if (batch[i] == Sum::damaged()) US_CHECK(bad((at + i) * cluster_, length_of(at + i)));
  }
  return {};
}

// --- comparing ---

// At the bottom of a chain a hole and the zero flag read the same, and have the same sum.
Sum Sums::nothing(qcow2::Mapping::Kind kind) const {
  return kind == qcow2::Mapping::Kind::zero && backed_ ? Sum::zero() : Sum::none();
}

bool Sums::fits(const Sum& sum, qcow2::Mapping::Kind kind, ByteView cluster) const {
  using Kind = qcow2::Mapping::Kind;
  return sum == (kind == Kind::data ? Sum::of(cluster) : nothing(kind));
}

Status Sums::compare(uint64_t offset, const qcow2::Mapping& run, ByteView data, const Bad& bad) {
  const uint64_t end = align_up(offset + run.length, cluster_) / cluster_;
  std::vector<Sum> batch;
  uint64_t wrong = 0;  // clusters before `at` that do not fit
  const auto tell = [&](uint64_t at) -> Status {
    if (wrong == 0) return {};
    const uint64_t from = (at - wrong) * cluster_;
    wrong = 0;
    return bad(from, least(at * cluster_, size_) - from);
  };
  for (uint64_t at = offset / cluster_; at < end;) {
    batch.resize(least(end - at, kBatch));
    US_CHECK(get(at, batch));
    for (const Sum& sum : batch) {
      ByteView cluster;
      if (run.kind == qcow2::Mapping::Kind::data)
        cluster = data.subspan(at * cluster_ - offset, length_of(at));
      if (fits(sum, run.kind, cluster))
        US_CHECK(tell(at));
      else
        ++wrong;
      ++at;
    }
  }
  return tell(end);
}

// --- an image with its checksums ---

SummedImage::SummedImage(std::unique_ptr<qcow2::Image> image, std::unique_ptr<Sums> sums, bool sure)
    : image_(std::move(image)), sums_(std::move(sums)), sure_(sure) {}

Result<std::unique_ptr<SummedImage>> SummedImage::create(Files& files, const std::string& path,
                                                         const qcow2::Image::New& wanted) {
  US_TRY(auto image, qcow2::Image::create(files, path, wanted));
  US_CHECK(files.remove(sums_path(path)));
  US_TRY(auto sums, Sums::create(files, sums_path(path), image->header()));
  return std::unique_ptr<SummedImage>(new SummedImage(std::move(image), std::move(sums), true));
}

Result<std::unique_ptr<SummedImage>> SummedImage::open(Files& files, const std::string& path,
                                                       qcow2::Access access, const qcow2::StopCheck& stop) {
  US_TRY(auto image, qcow2::Image::open(files, path, access, stop));
  auto sums = Sums::open(files, sums_path(path), OpenMode::write_existing, image->header());
  if (!sums && sums.error().code() == ErrorCode::corrupt) {
    log_warning("store", path + " goes on without checksums: " + sums.error().text());
    US_CHECK(files.remove(sums_path(path)));
    sums = nullptr;
  }
  if (!sums) return fail(sums.error());
  const bool sure = access == qcow2::Access::modify && !image->was_unclean();
  return std::unique_ptr<SummedImage>(new SummedImage(std::move(image), std::move(*sums), sure));
}

SummedImage::Split SummedImage::split(uint64_t offset, uint64_t length) const {
  const uint64_t cluster = header().cluster_size();
  const uint64_t end = offset + length;
  Split whole{align_up(offset, cluster), end == header().size ? end : align_down(end, cluster)};
  if (whole.begin > whole.end) whole.begin = whole.end = end;  // a part of one cluster
  return whole;
}

Status SummedImage::write(uint64_t offset, ByteView data) {
  const uint64_t end = offset + data.size();
  if (!sums_ || end > header().size) return image_->write(offset, data);
  const Split whole = split(offset, data.size());
  const auto part = [&](uint64_t from, uint64_t to) -> Status {
    if (from >= to) return {};
    return change_part(from, to - from,
                       [&] { return image_->write(from, data.subspan(from - offset, to - from)); });
  };
  US_CHECK(part(offset, least(whole.begin, end)));
  if (whole.begin < whole.end) {
    const ByteView middle = data.subspan(whole.begin - offset, whole.end - whole.begin);
    US_CHECK(image_->write(whole.begin, middle));
    US_CHECK(put_sums(whole.begin, middle));
  }
  return part(std::max(whole.end, whole.begin), end);
}

Status SummedImage::zero(uint64_t offset, uint64_t length) {
  const uint64_t cluster = header().cluster_size();
  const uint64_t end = offset + length;
  if (!sums_ || end > header().size) return image_->zero(offset, length);
  const Split whole = split(offset, length);
  const auto part = [&](uint64_t from, uint64_t to) -> Status {
    if (from >= to) return {};
    return change_part(from, to - from, [&] { return image_->zero(from, to - from); });
  };
  US_CHECK(part(offset, least(whole.begin, end)));
  if (whole.begin < whole.end) {
    US_CHECK(image_->zero(whole.begin, whole.end - whole.begin));
    const uint64_t first = whole.begin / cluster;
    const uint64_t count = align_up(whole.end, cluster) / cluster - first;
    US_CHECK(sums_->fill(first, count, sums_->nothing(qcow2::Mapping::Kind::zero)));
  }
  return part(std::max(whole.end, whole.begin), end);
}

// A part of one cluster: its checksum is made of what the cluster holds then. If that did not fit before, it
// is not made to fit.
Status SummedImage::change_part(uint64_t offset, uint64_t length, const std::function<Status()>& change) {
  const uint64_t number = offset / header().cluster_size();
  const uint64_t start = number * header().cluster_size();
  US_ASSERT(offset + length <= start + header().cluster_size());
  Bytes bytes(sums_->length_of(number));
  Sum sum;
  US_CHECK(sums_->get(number, {&sum, 1}));
  bool good = sum != Sum::damaged();
  const auto hold = [&]() -> Result<qcow2::Mapping> {
    US_TRY(qcow2::Mapping run, image_->map(start, bytes.size()));
    if (run.kind == qcow2::Mapping::Kind::data) US_CHECK(image_->read(start, bytes));
    return run;
  };
  if (good && sure_) {
    US_TRY(const qcow2::Mapping before, hold());
    US_CHECK(sums_->compare(start, before, bytes, [&](uint64_t, uint64_t) -> Status {
      good = false;
      return {};
    }));
  }
  US_CHECK(change());
  US_TRY(const qcow2::Mapping after, hold());
  sum = after.kind == qcow2::Mapping::Kind::data ? Sum::of(bytes) : sums_->nothing(after.kind);
  return sums_->fill(number, 1, good ? sum : Sum::damaged());
}

Status SummedImage::put_sums(uint64_t offset, ByteView data) {
  const uint64_t cluster = header().cluster_size();
  std::vector<Sum> sums;
  for (uint64_t at = 0; at < data.size(); at += cluster)
    sums.push_back(Sum::of(data.subspan(at, least(cluster, data.size() - at))));
  return sums_->put(offset / cluster, sums);
}

Status SummedImage::mark_damaged(uint64_t offset, uint64_t length) {
  if (!sums_) return {};
  const uint64_t cluster = header().cluster_size();
  const uint64_t first = offset / cluster;
  return sums_->fill(first, align_up(offset + length, cluster) / cluster - first, Sum::damaged());
}

Status SummedImage::flush() {
  US_CHECK(image_->flush());
  return sums_ ? sums_->sync() : Status();
}

Status SummedImage::seal() {
  US_CHECK(sums_ ? sums_->sync() : Status());
  return image_->seal();
}

}  // namespace understudy::store
