// Two hosts, what is between them, what happens to them, and who watches: everything of one seed.
#pragma once

#include <array>

#include "faults.h"
#include "host.h"
#include "operations.h"
#include "oracle.h"
#include "trace.h"
#include "transfer/throttle.h"
#include "watch.h"

namespace understudy::sim {

class World {
 public:
  World(uint64_t seed, bool print);
  ~World();
  // The whole life of the seed: true when everything held.
  bool run();

  Host& primary() { return *hosts[0]; }
  Host& replica() { return *hosts[1]; }
  std::string directory() const { return std::string(kStorage) + "/" + vm.lower(); }

  const uint64_t seed;
  Random random;
  Fibers fibers;
  Trace trace;
  Faults faults;
  Network network;
  Uuid vm;
  std::vector<DiskGeometry> disks;
  ReplicationSettings settings;
  uint32_t granule = 4096;
  uint64_t cursor_every = 0;                     // bytes of a transfer
  std::shared_ptr<transfer::Throttle> throttle;  // of the primary's link; may be null
  uint64_t slowness = 1;                         // of work: milliseconds, or seconds
  uint64_t haste = 0;  // of the operator: acts after one step in so many; 0: at times only
  Oracle oracle;
  Watch watch;
  Operations operations;
  std::array<std::unique_ptr<Host>, 2> hosts;
  uint64_t last_value = 0;             // of a block: none is written twice
  bool quiet = false;                  // faults are over
  std::optional<Monotonic> leaves_at;  // the operator removes the relationship from then on; none: never
  bool leaving() { return leaves_at && fibers.now() >= *leaves_at; }
  uint64_t steps = 0;
  uint64_t boots = 0;  // of the primary
  void look_around();  // what the checker of each daemon does, as far as it is simulated

 private:
  void draw_vm();
  void turn();  // one step of whoever can go on, or time passes
  void pass_time();
  void settle_dead();
  bool come_to_rest();
  bool normal();
  bool removed();
  void look_with_product();

  enum class Turn : uint8_t { guest, trouble, operation, count };
  std::array<Monotonic, static_cast<size_t>(Turn::count)> due_{};
  Monotonic ends_;
};

}  // namespace understudy::sim
