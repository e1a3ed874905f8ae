#include "chain_reader.h"

namespace understudy::sim {
namespace {

constexpr uint64_t kOffset = 0x00fffffffffffe00;
constexpr uint64_t kStep = 512;

uint64_t big(const Bytes& bytes, uint64_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i)
    value = value << 8 | (at + i < bytes.size() ? std::to_integer<uint64_t>(bytes[at + i]) : 0);
  return value;
}

}  // namespace

ChainReader::ChainReader(const store::CrashFiles& files, const std::string& directory,
                         const std::string& top) {
  for (std::string name = top; !name.empty();) {
    const Bytes* bytes = files.bytes(directory + "/" + name);
    if (bytes == nullptr || big(*bytes, 0, 4) != 0x514649fb) {
      broken_ = name + " is not an image";
      return;
    }
    images_.push_back({bytes, static_cast<unsigned>(big(*bytes, 20, 4)), big(*bytes, 40, 8),
                       big(*bytes, 36, 4), directory + "/" + name});
    const uint64_t at = big(*bytes, 8, 8);
    const uint64_t length = big(*bytes, 16, 4);
    if (at + length > bytes->size() || images_.size() > 64) {
      broken_ = name + " has an impossible backing name";
      return;
    }
    name = std::string(as_text(*bytes).substr(at, length));
  }
}

std::optional<ChainReader::Found> ChainReader::find(uint64_t offset) const {
  for (const Image& image : images_) {
    const uint64_t cluster = uint64_t{1} << image.cluster_bits;
    const uint64_t per_table = cluster / 8;
    const uint64_t index = offset / cluster;
    if (index / per_table >= image.l1_entries) continue;
    const uint64_t table = big(*image.bytes, image.l1 + index / per_table * 8, 8) & kOffset;
    if (table == 0) continue;
    const uint64_t entry = big(*image.bytes, table + index % per_table * 8, 8);
    if ((entry & 1) != 0) return std::nullopt;
    if ((entry & kOffset) == 0) continue;
    const uint64_t at = (entry & kOffset) + offset % cluster;
    return at + kStep <= image.bytes->size() ? std::optional(Found{&image, at}) : std::nullopt;
  }
  return std::nullopt;
}

uint64_t ChainReader::word(uint64_t offset) const {
  const auto found = find(offset);
  return found ? load_le<uint64_t>(found->image->bytes->data() + found->at) : 0;
}

std::optional<ChainReader::Place> ChainReader::place(uint64_t offset) const {
  const auto found = find(offset);
  return found ? std::optional(Place{found->image->path, found->at}) : std::nullopt;
}

BlockFound ChainReader::block(uint64_t offset, uint64_t length, uint64_t value, bool wholly,
                              const Excuse& excuse) const {
  if (!broken_.empty()) return {false, broken_};
  for (uint64_t at = 0; at < length; at += kStep) {
    const auto found = find(offset + at);
    const std::byte* bytes = found ? found->image->bytes->data() + found->at : nullptr;
    for (uint64_t word = 0; word < (wholly ? kStep / 8 : 1); ++word) {
      const uint64_t is = bytes == nullptr ? 0 : load_le<uint64_t>(bytes + word * 8);
      if (is == value || (excuse && excuse(offset + at + word * 8, value, is))) continue;
      return {false, "sector " + std::to_string(at / kStep) + " has " + std::to_string(is)};
    }
  }
  return {true, {}};
}

}  // namespace understudy::sim
