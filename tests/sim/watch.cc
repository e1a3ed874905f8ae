#include "watch.h"

#include "world.h"

namespace understudy::sim {
namespace {
constexpr std::array<std::string_view, kRares> kNames = {"a lost reply is recognised by lineage"};
}

std::string_view rare_name(Rare rare) {
  return kNames.at(static_cast<size_t>(rare));
}

void Watch::saw(Rare rare) {
  ++counts_[static_cast<size_t>(rare)];
  world_.trace.text([&] { return "rare: " + std::string(rare_name(rare)); });
}

void Watch::stepped(const Host& host, const core::State& before, const core::Event& event) {
  const core::State& after = host.engine();
  if (std::holds_alternative<core::Inventoried>(event) && before.cut && after.base_sequence == before.cut->sequence)
    saw(Rare::reply_recognised);
}

void Watch::refused_to_start(const Host& host, const Error& error) {
  if (world_.faults.flipped() || !error.message().empty()) return;
  world_.oracle.violate("a daemon that does not start says why", host.name);
}

}  // namespace understudy::sim
