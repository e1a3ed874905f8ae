#include "hypervisor/qcow2_header.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/limits.h"

namespace understudy::hypervisor {
namespace {
constexpr uint32_t kMagic = 0x514649fb;
constexpr size_t kHeaderSize = 104;
constexpr uint32_t kLeastClusterBits = 9, kMostClusterBits = 21;
constexpr uint64_t kExternalData = 4;
}  // namespace

uint32_t ImageHeader::change_granularity() const {
  return std::clamp(cluster_size, limits::kLeastGranule, limits::kGranule);
}

Result<ImageHeader> parse_image_header(ByteView head) {
  ByteReader reader(head);
  if (reader.be<uint32_t>() != kMagic) return fail(ErrorCode::not_supported, "it is no qcow2 image");
  ImageHeader header;
  header.version = reader.be<uint32_t>();
  reader.take(12);  // backing file
  const auto cluster_bits = reader.be<uint32_t>();
  header.size = reader.be<uint64_t>();
  header.encrypted = reader.be<uint32_t>() != 0;
  reader.take(36);  // tables and snapshots
  const uint64_t incompatible = header.version >= 3 ? reader.be<uint64_t>() : 0;
  header.data_file = (incompatible & kExternalData) != 0;
  if (reader.bad() || cluster_bits < kLeastClusterBits || cluster_bits > kMostClusterBits) {
    return fail(ErrorCode::corrupt, "its qcow2 header is damaged");
  }
  header.cluster_size = 1U << cluster_bits;
  return header;
}

Result<ImageHeader> read_image_header(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return fail_errno(errno, "opening " + path);
  std::array<std::byte, kHeaderSize> head;
  const ssize_t n = ::pread(fd, head.data(), head.size(), 0);
  const int error = errno;
  ::close(fd);
  if (n < 0) return fail_errno(error, "reading " + path);
  Result<ImageHeader> header = parse_image_header({head.data(), static_cast<size_t>(n)});
  if (!header) return fail(header.error().context(path));
  return header;
}

Status check_tracking(const ImageHeader& header, const std::string& path) {
  if (header.version < 3) {
    return fail(ErrorCode::not_supported,
                path + " is an old qcow2 (compat 0.10), which cannot keep track of changes",
                "while the VM is off: qemu-img amend -o compat=1.1 " + path);
  }
  if (header.encrypted) {
    return fail(ErrorCode::not_supported, path + " is encrypted, and its backup would be plain text",
                "encrypt inside the guest instead, or leave the disk out");
  }
  if (header.data_file) {
    return fail(ErrorCode::not_supported, path + " keeps its data in another file",
                "while the VM is off: qemu-img convert -O qcow2 " + path + " NEW.qcow2");
  }
  return {};
}

}  // namespace understudy::hypervisor
