// Bounded encoding and decoding of fixed layouts: little-endian for our own formats, big-endian for qcow2.
// A reader never reads past its view: it turns bad once and stays so, and every value read after that is
// zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace understudy {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
T load_le(const std::byte* from) {
  static_assert(std::is_unsigned_v<T>);
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;  // all supported machines are little-endian
}
template <class T>
void store_le(std::byte* to, T value) {
  static_assert(std::is_unsigned_v<T>);
  std::memcpy(to, &value, sizeof value);
}
template <class T>
T byte_swap(T value) {
  if constexpr (sizeof(T) == 1)
    return value;
  else if constexpr (sizeof(T) == 2)
    return __builtin_bswap16(value);
  else if constexpr (sizeof(T) == 4)
    return __builtin_bswap32(value);
  else
    return __builtin_bswap64(value);
}
template <class T>
T load_be(const std::byte* from) {
  return byte_swap(load_le<T>(from));
}
template <class T>
void store_be(std::byte* to, T value) {
  store_le(to, byte_swap(value));
}

class ByteReader {
 public:
  explicit ByteReader(ByteView view) : view_(view) {}
  template <class T>
  T le() {
    return read<T>(false);
  }
  template <class T>
  T be() {
    return read<T>(true);
  }
  ByteView take(size_t n) {
    if (bad_ || n > view_.size()) {
      bad_ = true;
      return {};
    }
    const ByteView head = view_.first(n);
    view_ = view_.subspan(n);
    return head;
  }
  bool bad() const { return bad_; }
  size_t left() const { return view_.size(); }

 private:
  template <class T>
  T read(bool swap) {
    const ByteView head = take(sizeof(T));
    if (bad_) return T{};
    const T value = load_le<T>(head.data());
    return swap ? byte_swap(value) : value;
  }
  ByteView view_;
  bool bad_ = false;
};

class ByteWriter {
 public:
  template <class T>
  void le(T value) {
    put(value);
  }
  template <class T>
  void be(T value) {
    put(byte_swap(value));
  }
  void raw(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  const Bytes& bytes() const { return bytes_; }
  Bytes take() { return std::move(bytes_); }

 private:
  template <class T>
  void put(T value) {
    static_assert(std::is_unsigned_v<T>);
    std::byte buffer[sizeof(T)];
    store_le(buffer, value);
    bytes_.insert(bytes_.end(), buffer, buffer + sizeof(T));
  }
  Bytes bytes_;
};

}  // namespace understudy
