#include "transfer/block_hash.h"

#include <sys/random.h>
#include <xxhash.h>

#include "base/assert.h"

namespace understudy::transfer {
namespace {

// Where the keys of the two halves lie in the secret. They overlap, but no word is at the same place in both.
constexpr size_t kKeySize = 136;  // the least XXH3 takes
constexpr size_t kHighKey = 56;
static_assert(kHighKey + kKeySize == sizeof(HashSecret::bytes));

}  // namespace

HashSecret HashSecret::random() {
  HashSecret secret;
  US_ASSERT(getrandom(secret.bytes.data(), secret.bytes.size(), 0) ==
            static_cast<ssize_t>(secret.bytes.size()));
  return secret;
}

Result<HashSecret> HashSecret::from(ByteView bytes) {
  HashSecret secret;
  if (bytes.size() != secret.bytes.size())
    return fail(ErrorCode::protocol, "a hash secret of " + std::to_string(bytes.size()) + " bytes");
  std::memcpy(secret.bytes.data(), bytes.data(), bytes.size());
  return secret;
}

void add_run(std::vector<HashRun>& runs, uint32_t count, const BlockHash& hash) {
  if (!runs.empty() && runs.back().hash == hash)
    runs.back().count += count;
  else
    runs.push_back({count, hash});
}

Status check_runs(const std::vector<HashRun>& runs, uint64_t blocks) {
  uint64_t covered = 0;
  bool empty = false;
  for (const HashRun& run : runs) {
    covered += run.count;
    empty = empty || run.count == 0;
  }
  if (covered == blocks && !empty) return {};
  return fail(ErrorCode::protocol,
              "hashes of " + std::to_string(covered) + " blocks, want " + std::to_string(blocks));
}

BlockHasher::BlockHasher(const HashSecret& secret, uint32_t block)
    : secret_(secret), block_(block), zero_(zero(block)) {}

BlockHash BlockHasher::hash(ByteView block) const {
  const std::byte* low = secret_.bytes.data();
  const std::byte* high = low + kHighKey;
  BlockHash hash;
  store_le<uint64_t>(hash.data(), XXH3_64bits_withSecret(block.data(), block.size(), low, kKeySize));
  store_le<uint64_t>(hash.data() + 8, XXH3_64bits_withSecret(block.data(), block.size(), high, kKeySize));
  return hash;
}

BlockHash BlockHasher::zero(uint64_t length) const {
  US_ASSERT(length <= block_);
  return hash(Bytes(length));
}

}  // namespace understudy::transfer
