#include <gtest/gtest.h>

#include <atomic>
#include <latch>

#include "performer/core_loop.h"
#include "performer/progress.h"
#include "performer/worker_pool.h"
#include "store/testing/crash_files.h"

namespace understudy::performer {
namespace {

TEST(WorkerPool, RunsInOrderAndRefusesWhatIsTooMuch) {
  WorkerPool pool("test", 1, 2);
  std::latch started(1);
  std::latch go(1);
  std::latch done(2);
  std::string order;
  ASSERT_TRUE(pool.submit([&] {
    started.count_down();
    go.wait();
  }));
  started.wait();
  ASSERT_TRUE(pool.submit([&] { order += "a", done.count_down(); }));
  ASSERT_TRUE(pool.submit([&] { order += "b", done.count_down(); }));
  const Status full = pool.submit([] {});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), ErrorCode::out_of_memory);
  go.count_down();
  done.wait();
  EXPECT_EQ(order, "ab");
  pool.stop();
  EXPECT_EQ(pool.submit([] {}).error().code(), ErrorCode::cancelled);
}

TEST(Progress, NeverGoesBackAndAddsPasses) {
  Progress progress;
  Job job;
  job.id = Uuid::random();
  progress.report(job.id, 1, 50, 100);
  progress.report(job.id, 1, 40, 100);  // resumed a little earlier
  progress.fill(job);
  EXPECT_EQ(job.bytes_done, 50u);
  EXPECT_EQ(job.percent(), 50);
  progress.report(job.id, 1, 100, 100);
  progress.report(job.id, 2, 10, 60);
  progress.fill(job);
  EXPECT_EQ(job.bytes_done, 110u);
  EXPECT_EQ(job.bytes_total, 160u);
}

// Ports whose hypervisor knows one running VM and whose database can be made to fail: the core loop's own
// duties (barrier, answers, going on after a failed Persist) without any guest.
struct NoHypervisor final : core::Hypervisor {
  Error none() const { return Error(ErrorCode::not_available, "no hypervisor in this test"); }
  Result<std::string> host_name() override { return fail(none()); }
  Result<std::vector<core::VmSummary>> list() override { return fail(none()); }
  Result<core::VmSummary> find(const Uuid&) override { return fail(none()); }
  Result<core::VmFacts> inspect(const Uuid&) override { return fail(none()); }
  Status start(const Uuid&) override { return {}; }
  Status stop(const Uuid&) override { return fail(none()); }
  Result<VmDefinition> definition(const Uuid&) override { return fail(none()); }
  Result<std::vector<DiskGeometry>> replicable(const Uuid&, const std::vector<std::string>&) override {
    return fail(none());
  }
  Result<core::OpenedJob> open_job(const core::OpenJobRequest&) override { return fail(none()); }
  Status end_job(const Uuid&) override { return {}; }
  Status delete_checkpoint(const Uuid&, const std::string&) override { return {}; }
  Status watch_disks(const Uuid&, bool) override { return {}; }
  Status forget_disk_changes(const Uuid&) override { return {}; }
  Result<Bytes> nvram(const Uuid&) override { return Bytes(); }
  Status hold(const Uuid&, const std::string&) override { return {}; }
  Status lift_hold(const Uuid&) override { return {}; }
  Result<bool> held(const Uuid&) override { return false; }
  Result<std::vector<std::string>> check_replica(const core::ReplicaRequest&) override {
    return fail(none());
  }
  Status define_replica(const core::ReplicaRequest&) override { return fail(none()); }
  Status undefine(const Uuid&) override { return {}; }
  Status remove_managed_save(const Uuid&) override { return {}; }
  void on_event(std::function<void(const Uuid&, core::VmEvent)>) override {}
};
struct NoConnector final : transfer::Connector {
  Result<std::unique_ptr<transfer::Peer>> connect(const std::string&, uint16_t, Duration,
                                                  const CancelToken&) override {
    return fail(ErrorCode::not_available, "no link in this test");
  }
};
struct NoFiles final : store::Files {
  Error none() const { return Error(ErrorCode::not_found, "no files in this test"); }
  Result<std::unique_ptr<store::File>> open(const std::string&, store::OpenMode) override {
    return fail(none());
  }
  Result<bool> exists(const std::string&) override { return false; }
  Status rename(const std::string&, const std::string&) override { return fail(none()); }
  Status remove(const std::string&) override { return {}; }
  Status make_directory(const std::string&) override { return fail(none()); }
  Status sync_directory(const std::string&) override { return {}; }
  Result<std::vector<std::string>> list(const std::string&) override { return fail(none()); }
  Result<uint64_t> free_space(const std::string&) override { return fail(none()); }
};
struct FailingDb final : core::StateDb {
  std::atomic<bool> full = false;
  std::map<std::string, std::string> rows;  // written by the core thread, read after stop()
  Status put(const std::string&, const std::string& key, const std::string& text) override {
    if (full) return fail(ErrorCode::no_space, "no space left");
    rows[key] = text;
    return {};
  }
  Status remove(const std::string&, const std::string&) override { return {}; }
  Result<std::vector<std::pair<std::string, std::string>>> load(const std::string&) override {
    return std::vector<std::pair<std::string, std::string>>(rows.begin(), rows.end());
  }
};
struct RandomIds final : core::Ids {
  Uuid next() override { return Uuid::random(); }
};

