// Wrong passwords, by where they came from. An address that has given kFreeAttempts of them within
// kAttemptsKept waits before it may try again: a second, then twice as long after each, kLongestWait at most.
// Names are not counted: whoever guesses at a name from elsewhere must not keep its owner out. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/time.h"

namespace understudy::authz {

inline constexpr uint32_t kFreeAttempts = 5;
inline constexpr Duration kAttemptsKept = Duration::seconds(900);
inline constexpr Duration kLongestWait = Duration::seconds(60);
inline constexpr size_t kMostAddresses = 4096;  // then the one that was wrong longest ago is forgotten

class Attempts {
 public:
  // `from` as a connection has it, with its port; of IPv6 the first half counts, which is one network.
  // How long this address still has to wait; zero: it may try.
  Duration wait(std::string_view from, Monotonic now);
  void failed(std::string_view from, Monotonic now);

 private:
  struct Failures {
    uint32_t count = 0;
    Monotonic last;
  };
  std::mutex mutex_;
  std::map<std::string, Failures> addresses_;
};

}  // namespace understudy::authz
