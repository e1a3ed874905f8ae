// JSON in a bounded form, for the wire and for stored state. Text comes out compact and with members in the
// order of their names, so that equal values give equal text. Integers are exact (64 bits); nothing is ever
// rounded, cut or converted. Reading refuses: more than the given size, more than kMostJsonDepth levels, a
// name twice in one object, text that is not UTF-8 or holds a NUL. Values without hidden sharing; one thread
// at a time.
//
// JsonObject is the plain builder and reader. For a type that travels both ways write one function
//     void fields(JsonFields& f, MyType& value)
// beside the type (same namespace): encode() and decode<MyType>() then do both directions from that one list.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/blank.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/time.h"

namespace understudy {

inline constexpr size_t kMostJsonDepth = 16;

// Errors of the getters and of parse() are ErrorCode::corrupt and name the member.
class JsonObject {
 public:
  JsonObject();
  JsonObject(const JsonObject& other);
  JsonObject(JsonObject&& other) noexcept;
  JsonObject& operator=(JsonObject other) noexcept;
  ~JsonObject();

  static Result<JsonObject> parse(std::string_view text, size_t most_bytes = limits::kMostState);
  std::string text() const;

  void set(std::string_view name, std::string_view value);
  void set(std::string_view name, const char* value) { set(name, std::string_view(value)); }
  template <std::integral N>
  void set(std::string_view name, N value) {
    if constexpr (std::same_as<N, bool>)
      set_flag(name, value);
    else if constexpr (std::unsigned_integral<N>)
      set_number(name, value);
    else
      set_signed(name, value);
  }
  void set(std::string_view name, const std::vector<std::string>& values);
  void set(std::string_view name, const JsonObject& value);
  void set(std::string_view name, const std::vector<JsonObject>& values);

  bool has(std::string_view name) const;
  Result<std::string> text(std::string_view name) const;
  Result<uint64_t> number(std::string_view name) const;
  Result<int64_t> signed_number(std::string_view name) const;
  Result<bool> flag(std::string_view name) const;
  Result<std::vector<std::string>> texts(std::string_view name) const;
  Result<JsonObject> object(std::string_view name) const;
  Result<std::vector<JsonObject>> objects(std::string_view name) const;

 private:
  friend class JsonFields;
  struct State;
  void set_flag(std::string_view name, bool value);
  void set_number(std::string_view name, uint64_t value);
  void set_signed(std::string_view name, int64_t value);
  std::unique_ptr<State> state_;  // empty only after a move
};

// One walk over the members of a value, out of it (writing) or into it (reading). Bounds bind when reading;
// the first member that is missing, of the wrong type or out of bounds ends the walk, and status() tells its
// path.
class JsonFields {
 public:
  static JsonFields writer();
  static JsonFields reader(JsonObject object);
  JsonFields(JsonFields&&) noexcept;
  ~JsonFields();
  bool reading() const;
  Status status() const;
  JsonObject take();  // what was written

  void text(std::string_view name, std::string& value, size_t most, size_t least = 0);
  void texts(std::string_view name, std::vector<std::string>& values, size_t most_items, size_t most_length);
  void bytes(std::string_view name, Bytes& value, size_t most, size_t least = 0);  // as base64
  void flag(std::string_view name, bool& value);
  void id(std::string_view name, Uuid& value);
  void time(std::string_view name, Wall& value);
  void signed_number(std::string_view name, int64_t& value, int64_t least = INT64_MIN,
                     int64_t most = INT64_MAX);
  template <std::unsigned_integral N>
  void number(std::string_view name, N& value, std::type_identity_t<N> least = 0,
              std::type_identity_t<N> most = std::numeric_limits<N>::max()) {
    uint64_t wide = value;
    wide_number(name, wide, least, most);
    value = static_cast<N>(wide);
  }
  // An enumeration by its number, which must be one of `allowed`.
  template <class E>
  void choice(std::string_view name, E& value, std::initializer_list<E> allowed) {
    uint64_t wide = static_cast<uint64_t>(value);
    std::vector<uint64_t> numbers;
    for (const E one : allowed) numbers.push_back(static_cast<uint64_t>(one));
    listed_number(name, wide, numbers);
    value = static_cast<E>(wide);
  }
  template <class T>
  void object(std::string_view name, T& value) {
    if (!enter(name)) return;
    fields(*this, value);
    leave();
  }
  template <class T>
  void object(std::string_view name, std::optional<T>& value) {
    if (reading() ? absent(name) : !value) {
      if (reading()) value.reset();
      return;
    }
    if (reading()) value.emplace(Blank<T>::make());
    object(name, *value);
  }
  template <class T>
  void objects(std::string_view name, std::vector<T>& values, size_t most) {
    const size_t count = enter_array(name, values.size(), most);
    if (reading()) values.assign(count, Blank<T>::make());
    for (size_t i = 0; i < count && enter_element(i); ++i) {
      fields(*this, values[i]);
      leave();
    }
    leave();
  }
  // For a rule between members: ends the walk with "path.name: why" when reading.
  void refuse(std::string_view name, std::string_view why);

 private:
  struct State;
  explicit JsonFields(std::unique_ptr<State> state);
  void wide_number(std::string_view name, uint64_t& value, uint64_t least, uint64_t most);
  void listed_number(std::string_view name, uint64_t& value, const std::vector<uint64_t>& allowed);
  bool absent(std::string_view name) const;
  bool enter(std::string_view name);
  size_t enter_array(std::string_view name, size_t size, size_t most);
  bool enter_element(size_t index);
  void leave();
  std::unique_ptr<State> state_;
};

// --- any type with fields() ---
template <class T>
JsonObject to_json(T value) {
  JsonFields f = JsonFields::writer();
  fields(f, value);
  return f.take();
}
template <class T>
Result<T> from_json(JsonObject object) {
  JsonFields f = JsonFields::reader(std::move(object));
  T value = Blank<T>::make();
  fields(f, value);
  US_CHECK(f.status());
  return value;
}
template <class T>
std::string encode(const T& value) {
  return to_json(value).text();
}
template <class T>
Result<T> decode(std::string_view text, size_t most_bytes = limits::kMostState) {
  US_TRY(JsonObject object, JsonObject::parse(text, most_bytes));
  return from_json<T>(std::move(object));
}

// --- stored state says what it is ---
// {"kind":"...","value":{...},"version":1}
struct Sealed {
  uint32_t version = 0;
  JsonObject value;
};
std::string seal(std::string_view kind, uint32_t version, const JsonObject& value);
// Refuses another kind, and a version outside the range with the way out (it was written by a newer product).
Result<Sealed> unseal(std::string_view text, std::string_view kind, uint32_t least_version,
                      uint32_t most_version, size_t most_bytes = limits::kMostState);

}  // namespace understudy
