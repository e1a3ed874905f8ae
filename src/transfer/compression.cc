#include "transfer/compression.h"

#include <zstd.h>

#include <algorithm>

#include "base/assert.h"

namespace understudy::transfer {

struct Compressor::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ~State() { ZSTD_freeCCtx(context); }
};
Compressor::Compressor() : state_(std::make_unique<State>()) {
  US_ASSERT(state_->context);
}
Compressor::~Compressor() = default;

size_t Compressor::compress(ByteView raw, MutableByteView into) {
  const size_t most = raw.size() - raw.size() / 16 - 1;
  US_ASSERT(!raw.empty() && into.size() >= raw.size());
  if (most == 0) return 0;
  const size_t size = ZSTD_compressCCtx(state_->context, into.data(), most, raw.data(), raw.size(), 1);
  return ZSTD_isError(size) ? 0 : size;
}

struct Decompressor::State {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ~State() { ZSTD_freeDCtx(context); }
};
Decompressor::Decompressor() : state_(std::make_unique<State>()) {
  US_ASSERT(state_->context);
}
Decompressor::~Decompressor() = default;

Status Decompressor::decompress(ByteView stored, MutableByteView into) {
  const size_t size =
      ZSTD_decompressDCtx(state_->context, into.data(), into.size(), stored.data(), stored.size());
  if (ZSTD_isError(size) || size != into.size())
    return fail(ErrorCode::corrupt, "received data does not decompress to the " +
                                        std::to_string(into.size()) + " bytes it should");
  return {};
}

Bytes pack(ByteView raw) {
  Bytes packed(ZSTD_compressBound(raw.size()));
  const size_t size =
      ZSTD_compress(packed.data(), packed.size(), raw.data(), raw.size(), ZSTD_CLEVEL_DEFAULT);
  US_ASSERT(!ZSTD_isError(size));
  packed.resize(size);
  return packed;
}

Result<Bytes> unpack(ByteView packed, size_t most) {
  // The two values for "not known" and "no frame" are greater than any bound.
  const uint64_t size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size > most || ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size())
    return fail(ErrorCode::corrupt, "not one compressed frame of at most " + std::to_string(most) + " bytes");
  Bytes raw(size);
  US_CHECK(Decompressor().decompress(packed, raw));
  return raw;
}

bool CompressionPolicy::worth_trying() {
  const std::lock_guard lock(mutex_);
  if (left_ == 0) return true;
  --left_;
  return false;
}

void CompressionPolicy::tried(bool paid) {
  const std::lock_guard lock(mutex_);
  run_ = paid ? 0 : std::min(run_ * 2 + 1, kMostSkipped);
  left_ = run_;
}

}  // namespace understudy::transfer
