#include "cim/schema.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cim/typed.h"

namespace understudy::cim {
namespace {

TEST(Schema, HoldsAllClassesInOrder) {
  EXPECT_GE(all_classes().size(), 80u);
  for (const ClassDecl& c : all_classes()) {
    EXPECT_EQ(find_class(c.name), &c);
    EXPECT_TRUE(c.superclass.empty() || find_class(c.superclass)) << c.name;
    EXPECT_TRUE(std::ranges::is_sorted(c.properties, NameLess{}, &PropertyDecl::name)) << c.name;
    for (const PropertyDecl& p : c.properties) {
      EXPECT_EQ(p.type == Type::reference, !p.reference.empty()) << c.name << "." << p.name;
      EXPECT_TRUE(!p.embedded || find_class(p.embedded_class)) << c.name << "." << p.name;
      EXPECT_TRUE(!p.has_default || p.array || scalar_from_text(p.type, p.default_value))
          << c.name << "." << p.name;
    }
  }
}

TEST(Schema, FindsWithoutCase) {
  const ClassDecl* service = find_class("MSVM_replicationservice");
  ASSERT_TRUE(service);
  EXPECT_EQ(service->name, "Msvm_ReplicationService");
  EXPECT_EQ(service->superclass, "CIM_Service");
  EXPECT_FALSE(service->abstract);
  ASSERT_TRUE(service->property("systemname"));
  EXPECT_TRUE(service->property("systemname")->key);
  EXPECT_FALSE(service->property("InstanceID")->key);
  EXPECT_EQ(find_class("Msvm_NoSuch"), nullptr);
  EXPECT_EQ(find_class(""), nullptr);
  EXPECT_EQ(service->property("NoSuch"), nullptr);
}

TEST(Schema, MethodsHaveTypedParametersAndAreInherited) {
  const MethodDecl* failover = find_class("Msvm_ReplicationService")->method("initiatefailover");
  ASSERT_TRUE(failover);
  const ParameterDecl* snapshot = failover->parameter("SnapshotSettingData");
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->type, Type::reference);
  EXPECT_EQ(snapshot->reference, "CIM_VirtualSystemSettingData");
  EXPECT_TRUE(snapshot->in);
  EXPECT_TRUE(failover->parameter("job")->out);
  const ParameterDecl* settings = find_class("Msvm_ReplicationService")
                                      ->method("CreateReplicationRelationship")
                                      ->parameter("ReplicationSettingData");
  EXPECT_EQ(settings->type, Type::string);
  EXPECT_TRUE(settings->embedded);
  EXPECT_EQ(settings->embedded_class, "Msvm_ReplicationSettingData");
  EXPECT_TRUE(find_class("Msvm_ConcreteJob")->method("KillJob"));
}

TEST(Schema, DefaultsAndLimitsAreThere) {
  const ClassDecl* settings = find_class("Msvm_ReplicationSettingData");
  EXPECT_EQ(settings->property("ReplicationInterval")->default_value, "300");
  EXPECT_EQ(settings->property("RecoveryConnectionPoint")->max_length, 256u);
  EXPECT_TRUE(settings->property("IncludedDisks")->array);
  EXPECT_FALSE(settings->property("ElementName")->has_default);
  EXPECT_EQ(find_class("Msvm_SummaryInformation")->property("Snapshots")->type, Type::instance);
}

TEST(Schema, IsAClimbsToTheTop) {
  EXPECT_TRUE(is_a("Msvm_ReplicationSettingData", "cim_virtualsystemsettingdata"));
  EXPECT_TRUE(is_a("Msvm_ReplicationSettingData", "CIM_ManagedElement"));
  EXPECT_TRUE(is_a("CIM_Service", "CIM_Service"));
  EXPECT_FALSE(is_a("CIM_Service", "Msvm_ReplicationService"));
  EXPECT_FALSE(is_a("Nothing", "Nothing"));
  EXPECT_TRUE(find_class("Msvm_SettingsDefineState")->association);
}

TEST(Schema, ValueNames) {
  EXPECT_EQ(value_name("Msvm_ComputerSystem", "ReplicationState", 3), "Replicating");
  EXPECT_EQ(value_name("Msvm_ConcreteJob", "jobstate", 7), "Completed");
  EXPECT_EQ(value_name("CIM_ConcreteJob", "JobState", 40'000), "Vendor Reserved");
  EXPECT_EQ(value_name("CIM_ManagedSystemElement", "HealthState", 7), "DMTF Reserved");
  EXPECT_EQ(value_name("Msvm_ComputerSystem", "ReplicationState", 99), "");
  EXPECT_EQ(value_name("Msvm_ComputerSystem", "Nothing", 0), "");
  EXPECT_EQ(value_name("Nothing", "Nothing", 0), "");
}

// Whether the text is read as exactly this value, in this C++ type.
template <class T>
bool reads(Type type, std::string_view text, T value) {
  const auto scalar = scalar_from_text(type, text);
  return scalar && fits(type, *scalar) && std::holds_alternative<T>(*scalar) && std::get<T>(*scalar) == value;
}

TEST(Typed, TextBecomesTheDeclaredType) {
  EXPECT_TRUE(reads(Type::uint16, " 65535\n", uint64_t{65535}));
  EXPECT_TRUE(reads(Type::uint16, "0x10", uint64_t{16}));
  EXPECT_TRUE(reads(Type::sint8, "-128", int64_t{-128}));
  EXPECT_TRUE(reads(Type::uint64, "18446744073709551615", uint64_t{UINT64_MAX}));
  EXPECT_TRUE(reads(Type::sint64, "-9223372036854775808", int64_t{INT64_MIN}));
  EXPECT_TRUE(reads(Type::boolean, "False", false));
  EXPECT_TRUE(reads(Type::boolean, "1", true));
  EXPECT_TRUE(reads(Type::string, " x ", std::string(" x ")));
  EXPECT_TRUE(reads(Type::real64, "1.5", 1.5));
}

TEST(Typed, RefusesWhatIsNoneOfTheType) {
  const std::pair<Type, const char*> cases[] = {
      {Type::uint16, "65536"}, {Type::uint16, "-1"},
      {Type::uint16, ""},      {Type::uint16, "1 2"},
      {Type::uint16, "0x"},    {Type::uint16, "--1"},
      {Type::uint16, "1.0"},   {Type::sint8, "128"},
      {Type::sint8, "-129"},   {Type::uint64, "18446744073709551616"},
      {Type::boolean, "yes"},  {Type::boolean, ""},
      {Type::real64, "inf"},   {Type::real64, "1x"},
      {Type::datetime, "now"}, {Type::reference, "="},
      {Type::instance, "<X/>"}};
  for (const auto& [type, text] : cases) {
    const auto scalar = scalar_from_text(type, text);
    ASSERT_FALSE(scalar) << type_name(type) << " " << text;
    EXPECT_EQ(scalar.error().code(), ErrorCode::wrong_type) << text;
  }
}

TEST(Typed, PathOfTakesTheKeys) {
  Instance vm("msvm_computersystem");
  vm.set("name", "A1").set("CreationClassName", "Msvm_ComputerSystem").set("ElementName", "web");
  EXPECT_EQ(path_of(vm).text(), R"(Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="A1")");
  Instance link("Msvm_SystemReplicationRelationship");
  link.set("Antecedent", path_of(vm));
  EXPECT_EQ(path_of(link).keys.at("Antecedent"), path_of(vm).text());
  EXPECT_FALSE(path_of(link).keys.contains("Dependent"));
}

TEST(Typed, ConformsSaysWhatIsWrong) {
  const auto job = [] { return Instance("Msvm_ConcreteJob").set("InstanceID", "1"); };
  EXPECT_TRUE(conforms(
      job().set("ErrorCode", 32773u).set("OperationalStatus", std::vector<Value::Scalar>{uint64_t{2}})));
  EXPECT_FALSE(conforms(job().set("ErrorCode", 70000u)));
  EXPECT_FALSE(conforms(job().set("ErrorCode", "1")));
  EXPECT_FALSE(conforms(job().set("OperationalStatus", 2u)));
  EXPECT_FALSE(conforms(job().set("NoSuch", 2u)));
  EXPECT_FALSE(conforms(job().set("InstanceID", Value())));
  EXPECT_FALSE(conforms(job().set("Caption", std::string(65, 'x'))));
  EXPECT_FALSE(conforms(Instance("CIM_ConcreteJob").set("InstanceID", "1")));
  EXPECT_FALSE(conforms(Instance("Nothing")));
  EXPECT_FALSE(conforms(job().set("StartTime", "20260101000000.000000+000")));
  EXPECT_TRUE(conforms(job().set("StartTime", DateTime::at(Wall{1}))));
}

}  // namespace
}  // namespace understudy::cim
