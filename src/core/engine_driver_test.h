// Drives engines by hand in the unit tests of core/: a clock of its own, the answers of a healthy world, and
// short ways into the phases most tests begin in.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/engine.h"

namespace understudy::core::testing_driver {

struct CountingIds : Ids {
  uint8_t n = 0;
  Uuid next() override {
    std::array<uint8_t, 16> bytes{};
    bytes[0] = 0xaa;
    bytes[15] = ++n;
    return Uuid::from_bytes(bytes);
  }
};

template <class T>
const T* find(const Actions& actions) {
  for (const Action& a : actions)
    if (const T* found = std::get_if<T>(&a)) return found;
  return nullptr;
}
template <class T>
size_t position(const Actions& actions) {
  for (size_t i = 0; i < actions.size(); ++i)
    if (std::holds_alternative<T>(actions[i])) return i;
  return actions.size();
}

// Drives one engine by hand, with a clock of its own.
struct Driver {
  CountingIds ids;
  Engine engine;
  Now now{{1'000'000}, {1'700'000'000'000'000}};
  Actions last;

  explicit Driver(State state = {}) : engine(std::move(state), ids) {}
  const State& state() const { return engine.state(); }
  Actions& tell(const Event& event) {
    last = engine.step(event, now);
    // Whatever is persisted must be readable and equal again.
    if (const auto* persist = find<Persist>(last); persist && !persist->state.empty()) {
      const auto decoded = decode_state(persist->state);
      EXPECT_TRUE(decoded) << decoded.error().message();
      if (decoded) {
        EXPECT_EQ(encode_state(*decoded), persist->state);
      }
    }
    return last;
  }
  void pass(Duration d) {
    now.monotonic = now.monotonic + d;
    now.wall = now.wall + d;
  }
  // A restart of the daemon: only what was persisted last survives.
  void restart(const std::string& persisted) {
    State loaded = *decode_state(persisted);
    engine.~Engine();
    new (&engine) Engine(std::move(loaded), ids);
    tell(Started{});
  }
};

inline CallFacts running_vm() {
  CallFacts facts;
  facts.vm.name = "vm1";
  facts.vm.power = VmPower::running;
  return facts;
}

inline Driver ready_primary() {
  State initial;
  initial.vm = *Uuid::parse("11111111-2222-4333-8444-555555555555");
  Driver d(initial);
  CreateCall create;
  create.call = 7;
  create.facts = running_vm();
  create.settings.recovery_connection_point = "hostb";
  create.settings.replication_interval = 30;
  create.definition.name = "vm1";
  create.disks = {{"vda", 1 << 30}, {"vdb", 1 << 20}};
  d.tell(create);
  EXPECT_EQ(d.state().phase, Phase::creating);
  EXPECT_EQ(mode_of(d.state()), ReplicationMode::none);
  const auto* prepare = find<PreparePeer>(d.last);
  EXPECT_NE(prepare, nullptr);
  d.tell(PreparedPeer{prepare->id, std::vector<std::string>{"network 'lan' is not there"}, "HOSTB"});
  EXPECT_EQ(published_state(d.state()), ReplicationState::ready);
  return d;
}

inline OpenedJob opened(const Driver& d) {
  return {d.now.wall, false, {}, {}};
}
inline VmFacts healthy(const Driver& d) {
  VmFacts facts;
  facts.exists = true;
  facts.power = VmPower::running;
  if (!d.state().base_checkpoint.empty()) facts.checkpoints.push_back(d.state().base_checkpoint);
  if (d.state().cut && d.state().cut->made) facts.checkpoints.push_back(d.state().cut->checkpoint);
  return facts;
}
inline Holdings replica_of(const Driver& d) {
  Holdings h;
  h.mode = ReplicationMode::replica;
  h.state =
      d.state().first_copy_done() ? ReplicationState::replicating : ReplicationState::waiting_to_complete;
  h.lineage = {d.state().lineage.set, d.state().lineage.generation, d.state().base_sequence};
  if (d.state().copying() && d.state().passes > 0)
    h.staging = Staging{{h.lineage, d.state().passes - 1, TransferKind::pass},
                        {static_cast<uint32_t>(d.state().disks.size()), 0}};
  return h;
}

inline void to_inventory(Driver& d) {
  d.tell(TimerDue{});
  ASSERT_EQ(d.state().phase, Phase::inventory);
}
inline void to_cutting(Driver& d, VmFacts vm, Holdings replica) {
  const ActionId id = find<TakeInventory>(d.last)->id;
  d.tell(Inventoried{id, vm, replica});
  ASSERT_EQ(d.state().phase, Phase::queued);
  d.tell(SlotGranted{});
}
inline RecoveryPoint point_of(const Driver& d) {
  RecoveryPoint p;
  p.id = d.state().cut->point;
  p.lineage = {d.state().lineage.set, d.state().lineage.generation, d.state().cut->sequence};
  p.cut = d.state().cut->at;
  return p;
}
// One whole cycle or pass, with so many bytes found changed.
inline void cycle(Driver& d, uint64_t bytes) {
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  ASSERT_EQ(d.state().phase, Phase::cutting);
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), bytes});
  ASSERT_EQ(d.state().phase, Phase::sending);
  const ActionId id = find<Send>(d.last)->id;
  d.pass(Duration::seconds(1));
  if (d.state().cut->kind == TransferKind::pass)
    d.tell(Sent{id, std::optional<RecoveryPoint>(), bytes, {}});
  else
    d.tell(Sent{id, std::optional<RecoveryPoint>(point_of(d)), bytes, Duration::seconds(1)});
  ASSERT_EQ(d.state().phase, Phase::settling);
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  ASSERT_EQ(d.state().phase, Phase::idle);
}

