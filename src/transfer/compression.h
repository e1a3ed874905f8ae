// zstd at its fastest level, and the rule when not to try. A Compressor or Decompressor belongs to one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy::transfer {

class Compressor {
 public:
  Compressor();
  ~Compressor();
  // The size of the result, or 0 when it saves less than a sixteenth of `raw`. `into` is at least as large as
  // `raw`.
  size_t compress(ByteView raw, MutableByteView into);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  // Exactly `into.size()` bytes, or ErrorCode::corrupt.
  Status decompress(ByteView stored, MutableByteView into);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Small things in one zstd frame that tells its size. What does not unpack, or to more than `most`, is
// ErrorCode::corrupt, before any more than that is allocated.
Bytes pack(ByteView raw);
Result<Bytes> unpack(ByteView packed, size_t most);

// Incompressible data comes in runs (media, archives, encrypted disks): after each try that did not pay,
// twice as many blocks go untried, up to kMostSkipped; one that pays ends that. Any thread.
class CompressionPolicy {
 public:
  static constexpr uint32_t kMostSkipped = 31;
  bool worth_trying();
  void tried(bool paid);

 private:
  std::mutex mutex_;
  uint32_t run_ = 0;   // blocks to skip after the last try
  uint32_t left_ = 0;  // of them
};

}  // namespace understudy::transfer
