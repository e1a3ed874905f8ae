// A fuzzer is one file NAME_fuzz.cc with one function that takes any bytes and must return: US_FUZZER(NAME,
// input) { ... }. What it promises beyond that it says with US_ASSERT. docs/develop/fuzzing.md.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/assert.h"

namespace understudy::fuzz {

using Function = void (*)(std::string_view input);

// All fuzzers of this program; the replay has every one, a fuzzing program its own.
struct Fuzzer {
  Fuzzer(std::string_view its_name, Function its_function)
      : name(its_name), function(its_function), next(first) {
    first = this;
  }
  std::string_view name;
  Function function;
  const Fuzzer* next;
  static inline const Fuzzer* first = nullptr;
};

// Takes the text up to `mark` (or all of it) off the front.
inline std::string_view take(std::string_view& text, char mark) {
  const size_t at = text.find(mark);
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return head;
}
// Takes one byte off the front; 0 when there is none.
inline uint8_t take_byte(std::string_view& text) {
  if (text.empty()) return 0;
  const auto byte = static_cast<uint8_t>(text.front());
  text.remove_prefix(1);
  return byte;
}

}  // namespace understudy::fuzz

#define US_FUZZER(name, input)                                               \
  static void fuzz_##name(std::string_view input);                           \
  static const ::understudy::fuzz::Fuzzer fuzzer_##name(#name, fuzz_##name); \
  static void fuzz_##name(std::string_view input)
