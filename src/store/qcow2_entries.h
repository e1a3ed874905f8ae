// Bits of the entries of L1 and L2 tables.
#pragma once

#include <cstdint>

namespace understudy::store::qcow2 {
inline constexpr uint64_t kOffsetMask = 0x00fffffffffffe00;
inline constexpr uint64_t kCopied = uint64_t{1} << 63;  // refcount is exactly one: may be written in place
inline constexpr uint64_t kCompressed = uint64_t{1} << 62;  // L2
inline constexpr uint64_t kZero = 1;                        // L2: reads as zeroes, whatever is at the offset
inline constexpr uint64_t kL1Reserved = ~(kOffsetMask | kCopied);
inline constexpr uint64_t kL2Reserved = ~(kOffsetMask | kCopied | kCompressed | kZero);
inline constexpr uint64_t kPage = 4096;  // tables are written in pieces of this size
}  // namespace understudy::store::qcow2
