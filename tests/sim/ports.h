// The small adapters of a simulated host: its clock, ids, state database.
#pragma once

#include <map>

#include "core/engine.h"
#include "core/ports/state_db.h"
#include "fibers.h"
#include "random.h"

namespace understudy::sim {

class World;

class SimClock final : public Clock {
 public:
  explicit SimClock(Fibers& fibers) : fibers_(fibers) {}
  Now now() const override {
    const Monotonic monotonic = fibers_.now();
    return {monotonic, Wall{1'700'000'000'000'000 + monotonic.us + offset.us}};
  }
  Duration offset;  // a clock that was set

 private:
  Fibers& fibers_;
};

class SimIds final : public core::Ids {
 public:
  explicit SimIds(uint64_t seed) : random_(seed) {}
  Uuid next() override {
    std::array<uint8_t, 16> bytes{};
    for (size_t half = 0; half < 2; ++half) {
      const uint64_t value = random_.next();
      for (size_t i = 0; i < 8; ++i) bytes[half * 8 + i] = static_cast<uint8_t>(value >> (8 * i));
    }
    return Uuid::from_bytes(bytes);
  }

 private:
  Random random_;
};

// Rows are durable when put() returns; SQLite sees to that, and is not simulated.
class SimStateDb final : public core::StateDb {
 public:
  SimStateDb(World& world, int host) : world_(world), host_(host) {}
  Status put(const std::string& kind, const std::string& key, const std::string& text) override;
  Status remove(const std::string& kind, const std::string& key) override;
  Result<std::vector<std::pair<std::string, std::string>>> load(const std::string& kind) override;

  std::map<std::string, std::map<std::string, std::string>> rows;  // kind -> key -> text

 private:
  World& world_;
  const int host_;
};

}  // namespace understudy::sim
