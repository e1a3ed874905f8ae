#include "cim/object_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cim/typed.h"

namespace understudy::cim {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

Caller caller(std::string name) {
  Caller result;
  result.name = std::move(name);
  return result;
}
const Caller kReader = caller("reader"), kAdmin = caller("admin");

EnumerateRequest wql_request(std::string text, std::string class_name = "*") {
  EnumerateRequest request;
  request.class_name = std::move(class_name);
  request.filter.kind = Filter::Kind::wql;
  request.filter.query = wql::parse(text);
  return request;
}

// A fixed set of instances of one class; remembers the last call.
class Fixed : public Provider {
 public:
  explicit Fixed(std::string name, std::vector<Instance> all = {})
      : name_(std::move(name)), all_(std::move(all)) {
    for (const Instance& i : all_) {
      const Status status = conforms(i);
      EXPECT_TRUE(status) << (status ? "" : status.error().text());
    }
  }
  std::string_view class_name() const override { return name_; }
  Result<std::vector<Instance>> enumerate(const Context&) override {
    if (broken) return fail(ErrorCode::not_available, "the hypervisor is away");
    return all_;
  }
  Result<InvokeResult> invoke(const Context& context, const ObjectPath& path, const Instance& instance,
                              std::string_view method, const Instance& parameters) override {
    if (method == "StopService") return Provider::invoke(context, path, instance, method, parameters);
    called = std::string(method) + " on " + path.text() + " by " + context.caller.name;
    given = parameters;
    if (method == "CommitFailover") return fail(ErrorCode::invalid_state, "not failed over");
    InvokeResult result;
    result.return_value = 4096;
    result.out.set("Job", ObjectPath{"Msvm_ConcreteJob", {{"InstanceID", "7"}}});
    return result;
  }

  void all(std::vector<Instance> now) { all_ = std::move(now); }

  bool broken = false;
  std::string called;
  Instance given;

