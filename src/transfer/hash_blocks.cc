#include "transfer/hash_blocks.h"

#include "base/limits.h"
#include "model/extent_math.h"

namespace understudy::transfer {
namespace {

Status check(const std::vector<DiskGeometry>& disks, const HashesRequest& asked) {
  const auto refused = [](const std::string& what) { return fail(ErrorCode::invalid_parameter, what); };
  if (asked.block < limits::kLeastGranule || asked.block > limits::kGranule ||
      (asked.block & (asked.block - 1)) != 0)
    return refused("hashes of blocks of " + std::to_string(asked.block) + " bytes");
  if (asked.disk >= disks.size()) return refused("disk " + std::to_string(asked.disk) + " does not exist");
  const uint64_t size = disks[asked.disk].size;
  if (asked.offset % asked.block != 0 || asked.offset >= size || asked.length == 0 ||
      asked.length > limits::kMostHashRange || asked.length > size - asked.offset ||
      (asked.length % asked.block != 0 && asked.length != size - asked.offset))
    return refused("disk " + disks[asked.disk].target + " of " + std::to_string(size) +
                   " bytes has no blocks at " + std::to_string(asked.offset) + " of " +
                   std::to_string(asked.length) + " bytes");
  return {};
}

}  // namespace

Result<HashesAnswer> hash_blocks(BlockReader& reader, const std::vector<DiskGeometry>& disks,
                                 const HashesRequest& asked) {
  US_CHECK(check(disks, asked));
  US_TRY(const HashSecret secret, HashSecret::from(asked.secret));
  const BlockHasher hasher(secret, asked.block);
  HashesAnswer answer;
  Bytes buffer;
  for (uint64_t done = 0; done < asked.length;) {
    const uint64_t at = asked.offset + done;
    const uint64_t left = asked.length - done;
    US_TRY(const BlockReader::Stretch stretch, reader.map(asked.disk, at, left));
    if (stretch.length == 0 || stretch.length > left)
      return fail(ErrorCode::failed, "disk " + disks[asked.disk].target + " at " + std::to_string(at) +
                                         ": what is held cannot be told");
    const uint64_t whole = align_down(stretch.length, asked.block);
    if (stretch.zero && whole > 0) {
      add_run(answer.runs, static_cast<uint32_t>(whole / asked.block), hasher.zero());
      done += whole;
      continue;
    }
    buffer.resize(least(least(align_up(stretch.length, asked.block), left), limits::kMostExtentData));
    US_CHECK(reader.read(asked.disk, at, buffer));
    for (ByteView rest = buffer; !rest.empty();) {
      const ByteView block = rest.first(least(rest.size(), asked.block));
      add_run(answer.runs, 1, hasher.hash(block));
      rest = rest.subspan(block.size());
    }
    done += buffer.size();
  }
  return answer;
}

}  // namespace understudy::transfer
