// The operator: enables replication, asks for whatever can be asked for at any time, and in the end does what
// the product says is to be done.
#pragma once

#include "core/event.h"
#include "random.h"

namespace understudy::sim {

class World;
class Host;

class Operations {
 public:
  explicit Operations(World& world) : world_(world) {}
  // Until there is a relationship: asks for it again whenever there is none.
  void enable();
  void act();
  // One thing that a host's words ask for, if any.
  void obey();
  Duration until_next();

  void create();
  void start_copy();
  void fail_over();
  void revert();
  void ask_state(Host& host, uint16_t requested);  // 3 resume, 7 pause, 9 cancel the resync
  void resync(bool later);
  void make_point();
  void change_settings();
  void power(Host& host, bool on);
  void remove(Host& host);
  void set_network(Host& host);
  void cancel_job(Host& host);
  void reset_statistics(Host& host);
  void rename_primary();
  void behind_the_back(Host& host);  // of a daemon that is dead: its VM is started, or turned off
  bool mends = false;                // the newest point, by a resync

 private:
  void start_at_once(Host& host);  // by hand, past the product
  void cancel(Host& host, const Uuid& job);
  void send_network(Host& host, core::NetworkCall call);
  bool network_is_settled(Host& host);
  bool mend();
  core::CallFacts facts(Host& host);

  World& world_;
};

}  // namespace understudy::sim
