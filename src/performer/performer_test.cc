#include <gtest/gtest.h>

#include <atomic>

#include "performer/core_loop.h"
#include "performer/worker_pool.h"
#include "store/testing/crash_files.h"

namespace understudy::performer {
namespace {

// Ports whose hypervisor knows one running VM and whose database can be made to fail: the core loop's own
// duties (barrier, answers, going on after a failed Persist) without any guest.
struct NoHypervisor : core::Hypervisor {
  Error none() const { return Error(ErrorCode::not_available, "no hypervisor in this test"); }
  Result<std::string> host_name() override { return fail(none()); }
  Result<std::vector<core::VmSummary>> list() override { return fail(none()); }
  Result<core::VmSummary> find(const Uuid&) override { return fail(none()); }
  Result<core::VmFacts> inspect(const Uuid&) override { return fail(none()); }
  Status start(const Uuid&) override { return {}; }
  Status stop(const Uuid&) override { return fail(none()); }
  Result<std::vector<VmNic>> network_cards(const Uuid&) override { return fail(none()); }
  Status give_network(const Uuid&, const std::vector<NicSettings>&, const CancelToken&) override {
    return fail(none());
  }
  Result<VmDefinition> definition(const Uuid&) override { return fail(none()); }
  Result<std::vector<DiskGeometry>> replicable(const Uuid&, const std::vector<std::string>&) override {
    return fail(none());
  }
  Result<core::OpenedJob> open_job(const core::OpenJobRequest&) override { return fail(none()); }
  Status end_job(const Uuid&) override { return {}; }
  Status delete_checkpoint(const Uuid&, const std::string&) override { return {}; }
  Status delete_checkpoint_offline(const Uuid&, const std::string&) override { return {}; }
  Status watch_disks(const Uuid&, bool) override { return {}; }
  Status forget_disk_changes(const Uuid&) override { return {}; }
  Status agent_answers(const Uuid&) override { return fail(none()); }
  Result<Bytes> nvram(const Uuid&) override { return Bytes(); }
  Status hold(const Uuid&, const std::string&) override { return {}; }
  Status lift_hold(const Uuid&) override { return {}; }
  Result<bool> held(const Uuid&) override { return false; }
  Result<std::vector<std::string>> check_replica(const core::ReplicaRequest&) override {
    return fail(none());
  }
  Status define_replica(const core::ReplicaRequest&) override { return fail(none()); }
  Status undefine(const Uuid&) override { return {}; }
  Status disown(const Uuid&) override { return {}; }
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

TEST(StagingSink, TellsWhenSomethingCameLast) {
  struct : Clock {
    Monotonic at;
    Now now() const override { return {at, {1}}; }
  } clock;
  StagingSink sink(nullptr, clock, [](const Error&) {});  // as after close(): the other host may not know yet
  EXPECT_FALSE(sink.received());
  for (const int64_t us : {5'000'000, 9'000'000}) {
    clock.at = {us};
    EXPECT_EQ(sink.zero(0, 0, 4096).error().code(), ErrorCode::cancelled);
    EXPECT_EQ(sink.received(), clock.at);
  }
}

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

// The engine after a failed Persist has not been started: whatever comes first, its start comes before.
TEST(Core, AnEngineThatCouldNotBeStoredHearsOfItsStartFirst) {
  World world;
  WorkerPools pools;
  std::vector<std::string> events;
  Core core(Ports{world.hypervisor, world.connector, world.files, world.db, world.clock, world.ids, {}, {}},
            pools.executors(),
            {[](const Uuid&, core::Event) {}, [](Answer) {}, [](const core::State&) {},
             [&](const core::State&, const core::Event& event, const core::Engine&) {
               events.emplace_back(core::event_name(event.index()));
             }});
  core::PowerCall call{1, {}, true};
  call.facts.vm.name = "vm1";
  world.db.full = true;
  core.step(world.vm, call);
  world.db.full = false;
  core.step(world.vm, call);
  EXPECT_EQ(events, (std::vector<std::string>{"PowerCall", "Started", "PowerCall"}));
  core.performer().stop();
}

struct ReadyHypervisor final : NoHypervisor {
  Result<std::vector<std::string>> check_replica(const core::ReplicaRequest&) override {
    return std::vector<std::string>();
  }
  Status define_replica(const core::ReplicaRequest&) override {
    return define ? Status() : fail(ErrorCode::not_available, "libvirt does not answer");
  }
  Status undefine(const Uuid&) override {
    if (foreign) return fail(ErrorCode::access_denied, "it is no replica of ours");
    undefined = true;
    return {};
  }
  Status disown(const Uuid&) override {
    disowned = true;
    return {};
  }
  Status lift_hold(const Uuid&) override {
    lifted = true;
    return {};
  }
  bool define = true;
  bool foreign = false;  // the domain of that id
  bool disowned = false;
  bool lifted = false;
  bool undefined = false;
};

// A performer over a disk in memory; one action, and its end.
struct OneAction {
  World world;
  ReadyHypervisor hypervisor;
  store::CrashFiles files;
  std::atomic<bool> gives = true;
  core::State state;