 private:
  std::string name_;
  std::vector<Instance> all_;
};

Instance system(const char* name, unsigned state) {
  return Instance("Msvm_ComputerSystem")
      .set("CreationClassName", "Msvm_ComputerSystem")
      .set("Name", name)
      .set("ElementName", std::string("vm ") + name)
      .set("EnabledState", state)
      .set("LastReplicationTime", DateTime::at(Wall{}));
}
Instance service(const char* class_name) {
  return Instance(class_name)
      .set("SystemCreationClassName", "Msvm_ComputerSystem")
      .set("SystemName", "HOST")
      .set("CreationClassName", class_name)
      .set("Name", "svc");
}
Instance settings(const char* class_name, const char* id) {
  return Instance(class_name).set("InstanceID", id);
}
Instance link(const char* class_name, const char* a, const Instance& from, const char* b,
              const Instance& to) {
  return Instance(class_name).set(a, path_of(from)).set(b, path_of(to));
}

struct ObjectManagerTest : testing::Test {
  ObjectManagerTest()
      : manager(
            [](const Caller& caller, Right right, std::string_view, std::string_view) -> Result<Reach> {
              if (caller.name == "nobody" || (right == Right::execute && caller.name != "admin"))
                return fail(ErrorCode::access_denied, caller.name + " may not do this");
              return Reach{true, {}, true};
            },
            "HOST",
            [this](const Called& one) {
              std::string line = one.caller.name + " " + std::string(one.method) + " " +
                                 (one.result ? std::to_string(one.result->return_value)
                                  : providers[std::string(one.class_name)]->called.empty() ? "begins"
                                                                                           : "has begun");
              for (const std::string& object : one.objects) line += " " + object;
              witnessed.push_back(line);
            }) {
    const Instance host = system("HOST", 2), a = system("AAA", 2), b = system("BBB", 3);
    const Instance replication = service("Msvm_ReplicationService");
    const Instance vssd = settings("Msvm_VirtualSystemSettingData", "Microsoft:AAA");
    const Instance rsd = settings("Msvm_ReplicationSettingData", "Microsoft:AAA\\HVR\\0");
    const Instance rsd_b = settings("Msvm_ReplicationSettingData", "Microsoft:BBB\\HVR\\0");
    add("Msvm_ComputerSystem", {host, a, b});
    add("Msvm_ReplicationService", {replication});
    add("Msvm_VirtualSystemManagementService", {service("Msvm_VirtualSystemManagementService")});
    add("Msvm_VirtualSystemSettingData", {vssd});
    add("Msvm_ReplicationSettingData", {rsd, rsd_b});
    add("Msvm_SettingsDefineState",
        {link("Msvm_SettingsDefineState", "ManagedElement", a, "SettingData", vssd),
         link("Msvm_SettingsDefineState", "ManagedElement", a, "SettingData", rsd),
         link("Msvm_SettingsDefineState", "ManagedElement", b, "SettingData", rsd_b)});
    add("Msvm_HostedService", {link("Msvm_HostedService", "Antecedent", host, "Dependent", replication)});
    add("Msvm_ReplicaSystemDependency",
        {link("Msvm_ReplicaSystemDependency", "Antecedent", a, "Dependent", b),
         link("Msvm_ReplicaSystemDependency", "Antecedent", a, "Dependent", system("GONE", 3))});
  }
  Fixed& add(const char* name, std::vector<Instance> all) {
    auto provider = std::make_unique<Fixed>(name, std::move(all));
    Fixed& result = *provider;
    providers[name] = &result;
    manager.add(std::move(provider));
    return result;
  }
  std::vector<std::string> paths(const EnumerateRequest& request) {
    const auto outcome = manager.handle(kReader, request);
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().error.text());
    std::vector<std::string> result;
    if (outcome)
      for (const Item& item : outcome->items)
        result.push_back(item.path.class_name + ":" + item.path.keys.begin()->second +
                         (item.path.keys.contains("Name") ? "/" + item.path.keys.at("Name") : ""));
    return result;
  }
  std::vector<std::string> wql(const std::string& text, const std::string& class_name = "*") {
    return paths(wql_request(text, class_name));
  }
  Fault fault(const Request& request, const Caller& caller = kAdmin) {
    const auto outcome = manager.handle(caller, request);
    EXPECT_FALSE(outcome);
    return outcome ? Fault{Error(ErrorCode::failed, ""), "none", "none"} : outcome.error();
  }
  std::string fault_code(const Request& request, const Caller& caller = kAdmin) {
    const Fault f = fault(request, caller);
    return f.detail.empty() ? f.subcode : f.subcode + "/" + f.detail;
  }
  InvokeRequest call(const std::string& method, Instance parameters = Instance("METHOD_INPUT")) {
    return {{"Msvm_ReplicationService", {}}, method, std::move(parameters)};
  }

  std::vector<std::string> witnessed;
  ObjectManager manager;
  std::map<std::string, Fixed*> providers;
};

const std::string kA = "Msvm_ComputerSystem:Msvm_ComputerSystem/AAA";
const std::string kB = "Msvm_ComputerSystem:Msvm_ComputerSystem/BBB";
const std::string kVssd = "Msvm_VirtualSystemSettingData:Microsoft:AAA";
const std::string kRsd = "Msvm_ReplicationSettingData:Microsoft:AAA\\HVR\\0";
const std::string kObjectA = "{Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='aaa'}";

// --- Get ---

TEST_F(ObjectManagerTest, GetByFullAndByPartialKeys) {
  for (const ObjectPath& path :
       {ObjectPath{"Msvm_ComputerSystem", {{"CreationClassName", "Msvm_ComputerSystem"}, {"Name", "aaa"}}},
        ObjectPath{"msvm_computersystem", {{"NAME", "AAA"}}}, ObjectPath{"CIM_System", {{"Name", "AAA"}}}}) {
    const auto outcome = manager.handle(kReader, GetRequest{path});
    ASSERT_TRUE(outcome) << outcome.error().error.text();
    ASSERT_EQ(outcome->items.size(), 1u);
    EXPECT_EQ(outcome->items[0].path.class_name, "Msvm_ComputerSystem");
    EXPECT_EQ(outcome->items[0].instance.get("ElementName").text(), "vm AAA");
  }
  EXPECT_TRUE(manager.handle(
      kReader, GetRequest{{"Msvm_ReplicationService", {{"CreationClassName", "Msvm_ReplicationService"}}}}));
  EXPECT_TRUE(manager.handle(kReader, GetRequest{{"Msvm_ReplicationService", {}}}));
}

