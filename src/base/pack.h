// Values to bytes and back, for messages between processes of one build. A type says its members once:
//     template <class F> void fields(F& f, MyType& value) { f(value.a, value.b); }
// beside the type (same namespace), and both directions follow from that. Numbers have their own width,
// little-endian; a text, a list or a map begins with its count. Reading is bounded by what is there: no count
// is believed before so many bytes have come, and nesting ends at kMostNested. One thread at a time.
#pragma once

#include <concepts>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/blank.h"
#include "base/bytes.h"

namespace understudy {

inline constexpr size_t kMostNested = 80;

template <class T>
concept PackedNumber = std::integral<T> || std::floating_point<T>;

class Packer {
 public:
  static constexpr bool kReading = false;
  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  // An enumeration whose values are 0..last.
  template <class E>
  void choice(const E& value, E) {
    put(static_cast<uint8_t>(value));
  }
  Bytes take() { return std::move(out_); }

 private:
  template <PackedNumber N>
  void put(const N& value) {
    if constexpr (std::same_as<N, bool>) {
      number<uint8_t>(value ? 1 : 0);
    } else if constexpr (std::floating_point<N>) {
      uint64_t bits = 0;
      static_assert(sizeof(N) == sizeof bits);
      std::memcpy(&bits, &value, sizeof bits);
      number(bits);
    } else {
      number(static_cast<std::make_unsigned_t<N>>(value));
    }
  }
  void put(const std::string& text) {
    count(text.size());
    raw(as_bytes(text));
  }
  void put(const Bytes& bytes) {
    count(bytes.size());
    raw(bytes);
  }
  template <class T>
  void put(const std::vector<T>& list) {
    count(list.size());
    for (const T& one : list) put(one);
  }
  template <class K, class V, class L>
  void put(const std::map<K, V, L>& map) {
    count(map.size());
    for (const auto& [key, value] : map) (*this)(key, value);
  }
  template <class T>
  void put(const std::optional<T>& maybe) {
    put(maybe.has_value());
    if (maybe) put(*maybe);
  }
  template <class T>
  void put(const std::shared_ptr<const T>& shared) {
    US_ASSERT(shared != nullptr);
    put(*shared);
  }
  template <class T, class E>
  void put(const tl::expected<T, E>& outcome) {
    put(outcome.has_value());
    if (outcome)
      put(*outcome);
    else
      put(outcome.error());
  }
  template <class... T>
  void put(const std::variant<T...>& one_of) {
    number(static_cast<uint8_t>(one_of.index()));
    std::visit([this](const auto& value) { this->put(value); }, one_of);
  }
  void put(const std::monostate&) {}
  void put(const Error& error) {
    choice(error.code(), ErrorCode{});
    (*this)(error.message(), error.hint());
  }
  template <class T>
  requires std::is_class_v<T>
  void put(const T& value) {
    fields(*this, const_cast<T&>(value));  // a Packer only reads
  }
  void count(size_t n) { number(static_cast<uint32_t>(n)); }
  template <class N>
  void number(N value) {
    std::byte bytes[sizeof(N)];
    store_le(bytes, value);
    raw(bytes);
  }
  void raw(ByteView bytes) {
    if (bytes.empty()) return;
    const size_t at = out_.size();
    out_.resize(at + bytes.size());
    std::memcpy(out_.data() + at, bytes.data(), bytes.size());
  }

  Bytes out_;
};

// Turns bad at the first thing that cannot be, and stays so; what is read after that is blank.
class Unpacker {
 public:
  static constexpr bool kReading = true;
  explicit Unpacker(ByteView bytes) : in_(bytes) {}
  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  template <class E>
  void choice(E& value, E last) {
    const auto number = in_.le<uint8_t>();
    if (number > static_cast<uint8_t>(last)) return spoil();
    value = static_cast<E>(number);
  }
  void spoil() { bad_ = true; }
  bool bad() const { return bad_ || in_.bad(); }
  // Everything was read, and nothing is left.
  bool complete() const { return !bad() && in_.left() == 0; }

