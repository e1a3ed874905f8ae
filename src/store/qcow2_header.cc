#include "store/qcow2_header.h"

#include <algorithm>

#include "base/limits.h"
#include "model/extent_math.h"

namespace understudy::store::qcow2 {
namespace {

constexpr uint32_t kMagic = 0x514649fb;  // "QFI\xfb"
constexpr uint32_t kHeaderLength = 104;
constexpr uint32_t kExtensionEnd = 0;
constexpr uint32_t kExtensionBackingFormat = 0xe2792aca;
constexpr uint32_t kExtensionBitmaps = 0x23852875;
constexpr uint64_t kMostHeaderArea = 64 << 10;  // of the first cluster, header and extensions end far before
constexpr uint32_t kRefcountOrder = 4;

constexpr uint64_t divide_up(uint64_t a, uint64_t b) {
  return (a + b - 1) / b;
}

// The fixed part, in the order of the file.
struct Fixed {
  uint32_t magic, version;
  uint64_t backing_offset;
  uint32_t backing_length, cluster_bits;
  uint64_t size;
  uint32_t encryption, l1_entries;
  uint64_t l1_offset, reftable_offset;
  uint32_t reftable_clusters, snapshots;
  uint64_t snapshots_offset, incompatible, compatible, autoclear;
  uint32_t refcount_order, header_length;
};

Fixed read_fixed(ByteView bytes) {
  ByteReader in(bytes);
  Fixed f{};
  f.magic = in.be<uint32_t>();
  f.version = in.be<uint32_t>();
  f.backing_offset = in.be<uint64_t>();
  f.backing_length = in.be<uint32_t>();
  f.cluster_bits = in.be<uint32_t>();
  f.size = in.be<uint64_t>();
  f.encryption = in.be<uint32_t>();
  f.l1_entries = in.be<uint32_t>();
  f.l1_offset = in.be<uint64_t>();
  f.reftable_offset = in.be<uint64_t>();
  f.reftable_clusters = in.be<uint32_t>();
  f.snapshots = in.be<uint32_t>();
  f.snapshots_offset = in.be<uint64_t>();
  f.incompatible = in.be<uint64_t>();
  f.compatible = in.be<uint64_t>();
  f.autoclear = in.be<uint64_t>();
  f.refcount_order = in.be<uint32_t>();
  f.header_length = in.be<uint32_t>();
  return f;
}

// What is wrong, or nullptr.
const char* unsupported(const Fixed& f) {
  if (f.version != 3) return "is not of qcow2 version 3";
  if (f.encryption != 0) return "is encrypted";
  if (f.snapshots != 0) return "has internal snapshots";
  if (f.incompatible & 2) return "is marked corrupt";
  if (f.incompatible & 4) return "keeps its data in another file";
  if (f.incompatible & 8) return "has another compression type";
  if (f.incompatible & 16) return "has sub-clusters";
  if (f.incompatible & ~uint64_t{kIncompatibleDirty}) return "uses a feature that is not known here";
  if (f.refcount_order != kRefcountOrder) return "has refcounts that are not 16 bits wide";
  return nullptr;
}

const char* damaged(const Fixed& f, uint64_t file_size) {
  const uint64_t cluster = uint64_t{1} << f.cluster_bits;
  const auto inside = [&](uint64_t offset, uint64_t length) {
    return offset >= cluster && offset % cluster == 0 && offset <= file_size && length <= file_size - offset;
  };
  if (f.size == 0 || f.size % 512 != 0 || f.size > limits::kMostDiskSize)
    return "has an impossible disk size";
  const uint64_t needed = divide_up(f.size, cluster * (cluster / 8));
  if (f.l1_entries < needed || f.l1_entries * uint64_t{8} > kMostL1Bytes)
    return "has an L1 table of a wrong size";
  if (!inside(f.l1_offset, f.l1_entries * uint64_t{8})) return "has its L1 table outside the file";
  if (f.reftable_clusters == 0 || f.reftable_clusters * cluster > std::max(kMostReftableBytes, cluster))
    return "has a refcount table of a wrong size";
  if (!inside(f.reftable_offset, f.reftable_clusters * cluster))
    return "has its refcount table outside the file";
  if (f.header_length < kHeaderLength || f.header_length % 8 != 0 || f.header_length > cluster)
    return "has a header of a wrong length";
  if (f.backing_offset == 0 ? f.backing_length != 0
                            : f.backing_length == 0 || f.backing_length > kMostBackingName)
    return "has an impossible backing file name";
  return nullptr;
}

bool read_extensions(ByteView area, Header& header) {
  ByteReader in(area);
  while (in.left() >= 8) {
    const auto type = in.be<uint32_t>();
    const auto length = in.be<uint32_t>();
    if (type == kExtensionEnd) return true;
    const ByteView body = in.take(length);
    in.take(std::min<size_t>(align_up(length, 8) - length, in.left()));
    if (in.bad()) return false;
    if (type == kExtensionBackingFormat) header.backing_format = as_text(body);
    if (type == kExtensionBitmaps) header.bitmaps = true;
  }
  return true;
}

}  // namespace

Result<Header> plan_header(uint64_t size, uint64_t cluster_size, const std::string& backing) {
  Header h;
  h.size = size;
  h.cluster_bits = static_cast<uint32_t>(__builtin_ctzll(cluster_size));
  h.backing = backing;
  if (!backing.empty()) h.backing_format = "qcow2";
  const uint64_t data = divide_up(size, cluster_size);
  const uint64_t tables = divide_up(data, h.l2_entries());
  const uint64_t l1_clusters = divide_up(tables * 8, cluster_size);
  // All of the disk, its tables, the refcounts of that, and a sixteenth for what crashes may leave unused.
  uint64_t most = 1 + data + tables + l1_clusters;
  most += most / 16 + 64;
  most += divide_up(most, h.refcounts_per_block()) * 2;
  h.reftable_clusters =
      static_cast<uint32_t>(divide_up(divide_up(most, h.refcounts_per_block()) * 8, cluster_size));
  if (tables * 8 > kMostL1Bytes || h.reftable_clusters * cluster_size > kMostReftableBytes)
    return fail(ErrorCode::invalid_parameter,
                "a disk of " + std::to_string(size) + " bytes is too large for clusters of " +
                    std::to_string(cluster_size) + " bytes",
                "use a larger change granularity");
  h.reftable_offset = cluster_size;
  h.l1_entries = static_cast<uint32_t>(tables);
  h.l1_offset = (1 + h.reftable_clusters) * cluster_size;
  return h;
}

Bytes encode_header(const Header& h) {
  const uint64_t extensions = h.backing_format.empty() ? 8 : 8 + align_up(h.backing_format.size(), 8) + 8;
  const bool backed = !h.backing.empty();
  ByteWriter out;
  out.be(kMagic);
  out.be(uint32_t{3});
  out.be(backed ? kHeaderLength + extensions : uint64_t{0});
  out.be(static_cast<uint32_t>(h.backing.size()));
  out.be(h.cluster_bits);
  out.be(h.size);
  out.be(uint32_t{0});  // encryption
  out.be(h.l1_entries);
  out.be(h.l1_offset);
  out.be(h.reftable_offset);
  out.be(h.reftable_clusters);
  out.be(uint32_t{0});  // snapshots
  out.be(uint64_t{0});
  out.be(h.incompatible);
  out.be(uint64_t{0});  // compatible features
  out.be(h.autoclear);
  out.be(kRefcountOrder);
  out.be(kHeaderLength);
  if (!h.backing_format.empty()) {
    out.be(kExtensionBackingFormat);
    out.be(static_cast<uint32_t>(h.backing_format.size()));
    out.raw(as_bytes(h.backing_format));
    out.raw(Bytes(align_up(h.backing_format.size(), 8) - h.backing_format.size()));
  }
  out.be(kExtensionEnd);
  out.be(uint32_t{0});
  out.raw(as_bytes(h.backing));
  return out.take();
}

Result<Header> read_header(File& file, const std::string& path) {
  US_TRY(const uint64_t file_size, file.size());
  const auto bad = [&](ErrorCode code, const char* what) { return fail(code, path + " " + what); };
  if (file_size < kHeaderLength) return bad(ErrorCode::corrupt, "is too short for a qcow2 image");
  Bytes area(least(file_size, kMostHeaderArea));
  US_CHECK(file.read_at(0, area));
  const Fixed f = read_fixed(area);
  if (f.magic != kMagic) return bad(ErrorCode::corrupt, "is not a qcow2 image");
  if (f.cluster_bits < kLeastClusterBits || f.cluster_bits > kMostClusterBits)
    return bad(ErrorCode::corrupt, "has an impossible cluster size");
  if (const char* what = unsupported(f)) return bad(ErrorCode::not_supported, what);
  if (const char* what = damaged(f, file_size)) return bad(ErrorCode::corrupt, what);

  Header h;
  h.size = f.size;
  h.cluster_bits = f.cluster_bits;
  h.l1_offset = f.l1_offset;
  h.l1_entries = f.l1_entries;
  h.reftable_offset = f.reftable_offset;
  h.reftable_clusters = f.reftable_clusters;
  h.incompatible = f.incompatible;
  h.autoclear = f.autoclear;
  area.resize(least(area.size(), h.cluster_size()));
  if (f.header_length > area.size()) return bad(ErrorCode::corrupt, "is too short for its header");
  uint64_t extensions_end = area.size();
  if (f.backing_offset != 0) {
    if (f.backing_offset < f.header_length || f.backing_offset + f.backing_length > area.size() ||
        f.backing_offset > area.size())
      return bad(ErrorCode::corrupt, "has its backing file name outside the header");
    h.backing = as_text(ByteView(area).subspan(f.backing_offset, f.backing_length));
    if (std::any_of(h.backing.begin(), h.backing.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 32; }))
      return bad(ErrorCode::corrupt, "has an impossible backing file name");
    extensions_end = f.backing_offset;
  }
  if (!read_extensions(ByteView(area).subspan(f.header_length, extensions_end - f.header_length), h))
    return bad(ErrorCode::corrupt, "has a damaged header extension");
  return h;
}

}  // namespace understudy::store::qcow2