inline Driver replicating_primary() {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  EXPECT_EQ(published_state(d.state()), ReplicationState::waiting_to_complete);
  cycle(d, 1 << 30);  // pass 0
  cycle(d, 1 << 20);  // closing increment
  EXPECT_EQ(published_state(d.state()), ReplicationState::replicating);
  return d;
}

inline PrepareAsk prepare_ask() {
  PrepareAsk ask;
  ask.call = 1;
  ask.peer = "hosta";
  ask.directory = "/srv/replicas/vm1";
  ask.definition.name = "vm1";
  ask.lineage = {*Uuid::parse("99999999-2222-4333-8444-555555555555"), 1, 0};
  ask.disks = {{"vda", 1 << 20}};
  return ask;
}
inline Driver preparing_replica() {
  State initial;
  initial.vm = *Uuid::parse("11111111-2222-4333-8444-555555555555");
  Driver d(initial);
  d.tell(prepare_ask());
  return d;
}
inline Driver waiting_replica() {
  Driver d = preparing_replica();
  d.tell(PreparedReplica{find<PrepareReplica>(d.last)->id, std::vector<std::string>()});
  EXPECT_TRUE(find<PrepareReply>(d.last)->warnings);
  EXPECT_EQ(published_state(d.state()), ReplicationState::waiting_to_complete);
  return d;
}

inline RecoveryPoint received_point(const Driver& d, uint64_t sequence) {
  RecoveryPoint p;
  p.id = *Uuid::parse("77777777-2222-4333-8444-555555555555");
  p.lineage = {d.state().lineage.set, d.state().lineage.generation, sequence};
  return p;
}

inline Driver standby_replica() {
  Driver d = waiting_replica();
  TransferKey key{{d.state().lineage.set, 1, 1}, 0, TransferKind::delta};
  d.tell(BeginAsk{2, "hosta", key, 65536});
  d.tell(StagingOpened{find<OpenStaging>(d.last)->id, Cursor{}});
  EXPECT_TRUE(find<BeginReply>(d.last)->cursor);
  d.tell(FinishAsk{3, "hosta", key, {}, PointType::standard, PointKeep::no, {}, 10});
  d.tell(Published{find<Publish>(d.last)->id, received_point(d, 1), false});
  EXPECT_TRUE(find<FinishReply>(d.last)->point);
  EXPECT_EQ(published_state(d.state()), ReplicationState::replicating);
  return d;
}

inline CallFacts stopped_vm() {
  CallFacts facts = running_vm();
  facts.vm.power = VmPower::off;
  return facts;
}

inline Driver failed_over_replica() {
  Driver d = standby_replica();
  const std::vector<RecoveryPoint> points = {received_point(d, 1)};
  d.tell(FailoverCall{9, stopped_vm(), {}, points, 0, {}});
  d.tell(Stopped{find<StopReceiving>(d.last)->id, points});
  d.tell(FailedOver{find<FailOver>(d.last)->id, {}});
  d.tell(Released{find<Release>(d.last)->id, {}});
  EXPECT_EQ(d.state().phase, Phase::failed_over);
  return d;
}

}  // namespace understudy::core::testing_driver