 private:
  // Deeper than anything of ours is an attempt on the stack.
  struct Level {
    explicit Level(Unpacker& u) : unpacker(u) {
      if (++unpacker.depth_ > kMostNested) unpacker.spoil();
    }
    ~Level() { --unpacker.depth_; }
    Unpacker& unpacker;
  };
  template <PackedNumber N>
  void get(N& value) {
    if constexpr (std::same_as<N, bool>) {
      const auto byte = in_.le<uint8_t>();
      if (byte > 1) return spoil();
      value = byte == 1;
    } else if constexpr (std::floating_point<N>) {
      const auto bits = in_.le<uint64_t>();
      std::memcpy(&value, &bits, sizeof bits);
    } else {
      value = static_cast<N>(in_.le<std::make_unsigned_t<N>>());
    }
  }
  void get(std::string& text) { text = as_text(in_.take(in_.le<uint32_t>())); }
  void get(Bytes& bytes) {
    const ByteView view = in_.take(in_.le<uint32_t>());
    bytes.assign(view.begin(), view.end());
  }
  template <class T>
  void get(std::vector<T>& list) {
    for (size_t left = count(); left > 0 && !bad(); --left) get(list.emplace_back(Blank<T>::make()));
  }
  template <class K, class V, class L>
  void get(std::map<K, V, L>& map) {
    for (size_t left = count(); left > 0 && !bad(); --left) {
      K key = Blank<K>::make();
      V value = Blank<V>::make();
      (*this)(key, value);
      if (!map.empty() && !map.key_comp()(map.rbegin()->first, key)) return spoil();
      map.emplace_hint(map.end(), std::move(key), std::move(value));
    }
  }
  template <class T>
  void get(std::optional<T>& maybe) {
    bool there = false;
    get(there);
    if (there && !bad()) get(maybe.emplace(Blank<T>::make()));
  }
  template <class T>
  void get(std::shared_ptr<const T>& shared) {
    auto value = std::make_shared<T>();
    get(*value);
    shared = std::move(value);
  }
  template <class T, class E>
  void get(tl::expected<T, E>& outcome) {
    bool good = false;
    get(good);
    if (bad()) return;
    if (good) {
      T value = Blank<T>::make();
      get(value);
      outcome = std::move(value);
    } else {
      E error = Blank<E>::make();
      get(error);
      outcome = tl::unexpected<E>(std::move(error));
    }
  }
  template <class... T>
  void get(std::variant<T...>& one_of) {
    const auto index = in_.le<uint8_t>();
    if (bad() || !emplace<0>(one_of, index)) spoil();
  }
  void get(std::monostate&) {}
  void get(Error& error) {
    ErrorCode code = ErrorCode::failed;
    std::string message, hint;
    choice(code, static_cast<ErrorCode>(kErrorCodes - 1));
    (*this)(message, hint);
    error = Error(code, std::move(message), std::move(hint));
  }
  template <class T>
  requires std::is_class_v<T>
  void get(T& value) {
    const Level level(*this);
    if (!bad()) fields(*this, value);
  }

  template <size_t kIndex, class... T>
  bool emplace(std::variant<T...>& one_of, size_t index) {
    if constexpr (kIndex == sizeof...(T)) {
      return false;
    } else {
      if (index != kIndex) return emplace<kIndex + 1>(one_of, index);
      get(one_of.template emplace<kIndex>(
          Blank<std::variant_alternative_t<kIndex, std::variant<T...>>>::make()));
      return true;
    }
  }
  // Of things that take up a byte each, at least.
  size_t count() {
    const size_t n = in_.le<uint32_t>();
    if (n > in_.left()) spoil();
    return bad() ? 0 : n;
  }

  ByteReader in_;
  bool bad_ = false;
  size_t depth_ = 0;
};

template <class T>
Bytes pack(const T& value) {
  Packer packer;
  packer(value);
  return packer.take();
}
// None: the bytes are no such value, or more than one.
template <class T>
std::optional<T> unpack(ByteView bytes) {
  Unpacker unpacker(bytes);
  T value = Blank<T>::make();
  unpacker(value);
  if (!unpacker.complete()) return std::nullopt;
  return value;
}

}  // namespace understudy
