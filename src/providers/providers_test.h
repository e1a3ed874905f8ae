// A Host of plain values, and the real object manager over the real providers in front of it. For tests.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "cim/embedded.h"
#include "cim/object_manager.h"
#include "providers/providers.h"
#include "wsman/xml.h"

namespace understudy::providers {

inline const Uuid kRunning = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000001");
inline const Uuid kPrimary = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000002");
inline const Uuid kReplica = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000003");
inline const Uuid kOldPoint = *Uuid::parse("bbbbbbbb-0000-4000-8000-000000000001");
inline const Uuid kNewPoint = *Uuid::parse("bbbbbbbb-0000-4000-8000-000000000002");
inline const Uuid kJob = *Uuid::parse("cccccccc-0000-4000-8000-000000000001");
inline const Uuid kFailedJob = *Uuid::parse("cccccccc-0000-4000-8000-000000000002");
inline constexpr Wall kNow{1'765'965'322'000'000};
inline Wall ago(int64_t seconds) {
  return Wall{kNow.us - Duration::seconds(seconds).us};
}

class FakeHost : public Host {
 public:
  std::string name() const override { return "hosta.example"; }
  std::string product_version() const override { return "0.1"; }
  Wall now() const override { return kNow; }
  Result<std::vector<VmView>> vms() override {
    ++listings;
    if (libvirt_is_down) return fail(ErrorCode::not_available, "libvirt does not answer");
    return views;
  }
  Result<VmView> vm(const Uuid& id, Duration) override {
    if (libvirt_is_down) return fail(ErrorCode::not_available, "libvirt does not answer");
    for (const VmView& view : views)
      if (view.vm.id == id) return view;
    return fail(ErrorCode::not_found, "no VM " + id.lower());
  }
  std::vector<core::State> engines(const std::optional<Uuid>& vm) override {
    std::vector<core::State> found;
    for (const VmView& view : views)
      if (!vm || view.vm.id == *vm) found.push_back(view.state);
    return found;
  }
  std::optional<Uuid> vm_of_job(const Uuid& job) override {
    for (const VmView& view : views)
      for (const Job& one : view.state.jobs)
        if (one.id == job) return view.vm.id;
    return std::nullopt;
  }
  std::optional<Uuid> vm_of_point(const Uuid& point) override {
    for (const VmView& view : views)
      for (const RecoveryPoint& one : view.points)
        if (one.id == point) return view.vm.id;
    return std::nullopt;
  }
  bool listening() const override { return listens; }
  ServiceSettings service_settings() override { return service; }
  Status modify_service_settings(const ServiceSettings& settings) override {
    service = settings;
    return verdict ? Status() : Status(tl::unexpected<Error>(*verdict.error));
  }
  std::vector<AuthorizationEntry> authorization_entries() override { return entries; }
  Status add_authorization_entry(const AuthorizationEntry& entry) override {
    entries.push_back(entry);
    return {};
  }
  Status modify_authorization_entry(const AuthorizationEntry& entry) override {
    US_TRY(const auto known, entry_of(entry.allowed_primary_host_system));
    known->replica_storage_location = entry.replica_storage_location;
    known->trust_group = entry.trust_group;
    return {};
  }
  Status remove_authorization_entry(const std::string& allowed_primary_host_system) override {
    US_TRY(const auto known, entry_of(allowed_primary_host_system));
    entries.erase(known);
    return {};
  }
  std::vector<Bytes> certificates() override { return installed; }
  Status test_connection(const std::string& host, uint16_t port) override {
    auto tested = called("test " + host + " " + std::to_string(port));
    if (!tested) return fail(tested.error());
    return {};
  }
  MethodResult create_relationship(const Uuid& vm, const ReplicationSettings& settings) override {
    created = settings;
    return called("create " + vm.lower());
  }
  MethodResult modify_relationship(const Uuid& vm, const ReplicationSettings&,
                                   const ReplicationSettings& settings) override {
    created = settings;
    return called("modify " + vm.lower());
  }
  MethodResult start_replication(const Uuid& vm) override { return called("start " + vm.lower()); }
  MethodResult initiate_failover(const Uuid& vm, const std::optional<Uuid>& point) override {
    return called("failover " + vm.lower() + (point ? " to " + point->lower() : " to the latest"));
  }
  MethodResult remove_relationship(const Uuid& vm) override { return called("remove " + vm.lower()); }
  MethodResult revert_failover(const Uuid& vm) override { return called("revert " + vm.lower()); }
  MethodResult request_replication_state(const Uuid& vm, uint16_t requested) override {
    return called("state " + std::to_string(requested) + " of " + vm.lower());
  }
  MethodResult resynchronize(const Uuid& vm, std::optional<Wall> start) override {
    return called("resynchronize " + vm.lower() + (start ? " at " + iso_time(*start) : " now"));
  }
  MethodResult create_point(const Uuid& vm, bool application_consistent) override {
    return called((application_consistent ? "consistent point of " : "point of ") + vm.lower());
  }
  Result<std::vector<VmNic>> network_cards(const Uuid& vm) override {
    if (libvirt_is_down) return fail(ErrorCode::not_available, "libvirt does not answer");
    const auto found = cards.find(vm);
    return found == cards.end() ? std::vector<VmNic>() : found->second;
  }
  MethodResult set_network(const Uuid& vm, const std::vector<NicSettings>& settings) override {
    network = settings;
    return called("network of " + vm.lower());
  }
  MethodResult reset_statistics(const Uuid& vm) override { return called("reset " + vm.lower()); }
  Result<std::vector<HostFinding>> check(const Uuid& vm) override {
    auto checked = called("check " + vm.lower());
    if (!checked) return fail(checked.error());
    return findings;
  }
  MethodResult cancel_job(const Uuid& vm, const Uuid& job) override {
    return called("cancel " + job.lower() + " of " + vm.lower());
  }
  MethodResult request_power(const Uuid& vm, bool on) override {
    return called((on ? "power on " : "power off ") + vm.lower());
  }

  // What the next method answers.
  struct {
    std::optional<Error> error;
    std::optional<Uuid> job = kJob;
    explicit operator bool() const { return !error; }
  } verdict;
  bool libvirt_is_down = false;
  size_t listings = 0;  // how often all VMs were asked for
  bool listens = true;
  std::vector<VmView> views;
  ServiceSettings service;
  std::vector<AuthorizationEntry> entries;
  std::vector<Bytes> installed;
  ReplicationSettings created;
  std::map<Uuid, std::vector<VmNic>> cards;
  std::vector<NicSettings> network;
  std::vector<HostFinding> findings;
  std::string last_call;
  std::vector<std::string> calls;
  std::map<std::string, Error> refused;  // a call, as last_call has it: only this one is refused

 private:
  Result<std::vector<AuthorizationEntry>::iterator> entry_of(const std::string& name) {
    for (auto at = entries.begin(); at != entries.end(); ++at)
      if (cim::same_name(at->allowed_primary_host_system, name)) return at;
    return fail(ErrorCode::invalid_parameter, "no authorization entry is for '" + name + "'",
                "understudy authorizations");
  }
  MethodResult called(std::string what) {
    last_call = std::move(what);
    calls.push_back(last_call);
    if (verdict.error) return fail(*verdict.error);
    if (const auto found = refused.find(last_call); found != refused.end()) return fail(found->second);
    return verdict.job;
  }
};

inline VmView plain_view(const Uuid& id, const char* name, core::VmPower power) {
  VmView view;
  view.vm.id = view.state.vm = id;
  view.vm.name = view.state.name = name;
  view.vm.power = power;
  view.vm.vcpus = 2;
  view.vm.memory_kib = 1 << 20;
  return view;
}

// A VM that is not replicated, one that is the primary with its first copy running and a failed job, and a
// replica with two points.
inline std::vector<VmView> three_vms() {
  VmView alone = plain_view(kRunning, "alone", core::VmPower::running);
  alone.vm.process_id = 42;
  alone.state.definition.disks.resize(2);
  alone.state.definition.disks[0].target = "vda";
  alone.state.definition.disks[0].size = 1 << 30;
  alone.state.definition.disks[1].target = "vdb";

  VmView primary = plain_view(kPrimary, "db", core::VmPower::paused);
  primary.state.phase = core::Phase::sending;
  primary.state.settings.recovery_connection_point = "hostb.example";
  primary.state.settings.replication_interval = 30;
  primary.state.disks = {{"vda", 2 << 20}};
  primary.state.statistics.bytes = 12345;
  primary.state.warnings = {"network 'lan' is mapped to 'default'"};
  primary.health = {ReplicationHealth::warning, "the first copy is not complete", "wait", ago(60)};
  primary.issues = {primary.health};
  Job copy{kJob, JobType::send_initial, JobState::running, "First copy of db", ago(60), {}, 300, 1200, {}};
  Job failed{kFailedJob, JobType::start_replication, JobState::exception, "Start", ago(90), ago(80), 0, 0,
             {}};
  failed.error = Error(ErrorCode::no_space, "hostb.example has no space for db", "free 10 GiB there");
  primary.state.jobs = {failed, copy};

  VmView replica = plain_view(kReplica, "web", core::VmPower::off);
  replica.state.phase = core::Phase::standby;
  replica.state.primary_name = "hostc.example";
  replica.state.lineage = {kReplica, 3, 17};
  replica.state.times = {ago(10), ago(14), ago(9), PointType::standard, {}, {}, {}};
  replica.health.level = ReplicationHealth::ok;
  replica.points = {{kOldPoint, {kReplica, 3, 16}, PointType::standard, ago(3600), ago(3590), 5},
                    {kNewPoint, {kReplica, 3, 17}, PointType::planned, ago(14), ago(10), 6}};
  return {alone, primary, replica};
}

inline cim::Instance input(std::initializer_list<std::pair<const char*, cim::Value>> parameters) {
  cim::Instance in("INPUT");
  for (const auto& [name, value] : parameters) in.set(name, value);
  return in;
}

class ProvidersTest : public testing::Test {
 protected:
  ProvidersTest()
      : manager_(
            [](const auto&, auto, auto, auto) {
              return Result<cim::Reach>(cim::Reach{true, {}, true});
            },
            host_.name()) {
    host_.views = three_vms();
    register_providers(manager_, host_, [](std::string_view text) { return wsman::parse_xml(text); });
  }

  std::vector<cim::Item> enumerate(const std::string& class_name) { return ask({class_name, {}}); }
  std::vector<cim::Item> query(const std::string& wql) {
    cim::EnumerateRequest request;
    request.class_name = "*";
    request.filter.kind = cim::Filter::Kind::wql;
    request.filter.query = cim::wql::parse(wql);
    return ask(request);
  }
  // The only object of an ASSOCIATORS OF query.
  cim::Instance associated(const cim::ObjectPath& from, const std::string& result_class) {
    const auto items = query("ASSOCIATORS OF {" + from.text() + "} WHERE ResultClass = " + result_class);
    EXPECT_EQ(items.size(), 1U) << result_class;
    return items.empty() ? cim::Instance() : items.front().instance;
  }
  cim::ObjectPath path(const std::string& wql) {
    const auto items = query(wql);
    EXPECT_EQ(items.size(), 1U) << wql;
    return items.empty() ? cim::ObjectPath() : items.front().path;
  }
  cim::InvokeResult invoke(const cim::ObjectPath& target, const std::string& method,
                           const cim::Instance& in) {
    auto response = manager_.handle(kCaller, cim::InvokeRequest{target, method, in});
    EXPECT_TRUE(response) << (response ? "" : response.error().error.text());
    return response ? *response->invoked : cim::InvokeResult{99, {}, {}};
  }
  cim::InvokeResult call(const std::string& method, const cim::Instance& in) {
    return invoke(path("SELECT * FROM Msvm_ReplicationService"), method, in);
  }

  static inline const cim::Caller kCaller = [] {
    cim::Caller caller;
    caller.name = "root";
    return caller;
  }();
  FakeHost host_;
  cim::ObjectManager manager_;

 private:
  std::vector<cim::Item> ask(const cim::EnumerateRequest& request) {
    auto response = manager_.handle(kCaller, request);
    EXPECT_TRUE(response) << (response ? "" : response.error().error.text());
    return response ? response->items : std::vector<cim::Item>{};
  }
};

}  // namespace understudy::providers