TEST_F(ObjectManagerTest, GetFaults) {
  EXPECT_EQ(fault_code(GetRequest{{"Nothing", {}}}), "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(fault_code(GetRequest{{"Msvm_ReplicationStatistics", {}}}),
            "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(fault_code(GetRequest{
                {"Msvm_ComputerSystem", {{"CreationClassName", "Msvm_ComputerSystem"}, {"Name", "CCC"}}}}),
            "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(fault_code(GetRequest{{"Msvm_ComputerSystem", {{"CreationClassName", "Msvm_ComputerSystem"}}}}),
            "w:InvalidSelectors/InsufficientSelectors");
  EXPECT_EQ(fault_code(GetRequest{{"Msvm_ComputerSystem", {{"Name", "CCC"}}}}),
            "w:InvalidSelectors/InvalidValue");
  EXPECT_EQ(fault_code(GetRequest{{"Msvm_ComputerSystem", {{"ElementName", "vm AAA"}}}}),
            "w:InvalidSelectors/UnexpectedSelectors");
  EXPECT_EQ(fault_code(GetRequest{{"Msvm_SettingsDefineState", {{"ManagedElement", "=?"}}}}),
            "w:InvalidSelectors/InvalidValue");
}

// --- a caller who is limited to some VMs ---

const Uuid kMine = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000001");
const Uuid kOther = *Uuid::parse("bbbbbbbb-0000-4000-8000-000000000002");
const Uuid kMyJob = *Uuid::parse("cccccccc-0000-4000-8000-000000000003");
const Uuid kOtherJob = *Uuid::parse("dddddddd-0000-4000-8000-000000000004");

struct LimitedCaller : testing::Test {
  LimitedCaller()
      : manager(
            [](const Caller&, Right right, std::string_view class_name,
               std::string_view method) -> Result<Reach> {
              if (right == Right::execute && method == "AddAuthorizationEntry")
                return fail(ErrorCode::access_denied, "not this");
              return Reach{
                  false, {kMine}, right == Right::read && class_name != "Msvm_ReplicationServiceSettingData"};
            },
            "HOST", nullptr,
            [](const Uuid& guid) { return guid == kMyJob      ? kMine
                                          : guid == kOtherJob ? kOther
                                                              : guid; }) {
    const Instance host = system("HOST", 2), mine = system(kMine.upper().c_str(), 2),
                   other = system(kOther.upper().c_str(), 2);
    add("Msvm_ComputerSystem", {host, mine, other});
    add("Msvm_ReplicationService", {service("Msvm_ReplicationService")});
    add("Msvm_ReplicationServiceSettingData",
        {settings("Msvm_ReplicationServiceSettingData", "Microsoft:HOST")});
    const Instance rsd =
        settings("Msvm_ReplicationSettingData", ("Microsoft:" + kMine.upper() + "\\HVR\\0").c_str());
    const Instance rsd_b =
        settings("Msvm_ReplicationSettingData", ("Microsoft:" + kOther.upper() + "\\HVR\\0").c_str());
    add("Msvm_ReplicationSettingData", {rsd, rsd_b});
    add("Msvm_SettingsDefineState",
        {link("Msvm_SettingsDefineState", "ManagedElement", mine, "SettingData", rsd),
         link("Msvm_SettingsDefineState", "ManagedElement", mine, "SettingData", rsd_b),
         link("Msvm_SettingsDefineState", "ManagedElement", other, "SettingData", rsd_b)});
    jobs = add("Msvm_ConcreteJob", {settings("Msvm_ConcreteJob", kMyJob.upper().c_str()),
                                    settings("Msvm_ConcreteJob", kOtherJob.upper().c_str())});
  }
  Fixed* add(const char* name, std::vector<Instance> all) {
    auto provider = std::make_unique<Fixed>(name, std::move(all));
    Fixed* result = provider.get();
    manager.add(std::move(provider));
    return result;
  }
  size_t count(const EnumerateRequest& request) {
    const auto outcome = manager.handle(kReader, request);
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().error.text());
    return outcome ? outcome->items.size() : 99;
  }
  static ObjectPath vm(const Uuid& id) {
    return {"Msvm_ComputerSystem", {{"CreationClassName", "Msvm_ComputerSystem"}, {"Name", id.upper()}}};
  }
  uint32_t call(const ObjectPath& target, const std::string& method, const Instance& in) {
    const auto outcome = manager.handle(kReader, InvokeRequest{target, method, in});
    return outcome ? outcome->invoked->return_value : 0;
  }
  ObjectManager manager;
  Fixed* jobs = nullptr;
};