  OneAction() {
    state.vm = world.vm;
    state.name = "vm1";
    state.phase = core::Phase::standby;
    state.directory = "/s/vm";
  }
  Ports ports(core::Hypervisor& on) {
    return {on,
            world.connector,
            files,
            world.db,
            world.clock,
            world.ids,
            {},
            [this](const std::vector<std::string>&) -> Status {
              return gives ? Status() : fail(ErrorCode::not_available, "libvirt does not answer");
            }};
  }
  core::Event perform(const core::Action& action) { return perform_all({action}).back(); }
  // One after the other, within one life of the performer; their ends.
  std::vector<core::Event> perform_all(const std::vector<core::Action>& actions) {
    std::promise<core::Event> ended;
    WorkerPools pools;
    Performer performer(ports(hypervisor), pools.executors(),
                        [&](const Uuid&, core::Event event) { ended.set_value(std::move(event)); });
    performer.adopt(state);
    std::vector<core::Event> ends;
    for (const core::Action& action : actions) {
      ended = {};
      performer.perform(state, action);
      ends.push_back(ended.get_future().get());
    }
    performer.stop();
    return ends;
  }
  // A replica with two points, in "/s/vm".
  void receive_two_points() {
    const core::PrepareReplica prepared = prepare();
    auto store = store::ReplicaStore::create(files, "/s/vm",
                                             {world.vm, "vm1", prepared.lineage.set, 1, prepared.disks});
    ASSERT_TRUE(store);
    for (uint64_t sequence = 1; sequence <= 2; ++sequence) {
      store::PointRequest request;
      request.key = {{prepared.lineage.set, 1, sequence}, sequence - 1, TransferKind::delta};
      request.id = Uuid::random();
      ASSERT_TRUE((*store)->begin(request.key, 65536));
      ASSERT_TRUE((*store)->finish(request, {24}));
    }
  }
  core::PrepareReplica prepare() const {
    core::PrepareReplica action{1, {}, "/s/vm", {Uuid::random(), 1, 0}, {{"vda", 1 << 20}}};
    action.definition.id = world.vm;
    action.definition.name = "vm1";
    return action;
  }
};

TEST(Performer, AFolderThatACrashLeftWithoutAManifestIsUsed) {
  OneAction test;
  test.state.phase = core::Phase::preparing;
  ASSERT_TRUE(test.files.make_directory("/s/vm"));
  const core::Event end = test.perform(test.prepare());
  EXPECT_TRUE(std::get<core::PreparedReplica>(end).warnings);
}

TEST(Performer, WhatCouldNotBePreparedGoesWithItsVmAndItsHold) {
  OneAction test;
  test.state.phase = core::Phase::preparing;
  test.hypervisor.define = false;
  const auto end = std::get<core::PreparedReplica>(test.perform(test.prepare()));
  EXPECT_FALSE(end.warnings || end.found);
  EXPECT_TRUE(*test.files.exists("/s/vm/manifest"));
  const core::Retire undo{2, true};
  EXPECT_TRUE(std::get<core::Retired>(test.perform(undo)).status);
  EXPECT_FALSE(*test.files.exists("/s/vm"));
  EXPECT_TRUE(test.hypervisor.undefined && test.hypervisor.lifted);
  EXPECT_TRUE(std::get<core::Retired>(test.perform(undo)).status) << "repeated";
}

TEST(Performer, AReplicaWithPointsThatCannotBePreparedAgainStaysAsItIs) {
  OneAction test;
  test.state.phase = core::Phase::preparing;
  test.receive_two_points();
  test.hypervisor.lifted = false;
  const auto end = std::get<core::PreparedReplica>(test.perform(test.prepare()));
  EXPECT_TRUE(!end.warnings && end.found);
  EXPECT_TRUE(std::get<core::Retired>(test.perform(core::Retire{2, true})).status);
  EXPECT_TRUE(*test.files.exists("/s/vm/manifest"));
  EXPECT_FALSE(test.hypervisor.undefined || test.hypervisor.lifted || test.hypervisor.disowned);
}

// Nothing was tried: an engine that is made anew leaves what there is of one that was lost; one that has a
// replica already gives it up.
TEST(Performer, WhatNoWorkerIsThereToPrepareIsLeftAsItIs) {
  struct Busy final : Executor {
    Status submit(std::function<void()>) override {
      return fail(ErrorCode::out_of_memory, "too much is queued");
    }
    void stop() override {}
  } workers;
  OneAction test;
  std::optional<core::PreparedReplica> end;
  Performer performer(test.ports(test.hypervisor), {workers, workers, workers},
                      [&](const Uuid&, core::Event event) { end = std::get<core::PreparedReplica>(event); });
  test.state.phase = core::Phase::preparing;
  performer.perform(test.state, test.prepare());
  ASSERT_TRUE(end);
  EXPECT_TRUE(!end->warnings && end->found);
  test.state.phase = core::Phase::waiting;
  performer.adopt(test.state);
  performer.perform(test.state, test.prepare());
  EXPECT_TRUE(!end->warnings && !end->found);
}

// Its engine was lost with the database; `understudy store recover` finds it again.
TEST(Performer, AFirstCopyThatIsUnderWayStaysWhenItCannotBePreparedAgain) {
  OneAction test;
  test.state.phase = core::Phase::preparing;
  const core::PrepareReplica action = test.prepare();
  ASSERT_TRUE(std::get<core::PreparedReplica>(test.perform(action)).warnings);
  {
    const auto store = store::ReplicaStore::open(test.files, "/s/vm");
    ASSERT_TRUE(store && (*store)->begin({{action.lineage.set, 1, 1}, 0, TransferKind::pass}, 65536));
    ASSERT_TRUE((*store)->advance({1, 0}));
  }
  test.hypervisor.define = false;
  const auto end = std::get<core::PreparedReplica>(test.perform(action));
  EXPECT_TRUE(!end.warnings && end.found);
  test.state.lineage = action.lineage;
  EXPECT_TRUE(std::get<core::Retired>(test.perform(core::Retire{2, true})).status);
  EXPECT_TRUE(*test.files.exists("/s/vm/manifest"));
  test.state.lineage.set = Uuid::random();  // that of another relationship does not
  EXPECT_TRUE(std::get<core::Retired>(test.perform(core::Retire{3, true})).status);
  EXPECT_FALSE(*test.files.exists("/s/vm"));
}

// They went with the replica's daemon, after the primary had asked what there was: the increment that closes
// them would stand there alone, and look like a whole copy.
TEST(Performer, AClosingIncrementIsRefusedWithoutItsPasses) {
  OneAction test;
  test.state.phase = core::Phase::waiting;
  const core::PrepareReplica prepared = test.prepare();
  ASSERT_TRUE(store::ReplicaStore::create(test.files, "/s/vm",
                                          {test.world.vm, "vm1", prepared.lineage.set, 1, prepared.disks}));
  const TransferKey closing{{prepared.lineage.set, 1, 2}, 0, TransferKind::delta};
  const auto begin = [&] {
    return std::get<core::StagingOpened>(test.perform(core::OpenStaging{1, 9, closing, 65536, {}})).cursor;
  };
  ASSERT_FALSE(begin());
  EXPECT_EQ(begin().error().code(), ErrorCode::invalid_state);
  {
    const auto store = store::ReplicaStore::open(test.files, "/s/vm");
    ASSERT_TRUE(store && (*store)->begin({{prepared.lineage.set, 1, 1}, 0, TransferKind::pass}, 65536));
    ASSERT_TRUE((*store)->advance({1, 0}));
  }
  EXPECT_TRUE(begin());
  EXPECT_TRUE(begin()) << "it goes on";
}

// The last to be submitted runs first.
struct LastFirst final : Executor {
  std::vector<std::function<void()>> works;
  Status submit(std::function<void()> work) override {
    works.push_back(std::move(work));
    return {};
  }
  void stop() override {}
  void run() {
    for (; !works.empty(); works.pop_back()) works.back()();
  }
};

TEST(Performer, AGuestIsLeftWithTheNetworkSettingsOfTheLastAction) {
  struct Guest final : NoHypervisor {
    std::vector<NicSettings> has;
    Status give_network(const Uuid&, const std::vector<NicSettings>& cards, const CancelToken&) override {
      has = cards;
      return {};
    }
  } guest;
  OneAction test;
  LastFirst workers;
  std::vector<core::NetworkGiven> ends;
  Performer performer(test.ports(guest), {workers, workers, workers}, [&](const Uuid&, core::Event event) {
    ends.push_back(std::get<core::NetworkGiven>(event));
  });
  NicSettings card;
  card.mac = "52:54:00:ab:cd:ef";
  for (const char* address : {"192.0.2.7/24", "192.0.2.8/24"}) {
    card.addresses = {*IpPrefix::parse(address)};
    test.state.network = {card};
    performer.perform(test.state, core::GiveNetwork{ends.size() + workers.works.size() + 1});
  }
  workers.run();
  EXPECT_EQ(guest.has, std::vector{card});
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_TRUE(ends[0].id == 2 && ends[0].status);
  EXPECT_TRUE(ends[1].id == 1 && !ends[1].status) << "it was replaced";
}

TEST(Performer, AVmOfThatIdWhichIsNotAReplicaIsLeftAlone) {
  OneAction test;
  test.state.phase = core::Phase::preparing;
  test.hypervisor.define = false;
  test.hypervisor.foreign = true;
  EXPECT_FALSE(std::get<core::PreparedReplica>(test.perform(test.prepare())).warnings);
  EXPECT_TRUE(std::get<core::Retired>(test.perform(core::Retire{2, true})).status);
  EXPECT_FALSE(*test.files.exists("/s/vm"));
  EXPECT_FALSE(test.hypervisor.undefined);
}

// What the store holds decides, whatever the engine believes: here it waits for a first point that is listed
// already.
TEST(Performer, AReplicaWithAPointIsNeverRemovedButBecomesAVm) {
  OneAction test;
  test.state.phase = core::Phase::waiting;
  test.receive_two_points();
  test.gives = false;  // the overlays are made, and then libvirt does not answer
  EXPECT_FALSE(std::get<core::Retired>(test.perform(core::Retire{1})).status);
  EXPECT_TRUE(*test.files.exists("/s/vm/manifest"));
  test.gives = true;
  EXPECT_TRUE(std::get<core::Retired>(test.perform(core::Retire{1})).status);
  EXPECT_FALSE(test.hypervisor.undefined);
  EXPECT_TRUE(test.hypervisor.disowned);
  EXPECT_FALSE(*test.files.exists("/s/vm/manifest"));
  EXPECT_NE(test.files.content("/s/vm/vda-active.qcow2").find("vda-1-2.qcow2"), std::string::npos)
      << "on the newest point";
  EXPECT_TRUE(std::get<core::Retired>(test.perform(core::Retire{1})).status) << "repeated";
  EXPECT_FALSE(test.hypervisor.undefined);
}

TEST(Performer, AReplicaWhoseEndIsNotKnownAsksTheDisk) {
  OneAction test;
  test.receive_two_points();
  bool refused = false;
  test.files.judge([&](store::CrashFiles::Operation operation, const std::string& path) {
    const bool renamed = operation == store::CrashFiles::Operation::sync_names && path == "/s/vm" &&
                         *test.files.exists("/s/vm/manifest.retired");
    if (!renamed || std::exchange(refused, true)) return store::CrashFiles::Verdict{};
    return store::CrashFiles::Verdict{Error(ErrorCode::failed, "the disk does not answer")};
  });
  const std::vector<core::Event> ends = test.perform_all({core::Retire{1}, core::Retire{2}});
  EXPECT_FALSE(std::get<core::Retired>(ends[0]).status);
  EXPECT_TRUE(std::get<core::Retired>(ends[1]).status);
}

// The manifest that lists it was renamed, and its sync failed: the sender is told that there is no point.
// What the disk says counts for a failover, and for what becomes of the replica.
TEST(Performer, TheLatestPointIsThatOfTheDiskWhenAPublicationBrokeOff) {
  for (const core::Action& then : {core::Action(core::StopReceiving{3}), core::Action(core::Retire{3})}) {
    OneAction test;
    test.receive_two_points();
    const auto set = (*store::ReplicaStore::open(test.files, "/s/vm"))->identity().set;
    const TransferKey key{{set, 1, 3}, 2, TransferKind::delta};
    const Uuid third = Uuid::random();
    bool refused = false;
    test.files.judge([&](store::CrashFiles::Operation operation, const std::string& path) {
      const bool listed = operation == store::CrashFiles::Operation::sync_names && path == "/s/vm" &&
                          test.files.content("/s/vm/manifest").find(third.lower()) != std::string::npos;
      if (!listed || std::exchange(refused, true)) return store::CrashFiles::Verdict{};
      return store::CrashFiles::Verdict{Error(ErrorCode::failed, "the disk does not answer")};
    });
    const auto ends = test.perform_all({core::OpenStaging{1, 9, key, 65536, {}},
                                        core::Publish{2, key, third, PointType::standard, {1}, {2}}, then});
    EXPECT_TRUE(std::get<core::StagingOpened>(ends[0]).cursor);
    EXPECT_FALSE(std::get<core::Published>(ends[1]).point);
    if (const auto* stopped = std::get_if<core::Stopped>(&ends[2])) {
      ASSERT_FALSE(stopped->points.empty());
      EXPECT_EQ(stopped->points.back().id, third);
    } else {
      EXPECT_NE(test.files.content("/s/vm/vda-active.qcow2").find("vda-1-3.qcow2"), std::string::npos);
    }
  }
}

TEST(Performer, AReplicaWithoutAPointIsRemovedWithItsVm) {
  OneAction test;
  test.state.phase = core::Phase::waiting;
  ASSERT_TRUE(std::get<core::PreparedReplica>(test.perform(test.prepare())).warnings);
  EXPECT_TRUE(std::get<core::Retired>(test.perform(core::Retire{1})).status);
  EXPECT_TRUE(test.hypervisor.undefined);
  EXPECT_FALSE(*test.files.exists("/s/vm"));
}

TEST(Performer, AStoreThatCouldNotBeOpenedIsOpenedLater) {
  OneAction test;
  ASSERT_TRUE(store::ReplicaStore::create(test.files, "/s/vm",
                                          {test.world.vm, "vm1", Uuid::random(), 1, {{"vda", 1 << 20}}}));
  WorkerPools pools;
  Performer performer(test.ports(test.hypervisor), pools.executors(), [](const Uuid&, core::Event) {});
  test.files.judge([](store::CrashFiles::Operation, const std::string&) {
    return store::CrashFiles::Verdict{Error(ErrorCode::no_space, "no space left")};
  });
  performer.adopt(test.state);
  EXPECT_FALSE(performer.replica_store(test.world.vm));
  test.files.judge(nullptr);
  EXPECT_TRUE(performer.replica_store(test.world.vm));
  performer.stop();
}

TEST(Performer, AFailoverOfAnEarlierLifeIsUndoneWhenItCannotBeCompleted) {
  OneAction test;
  const Uuid set = Uuid::random();
  const auto made =
      store::ReplicaStore::create(test.files, "/s/vm", {test.world.vm, "vm1", set, 1, {{"vda", 1 << 20}}});
  const TransferKey key{{set, 1, 1}, 0, TransferKind::delta};
  ASSERT_TRUE((*made)->begin(key, 65536));
  const auto point = (*made)->finish({key, Uuid::random(), PointType::standard, {1}, {2}}, {});
  ASSERT_TRUE(point && (*made)->fail_over(point->id, 2));
  test.gives = false;
  const core::Event end = test.perform(core::FailOver{1, point->id, 2});
  EXPECT_FALSE(std::get<core::FailedOver>(end).status);
  EXPECT_TRUE(std::get<core::FailedOver>(end).undone);
  EXPECT_FALSE((*store::ReplicaStore::open(test.files, "/s/vm"))->failed_over());
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
