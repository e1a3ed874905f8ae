// Progress of anything that takes longer than two seconds: a bar that is drawn in place on a terminal, a line
// now and then elsewhere. Lives for one wait.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "base/time.h"

namespace understudy::cli {

inline constexpr Duration kProgressAfter = Duration::seconds(2);
inline constexpr Duration kProgressLineEvery = Duration::seconds(10);

struct ProgressState {
  std::string title;
  uint64_t percent = 0;
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;  // 0: not known
};

class Progress {
 public:
  Progress(std::ostream& out, bool draws, Monotonic start) : out_(out), draws_(draws), start_(start) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const ProgressState& state, Monotonic now);
  // Leaves the line of the bar empty.
  void clear();

 private:
  std::string amounts(const ProgressState& state, Monotonic now);

  std::ostream& out_;
  bool draws_;
  Monotonic start_;
  struct First {
    Monotonic at;
    uint64_t bytes;
  };
  std::optional<First> first_;  // what the rate is measured from
  std::optional<Monotonic> last_line_;
  std::string last_text_;
  bool drawn_ = false;
};

}  // namespace understudy::cli