TEST_F(LimitedCaller, SeesTheHostAndItsOwnVmAndNoOther) {
  EXPECT_EQ(count({"Msvm_ComputerSystem", {}}), 2u);
  EXPECT_EQ(count({"Msvm_ReplicationService", {}}), 1u);
  EXPECT_EQ(count({"Msvm_ReplicationServiceSettingData", {}}), 0u);
  EXPECT_EQ(count({"Msvm_ConcreteJob", {}}), 1u);
  EXPECT_EQ(count({"Msvm_SettingsDefineState", {}}), 1u) << "a link to what is another's is not shown";
  EXPECT_EQ(count(wql_request("SELECT * FROM Msvm_ReplicationSettingData")), 1u);
  EXPECT_EQ(count(wql_request("ASSOCIATORS OF {" + vm(kMine).text() + "}")), 1u);
  EXPECT_EQ(count(wql_request("REFERENCES OF {" + vm(kMine).text() + "}")), 1u);
  EXPECT_TRUE(manager.handle(kReader, GetRequest{vm(kMine)}));
  EXPECT_FALSE(manager.handle(kReader, GetRequest{vm(kOther)}));
  EXPECT_FALSE(manager.handle(kReader, wql_request("ASSOCIATORS OF {" + vm(kOther).text() + "}")));
}

TEST_F(LimitedCaller, ActsOnItsOwnVmAndNoOther) {
  const ObjectPath replication{"Msvm_ReplicationService", {}};
  const auto failover = [&](const Uuid& vm_id, const std::string& point) {
    Instance in("METHOD_INPUT");
    in.set("ComputerSystem", vm(vm_id));
    if (!point.empty())
      in.set("SnapshotSettingData", ObjectPath{"Msvm_VirtualSystemSettingData", {{"InstanceID", point}}});
    return call(replication, "InitiateFailover", in);
  };
  EXPECT_EQ(failover(kMine, ""), 4096u);
  EXPECT_EQ(failover(kOther, ""), 32769u);
  EXPECT_EQ(failover(kMine, "Microsoft:" + kOther.upper()), 32769u) << "each object that is named counts";
  EXPECT_EQ(call(replication, "InitiateFailover", Instance("METHOD_INPUT")), 32769u) << "none is named";
  Instance text("METHOD_INPUT");
  text.set("AuthorizationEntry", "storage /srv/" + kMine.lower());
  EXPECT_EQ(call(replication, "AddAuthorizationEntry", text), 32769u);
  Instance settings_of_another("METHOD_INPUT");
  settings_of_another.set("ReplicationSettingData",
                          "<INSTANCE>Microsoft:{" + kOther.lower() + "}\\HVR\\0</INSTANCE>");
  EXPECT_EQ(call(replication, "ModifyReplicationSettings", settings_of_another), 32769u);
}

