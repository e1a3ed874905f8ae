// Two clocks that are never mixed: Monotonic orders and measures within one run of the daemon, Wall is UTC
// and is what operators, points and certificates speak of. Both count microseconds; Wall from
// 1970-01-01T00:00:00Z.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace understudy {

struct Duration {
  int64_t us = 0;
  static constexpr Duration seconds(int64_t s) { return {s * 1'000'000}; }
  static constexpr Duration millis(int64_t ms) { return {ms * 1000}; }
  constexpr int64_t whole_seconds() const { return us / 1'000'000; }
  constexpr int64_t whole_millis() const { return us / 1000; }
  auto operator<=>(const Duration&) const = default;
};
constexpr Duration operator+(Duration a, Duration b) {
  return {a.us + b.us};
}
constexpr Duration operator-(Duration a, Duration b) {
  return {a.us - b.us};
}
constexpr Duration operator*(Duration a, int64_t n) {
  return {a.us * n};
}

struct Monotonic {
  int64_t us = 0;
  auto operator<=>(const Monotonic&) const = default;
};
constexpr Monotonic operator+(Monotonic t, Duration d) {
  return {t.us + d.us};
}
constexpr Duration operator-(Monotonic a, Monotonic b) {
  return {a.us - b.us};
}

struct Wall {
  int64_t us = 0;
  bool never() const { return us == 0; }  // shown as 1601-01-01T00:00:00Z, as real hosts do
  auto operator<=>(const Wall&) const = default;
};
constexpr Wall operator+(Wall t, Duration d) {
  return {t.us + d.us};
}
constexpr Duration operator-(Wall a, Wall b) {
  return {a.us - b.us};
}

// Both clocks at one instant, as the engine gets them.
struct Now {
  Monotonic monotonic;
  Wall wall;
};

// The seam behind which the clock stands; the simulator has its own.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Now now() const = 0;  // any thread
};
class SystemClock final : public Clock {
 public:
  Now now() const override;
};

uint32_t second_of_local_day(Wall t);                // 0..86400, in the time zone of the process
std::string iso_time(Wall t);                        // 2026-11-22T18:19:08.123456Z
Result<Wall> parse_iso_time(std::string_view text);  // the same, fraction and offset optional
std::string age_text(Duration d);                    // "14 s", "3 min 5 s", "2 h 10 min"

}  // namespace understudy