struct World {
  NoHypervisor hypervisor;
  NoConnector connector;
  NoFiles files;
  FailingDb db;
  SystemClock clock;
  RandomIds ids;
  CoreLoop loop{Ports{hypervisor, connector, files, db, clock, ids, {}, {}}};
  const Uuid vm = Uuid::random();

  core::Reply power_on() {
    core::CallFacts facts;
    facts.vm.name = "vm1";
    const auto answer = loop.ask(
        vm,
        [&](core::CallId call) -> core::Event {
          return core::PowerCall{call, facts, true};
        },
        Duration::seconds(20));
    EXPECT_TRUE(answer) << answer.error().message();
    return std::get<core::Reply>(*answer);
  }
};

TEST(CoreLoop, AnswersAndRemembersTheJob) {
  World world;
  ASSERT_TRUE(world.loop.load());
  world.loop.start();
  const core::Reply reply = world.power_on();
  ASSERT_TRUE(reply.job);
  ASSERT_TRUE(reply.job->has_value());
  const auto state = world.loop.state(world.vm);
  ASSERT_TRUE(state);
  EXPECT_NE(core::find_job(*state, **reply.job), nullptr);
  world.loop.stop();
  EXPECT_EQ(world.db.rows.count(world.vm.lower()), 1u);
}

TEST(CoreLoop, WhatCannotBeStoredIsRefusedAndForgotten) {
  World world;
  ASSERT_TRUE(world.loop.load());
  world.loop.start();
  world.db.full = true;
  const core::Reply reply = world.power_on();
  ASSERT_FALSE(reply.job);
  EXPECT_EQ(reply.job.error().code(), ErrorCode::no_space);
  EXPECT_TRUE(world.loop.state(world.vm)->jobs.empty());
  world.db.full = false;
  EXPECT_TRUE(world.power_on().job);
  world.loop.stop();
}

TEST(CoreLoop, WhoeverWaitsIsToldWhenTheDaemonStops) {
  World world;
  ASSERT_TRUE(world.loop.load());
  world.loop.stop();
  const auto answer = world.loop.ask(
      world.vm,
      [](core::CallId call) -> core::Event {
        return core::StartCall{call, {}};
      },
      Duration::seconds(20));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::cancelled);
}

// A replica with one point, whose disk QEMU's user cannot be given.
TEST(Performer, AFailoverThatCannotBeCompletedLeavesTheReplicaReceiving) {
  World world;
  store::CrashFiles files;
  ASSERT_TRUE(files.make_directory("/s"));
  const Uuid set = Uuid::random();
  const auto made =
      store::ReplicaStore::create(files, "/s/vm", {world.vm, "vm1", set, 1, {{"vda", 1 << 20}}});
  ASSERT_TRUE(made) << made.error().text();
  const TransferKey key{{set, 1, 1}, 0, TransferKind::delta};
  ASSERT_TRUE((*made)->begin(key, 65536));
  const auto point = (*made)->finish({key, Uuid::random(), PointType::standard, {1}, {2}}, {});
  ASSERT_TRUE(point) << point.error().text();

  std::promise<core::Event> ended;
  WorkerPools pools;
  Performer performer(Ports{world.hypervisor,
                            world.connector,
                            files,
                            world.db,
                            world.clock,
                            world.ids,
                            {},
                            [](const std::vector<std::string>&) -> Status {
                              return fail(ErrorCode::not_available, "libvirt does not answer");
                            }},
                      pools.executors(),
                      [&](const Uuid&, core::Event event) { ended.set_value(std::move(event)); });
  core::State state;
  state.vm = world.vm;
  state.phase = core::Phase::standby;
  state.directory = "/s/vm";
  performer.adopt(state);
  performer.perform(state, core::FailOver{1, point->id, 2});
  const core::Event end = ended.get_future().get();
  performer.stop();
  EXPECT_FALSE(std::get<core::FailedOver>(end).status);
  EXPECT_FALSE((*performer.replica_store(world.vm))->failed_over());
}

}  // namespace
}  // namespace understudy::performer
