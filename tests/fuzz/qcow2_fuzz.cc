// A qcow2 image: what it holds reads the same after its refcounts were counted again, which makes the file
// grow by nothing but refcount blocks; a write is read back and changes nothing else.
#include <algorithm>

#include "fuzz/fuzz.h"
#include "hypervisor/qcow2_header.h"
#include "store/qcow2_image.h"
#include "store/testing/crash_files.h"

namespace {

using namespace understudy;
using namespace understudy::store;
using qcow2::Access;
using qcow2::Image;
using qcow2::Mapping;

constexpr uint64_t kMostRead = 256 << 10;  // of the disk: its front
const std::string kPath = "/s/a.qcow2";

uint64_t looked_at(const Image& image) {
  return std::min(image.header().size, kMostRead);
}

// What the image holds, as far as it is looked at; nothing when an entry is damaged.
std::optional<Bytes> content(Image& image) {
  Bytes all(looked_at(image));
  for (uint64_t at = 0; at < all.size();) {
    const auto run = image.map(at, all.size() - at);
    if (!run) return std::nullopt;
    US_ASSERT(run->length > 0 && run->length <= all.size() - at);
    if (!image.read(at, MutableByteView(all).subspan(at, run->length))) return std::nullopt;
    at += run->length;
  }
  return all;
}

std::optional<Bytes> content_of(CrashFiles& files) {
  auto image = Image::open(files, kPath, Access::read);
  return image ? content(**image) : std::nullopt;
}

void check_write(CrashFiles& files, Bytes expected) {
  auto image = Image::open(files, kPath, Access::modify);
  if (!image) return;
  const uint64_t length = std::min<uint64_t>((*image)->header().cluster_size(), expected.size());
  const Bytes data(length, std::byte{0xa5});
  if (!(*image)->write(0, data) || !(*image)->seal()) return;
  std::copy(data.begin(), data.end(), expected.begin());
  const auto now = content_of(files);
  US_ASSERT(now && *now == expected);
}

}  // namespace

US_FUZZER(qcow2, input) {
  (void)hypervisor::parse_image_header(as_bytes(input));
  CrashFiles files;
  US_ASSERT(files.make_directory("/s"));
  files.put(kPath, std::string(input));
  const auto before = content_of(files);
  {
    auto image = Image::open(files, kPath, Access::resume);
    if (!image) return;
    const auto& h = (*image)->header();
    const uint64_t most = input.size() + (1 + h.reftable_entries()) * h.cluster_size();
    US_ASSERT(files.bytes(kPath)->size() <= most);
    US_ASSERT((*image)->seal());
  }
  const auto counted = content_of(files);
  US_ASSERT(!before || (counted && *counted == *before));
  if (counted) check_write(files, *counted);
}
