// Situations that are rare and that must be reached: each is named, counted, and missed by the run when it never
// comes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/event.h"
#include "core/state.h"

namespace understudy::sim {

class World;
class Host;

enum class Rare : uint8_t { reply_recognised, count };
inline constexpr size_t kRares = static_cast<size_t>(Rare::count);
std::string_view rare_name(Rare rare);

class Watch {
 public:
  explicit Watch(World& world) : world_(world) {}
  void stepped(const Host& host, const core::State& before, const core::Event& event);
  void refused_to_start(const Host& host, const Error& error);
  void saw(Rare rare);
  const std::array<uint64_t, kRares>& counts() const { return counts_; }

 private:
  World& world_;
  std::array<uint64_t, kRares> counts_{};
};

}  // namespace understudy::sim