TEST_F(LimitedCaller, LeavingKeysOutReachesNothingElse) {
  jobs->all({settings("Msvm_ConcreteJob", kOtherJob.upper().c_str())});
  Instance in("METHOD_INPUT");
  in.set("RequestedState", "4");
  in.set("TimeoutPeriod", kMine.lower());
  EXPECT_NE(call({"Msvm_ConcreteJob", {}}, "RequestStateChange", in), 4096u);
  EXPECT_EQ(jobs->called, "");
  EXPECT_FALSE(manager.handle(
      kReader,
      InvokeRequest{
          {"Msvm_ConcreteJob", {{"InstanceID", kOtherJob.upper()}}}, "GetError", Instance("METHOD_INPUT")}));
  EXPECT_EQ(jobs->called, "");
}

TEST_F(ObjectManagerTest, EveryCallIsWitnessedAlsoOneThatIsRefused) {
  InvokeRequest failover = call("InitiateFailover");
  failover.parameters.set("ComputerSystem", ObjectPath{"Msvm_ComputerSystem", {{"Name", "AAA"}}});
  EXPECT_TRUE(manager.handle(kAdmin, failover));
  EXPECT_TRUE(manager.handle(kReader, failover));
  EXPECT_FALSE(manager.handle(kReader, call("StartService")));  // a fault: it has no number for it
  const std::string target = path_of(service("Msvm_ReplicationService")).text();
  const std::string given = failover.path.text(), vm = " Msvm_ComputerSystem.Name=\"AAA\"";
  EXPECT_THAT(witnessed, ElementsAre("admin InitiateFailover begins " + target + vm,
                                     "admin InitiateFailover 4096 " + target + vm,
                                     "reader InitiateFailover 32769 " + given + vm,
                                     "reader StartService 32769 " + call("StartService").path.text()));
}

TEST_F(ObjectManagerTest, RightsComeBeforeEverything) {
  const Caller nobody = caller("nobody");
  EXPECT_EQ(fault_code(GetRequest{{"Nothing", {}}}, nobody), "w:AccessDenied");
  EXPECT_EQ(fault_code(wql_request("broken"), nobody), "w:AccessDenied");
  EXPECT_EQ(fault_code(call("StartService"), kReader), "w:AccessDenied");
  const auto refused = manager.handle(kReader, call("InitiateFailover"));  // its own numbers have one for it
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->invoked->return_value, 32769U);
  EXPECT_EQ(refused->invoked->error->code(), ErrorCode::access_denied);
  EXPECT_EQ(fault(call("NoSuch"), kReader).error.code(), ErrorCode::access_denied);
}

TEST_F(ObjectManagerTest, AProvidersErrorIsTheFault) {
  providers["Msvm_ComputerSystem"]->broken = true;
  const Fault f = fault(EnumerateRequest{"Msvm_ComputerSystem", {}});
  EXPECT_EQ(f.error.code(), ErrorCode::not_available);
  EXPECT_EQ(f.subcode, "");
}

// --- Enumerate ---

