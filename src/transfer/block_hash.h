// Hashes by which two hosts find out whether they hold the same bytes (docs/spec/wire.md, "Comparing").
//
// A false "the same" is silent corruption, and what runs in the guest chooses the bytes. So the hash has a
// secret key, fresh for each comparison, that the guest never sees; without it nobody can prepare two blocks
// of one hash. Both halves need keys of their own: XXH3 adds up products of data and key, and two flipped
// bits cancel out whenever two words of the key fit them, once in 2^33; then all 128 bits of XXH3-128 are
// equal, for both its halves come of the same sums. Two sums under different keys are equal once in 2^66.
//
// The place (disk, offset) is not part of the hash: it would make every zero block different, and an answer
// about an empty disk as long as one about a full disk. An answer is bound to its place by the request.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy::transfer {

using BlockHash = std::array<std::byte, 16>;

struct HashSecret {
  std::array<std::byte, 192> bytes{};
  static HashSecret random();
  static Result<HashSecret> from(ByteView bytes);  // exactly 192 bytes
};

// Equal neighbours are one run.
struct HashRun {
  uint32_t count = 0;
  BlockHash hash{};
  bool operator==(const HashRun&) const = default;
};
void add_run(std::vector<HashRun>& runs, uint32_t count, const BlockHash& hash);
// The last block of a disk may be shorter.
constexpr uint64_t blocks_in(uint64_t length, uint32_t block) {
  return length / block + (length % block != 0 ? 1 : 0);
}
// ErrorCode::protocol unless the runs, none of them empty, are of exactly so many blocks.
Status check_runs(const std::vector<HashRun>& runs, uint64_t blocks);

// A value; any thread.
class BlockHasher {
 public:
  BlockHasher(const HashSecret& secret, uint32_t block);
  BlockHash hash(ByteView block) const;
  const BlockHash& zero() const { return zero_; }  // of a whole block of zeroes
  BlockHash zero(uint64_t length) const;           // of a block, at most, of zeroes

 private:
  HashSecret secret_;
  uint32_t block_;
  BlockHash zero_;
};

}  // namespace understudy::transfer