TEST_F(ObjectManagerTest, EnumerationIsDeep) {
  EXPECT_THAT(paths({"CIM_VirtualSystemSettingData", {}}),
              UnorderedElementsAre(kVssd, kRsd, "Msvm_ReplicationSettingData:Microsoft:BBB\\HVR\\0"));
  EXPECT_EQ(paths({"CIM_ManagedElement", {}}).size(), 8u);
  EXPECT_THAT(paths({"Msvm_ConcreteJob", {}}), ElementsAre());
  EXPECT_EQ(fault_code(EnumerateRequest{"Nothing", {}}), "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(fault_code(EnumerateRequest{"*", {}}), "a:DestinationUnreachable/InvalidResourceURI");
}

TEST_F(ObjectManagerTest, WqlSelects) {
  EXPECT_THAT(wql("SELECT * FROM Msvm_ComputerSystem WHERE Name != __SERVER "), ElementsAre(kA, kB));
  EXPECT_THAT(wql("SELECT * FROM Msvm_ComputerSystem WHERE EnabledState = 3", "Msvm_ComputerSystem"),
              ElementsAre(kB));
  EXPECT_THAT(wql("SELECT * FROM Msvm_ComputerSystem WHERE EnabledState = 3", "CIM_System"), ElementsAre(kB));
  const auto outcome =
      manager.handle(kReader, wql_request("SELECT name, EnabledState, NAME FROM CIM_System"));
  ASSERT_TRUE(outcome);
  EXPECT_THAT(outcome->items.at(0).selected, ElementsAre("EnabledState", "Name"));
}

TEST_F(ObjectManagerTest, WqlFaults) {
  for (const char* text : {"SELECT", "SELECT * FROM Nothing", "SELECT Nope FROM Msvm_ComputerSystem",
                           "SELECT * FROM Msvm_ComputerSystem WHERE Nope = 1"})
    EXPECT_EQ(fault_code(wql_request(text)), "n:CannotProcessFilter") << text;
  EXPECT_EQ(fault_code(wql_request("SELECT * FROM Msvm_ComputerSystem", "Msvm_ConcreteJob")),
            "n:CannotProcessFilter");
}

TEST_F(ObjectManagerTest, SelectorDialect) {
  const auto with = [](std::map<std::string, std::string, NameLess> values) {
    EnumerateRequest request;
    request.class_name = "Msvm_ComputerSystem";
    request.filter.kind = Filter::Kind::selector;
    request.filter.selectors = std::move(values);
    return request;
  };
  EXPECT_THAT(paths(with({{"enabledstate", "2"}, {"ElementName", "VM AAA"}})), ElementsAre(kA));
  EXPECT_THAT(paths(with({{"EnabledState", "0x3"}})), ElementsAre(kB));
  EXPECT_THAT(paths(with({{"ProcessID", "0"}})), ElementsAre());
  EXPECT_EQ(fault_code(with({{"Nope", "2"}})), "n:CannotProcessFilter");
  EXPECT_EQ(fault_code(with({{"EnabledState", "two"}})), "n:CannotProcessFilter");
  EXPECT_EQ(fault_code(with({{"OperationalStatus", "2"}})), "n:CannotProcessFilter");
  EXPECT_EQ(fault_code(with({{"LastReplicationTime", "1601-01-01T00:00:00Z"}})), "n:CannotProcessFilter");
}

// --- associations ---

TEST_F(ObjectManagerTest, AssociatorsOf) {
  EXPECT_THAT(wql("ASSOCIATORS OF " + kObjectA), UnorderedElementsAre(kVssd, kRsd, kB));
  EXPECT_THAT(wql("ASSOCIATORS OF " + kObjectA +
                  " WHERE AssocClass = Msvm_SettingsDefineState "
                  "ResultClass = Msvm_VirtualSystemSettingData"),
              ElementsAre(kVssd));
  EXPECT_THAT(wql("ASSOCIATORS OF " + kObjectA + " WHERE ResultClass = CIM_SettingData"),
              UnorderedElementsAre(kVssd, kRsd));
  EXPECT_THAT(wql("ASSOCIATORS OF " + kObjectA + " WHERE AssocClass = CIM_Dependency"), ElementsAre(kB));
  EXPECT_THAT(wql("ASSOCIATORS OF " + kObjectA + " WHERE Role = Dependent"), ElementsAre());
  EXPECT_THAT(wql("ASSOCIATORS OF " + kObjectA + " WHERE Role = antecedent ResultRole = dependent"),
              ElementsAre(kB));
  EXPECT_THAT(
      wql("ASSOCIATORS OF {Msvm_ComputerSystem.Name='BBB'} WHERE AssocClass=Msvm_ReplicaSystemDependency"),
      ElementsAre(kA));
  EXPECT_THAT(wql("ASSOCIATORS OF {Msvm_ReplicationSettingData.InstanceID='Microsoft:AAA\\\\HVR\\\\0'}"),
              ElementsAre(kA));
  EXPECT_THAT(wql("ASSOCIATORS OF {Msvm_ReplicationService.CreationClassName='Msvm_ReplicationService'}"),
              ElementsAre("Msvm_ComputerSystem:Msvm_ComputerSystem/HOST"));
}

TEST_F(ObjectManagerTest, ReferencesOf) {
  EXPECT_EQ(wql("REFERENCES OF " + kObjectA).size(), 4u);
  EXPECT_EQ(wql("REFERENCES OF " + kObjectA + " WHERE ResultClass = CIM_SettingsDefineState").size(), 2u);
  EXPECT_EQ(wql("REFERENCES OF " + kObjectA + " WHERE Role = Dependent").size(), 0u);
}

TEST_F(ObjectManagerTest, AssociationDialect) {
  Filter filter;
  filter.kind = Filter::Kind::association;
  filter.object = {"Msvm_ComputerSystem", {{"Name", "AAA"}}};
  filter.association_class = "CIM_SettingsDefineState";
  EXPECT_THAT(paths({"*", filter}), UnorderedElementsAre(kVssd, kRsd));
  filter.result_class = "Msvm_ReplicationSettingData";
  filter.include_properties = {"InstanceID"};
  EXPECT_THAT(paths({"*", filter}), ElementsAre(kRsd));
  EXPECT_THAT(manager.handle(kReader, EnumerateRequest{"*", filter})->items.at(0).selected,
              ElementsAre("InstanceID"));
  filter.references = true;
  filter.result_class.clear();
  EXPECT_EQ(paths({"*", filter}).size(), 2u);
}

TEST_F(ObjectManagerTest, AssociationFaults) {
  const auto code = [&](const std::string& text) { return fault_code(wql_request(text)); };
  EXPECT_EQ(code("ASSOCIATORS OF {Nothing.Name='x'}"), "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(code("ASSOCIATORS OF {Msvm_ConcreteJob.InstanceID='x'}"),
            "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(code("ASSOCIATORS OF " + kObjectA + " WHERE AssocClass = Nothing"), "n:CannotProcessFilter");
  EXPECT_EQ(code("ASSOCIATORS OF " + kObjectA + " WHERE AssocClass = CIM_Service"), "n:CannotProcessFilter");
  EXPECT_EQ(code("ASSOCIATORS OF " + kObjectA + " WHERE ResultClass = Nothing"), "n:CannotProcessFilter");
  EXPECT_EQ(code("REFERENCES OF " + kObjectA + " WHERE ResultClass = CIM_Service"), "n:CannotProcessFilter");
  EXPECT_EQ(code("ASSOCIATORS OF " + kObjectA + " WHERE ClassDefsOnly"), "n:CannotProcessFilter");
}

// --- methods ---

TEST_F(ObjectManagerTest, ParametersArriveTyped) {
  Instance given("METHOD_INPUT");
  given.set("computersystem", ObjectPath{"Msvm_ComputerSystem", {{"Name", "AAA"}}});
  given.set("INITIALREPLICATIONTYPE", " 1 ").set("StartTime", "2026-01-01T00:00:00Z");
  given.set("InitialReplicationExportLocation", Value());
  const auto outcome = manager.handle(kAdmin, call("startreplication", given));
  ASSERT_TRUE(outcome) << outcome.error().error.text();
  EXPECT_EQ(outcome->invoked->return_value, 4096u);
  EXPECT_EQ(outcome->invoked->out.get("Job").path()->keys.at("InstanceID"), "7");
  const Fixed& service = *providers["Msvm_ReplicationService"];
  EXPECT_TRUE(service.called.starts_with("StartReplication on Msvm_ReplicationService.CreationClassName="));
  EXPECT_TRUE(service.called.ends_with(" by admin"));
  EXPECT_EQ(service.given.get("InitialReplicationType").number(), 1u);
  EXPECT_EQ(service.given.get("StartTime").datetime()->us, 1'767'225'600'000'000);
  EXPECT_TRUE(service.given.get("InitialReplicationExportLocation").null());
  EXPECT_EQ(service.given.get("ComputerSystem").path()->class_name, "Msvm_ComputerSystem");
}

TEST_F(ObjectManagerTest, ReferencesAsTextAndEmptyElements) {
  Instance given("METHOD_INPUT");
  given.set("ComputerSystem", R"(\\H\root\virtualization\v2:Msvm_ComputerSystem.Name="AAA")")
      .set("SnapshotSettingData", " ");
  ASSERT_TRUE(manager.handle(kAdmin, call("InitiateFailover", given)));
  EXPECT_EQ(providers["Msvm_ReplicationService"]->given.get("ComputerSystem").path()->keys.at("Name"), "AAA");
  EXPECT_TRUE(providers["Msvm_ReplicationService"]->given.get("SnapshotSettingData").null());
}

TEST_F(ObjectManagerTest, AnArrayParameterMayBeOneElement) {
  InvokeRequest request{
      {"Msvm_VirtualSystemManagementService", {}}, "ModifyResourceSettings", Instance("METHOD_INPUT")};
  request.parameters.set("ResourceSettings", "<INSTANCE/>");
  ASSERT_TRUE(manager.handle(kAdmin, request));
  const Instance& given = providers["Msvm_VirtualSystemManagementService"]->given;
  ASSERT_TRUE(given.get("ResourceSettings").is_array());
  EXPECT_EQ(given.get("ResourceSettings").array()->size(), 1u);
  request.method = "GetSummaryInformation";
  request.parameters = Instance("METHOD_INPUT");
  request.parameters.set("RequestedInformation",
                         std::vector<Value::Scalar>{std::string("1"), std::string("114")});
  ASSERT_TRUE(manager.handle(kAdmin, request));
  EXPECT_EQ(std::get<uint64_t>(given.get("RequestedInformation").array()->at(1)), 114u);
}

TEST_F(ObjectManagerTest, WrongParametersAreSchemaFaults) {
  const auto code = [&](const char* name, Value value) {
    return fault_code(call("StartReplication", Instance("METHOD_INPUT").set(name, std::move(value))));
  };
  const std::string fault = "w:SchemaValidationError";
  EXPECT_EQ(code("Nope", "1"), fault);
  EXPECT_EQ(code("InitialReplicationType", "one"), fault);
  EXPECT_EQ(code("InitialReplicationType", "65536"), fault);
  EXPECT_EQ(code("InitialReplicationType", ""), fault);
  EXPECT_EQ(code("InitialReplicationType", ObjectPath{"X", {}}), fault);
  EXPECT_EQ(code("InitialReplicationType", std::vector<Value::Scalar>{std::string("1"), std::string("2")}),
            fault);
  EXPECT_EQ(code("InitialReplicationExportLocation", ObjectPath{"X", {}}), fault);
  EXPECT_EQ(code("ComputerSystem", "not a path!"), fault);
  EXPECT_EQ(code("StartTime", "soon"), fault);
  EXPECT_EQ(code("Job", "x"), fault);
  EXPECT_EQ(providers["Msvm_ReplicationService"]->called, "");
  EXPECT_TRUE(manager.handle(kAdmin, call("StartReplication", Instance("METHOD_INPUT").set("Job", Value()))));
}

TEST_F(ObjectManagerTest, FailingMethodsAreNoFaults) {
  EXPECT_EQ(manager.handle(kAdmin, call("CommitFailover"))->invoked->return_value, 32775u);
  EXPECT_EQ(manager.handle(kAdmin, call("StopService"))->invoked->return_value, 32770u);
}

TEST_F(ObjectManagerTest, MethodAndTargetMustExist) {
  EXPECT_EQ(fault_code(call("NoSuch")), "a:ActionNotSupported");
  EXPECT_EQ(fault_code(InvokeRequest{{"Nothing", {}}, "StartService", {}}),
            "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(
      fault_code(InvokeRequest{{"Msvm_ConcreteJob", {{"InstanceID", "gone"}}}, "RequestStateChange", {}}),
      "a:DestinationUnreachable/InvalidResourceURI");
  EXPECT_EQ(fault_code(InvokeRequest{{"Msvm_ComputerSystem", {}}, "RequestStateChange", {}}),
            "w:InvalidSelectors/InsufficientSelectors");
}

}  // namespace
}  // namespace understudy::cim
