#include "cim/value.h"

#include <gtest/gtest.h>

namespace understudy::cim {
namespace {

TEST(ObjectPath, WritesKeysInAlphabeticalOrderAndEscaped) {
  ObjectPath path{"Msvm_X", {{"Name", "a\"b"}, {"InstanceID", "Microsoft:1\\HVR\\0"}}};
  EXPECT_EQ(path.text(), R"(Msvm_X.InstanceID="Microsoft:1\\HVR\\0",Name="a\"b")");
  const auto back = ObjectPath::parse(path.text());
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->same(path));
  EXPECT_EQ(back->keys, path.keys);
}

TEST(ObjectPath, ReadsEveryFormClientsSend) {
  for (
      const char* text :
      {R"(Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="A1")",
       R"(msvm_computersystem.Name='a1',creationclassname='MSVM_COMPUTERSYSTEM')",
       R"(\\HOST.example\root\virtualization\v2:Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="A1")",
       R"(//./root/virtualization/v2:Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="A1")",
       R"(root\virtualization\v2:Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name=A1)"}) {
    const auto path = ObjectPath::parse(text);
    ASSERT_TRUE(path) << text << ": " << path.error().text();
    EXPECT_TRUE(
        path->same({"Msvm_ComputerSystem", {{"Name", "a1"}, {"CreationClassName", "Msvm_ComputerSystem"}}}))
        << text;
  }
}

TEST(ObjectPath, KeyWithoutNameNeedsAClassWithOneKey) {
  const auto job = ObjectPath::parse(R"(Msvm_ConcreteJob="42")");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->keys.at("InstanceID"), "42");
  EXPECT_FALSE(ObjectPath::parse(R"(Msvm_ComputerSystem="42")"));
  EXPECT_FALSE(ObjectPath::parse(R"(No_Such="42")"));
}

TEST(ObjectPath, ClassAloneAndTheOneInstance) {
  EXPECT_TRUE(ObjectPath::parse("CIM_Service")->keys.empty());
  EXPECT_TRUE(ObjectPath::parse("CIM_Service=@")->keys.empty());
}

TEST(ObjectPath, RefusesWhatIsNoPath) {
  for (const char* text :
       {"", ".", "A.", "A.b", "A.b=", "A.b=\"", "A.b=\"\\", "A.b=\"x\"y", "A.b=\"x\",", "A.b=\"1\",B=\"2\"",
        "A b", "A.=\"x\"", "\\\\HOST", "A.b={x}", "A.b='x\"", ":", "\\\\h\\ns:"}) {
    const auto path = ObjectPath::parse(text);
    ASSERT_FALSE(path) << text;
    EXPECT_EQ(path.error().code(), ErrorCode::invalid_parameter) << text;
  }
  EXPECT_FALSE(ObjectPath::parse("A.b=\"" + std::string(100'000, 'x') + "\""));
  std::string many = "A.k0=\"\"";
  for (int i = 1; i < 40; ++i) many += ",k" + std::to_string(i) + "=\"\"";
  EXPECT_FALSE(ObjectPath::parse(many));
}

TEST(ObjectPath, SameIgnoresCaseAndTheFormOfANestedPath) {
  const ObjectPath vm{"Msvm_ComputerSystem", {{"Name", "A1"}}};
  const ObjectPath link{"Msvm_SettingsDefineState", {{"ManagedElement", vm.text()}, {"SettingData", "S"}}};
  EXPECT_TRUE(link.same({"msvm_settingsdefinestate",
                         {{"managedelement", R"(\\H\root\virtualization\v2:Msvm_ComputerSystem.name='a1')"},
                          {"SettingData", "s"}}}));
  EXPECT_FALSE(link.same({"Msvm_SettingsDefineState",
                          {{"ManagedElement", R"(Msvm_ComputerSystem.Name="A2")"}, {"SettingData", "S"}}}));
  EXPECT_FALSE(vm.same({"Msvm_ComputerSystem", {}}));
  EXPECT_FALSE(vm.same({"CIM_ComputerSystem", {{"Name", "A1"}}}));
}

TEST(Value, GivesOnlyWhatItHolds) {
  EXPECT_TRUE(Value().null());
  EXPECT_EQ(Value(7).number(), 7u);
  EXPECT_EQ(Value(-7).number(), std::nullopt);
  EXPECT_EQ(Value(uint16_t{7}).text(), std::nullopt);
  EXPECT_EQ(Value("x").text(), "x");
  EXPECT_EQ(Value(true).boolean(), true);
  EXPECT_EQ(Value(true).number(), std::nullopt);
  EXPECT_TRUE(Value(std::vector<Value::Scalar>{}).is_array());
  EXPECT_FALSE(Value(std::vector<Value::Scalar>{}).null());
}

TEST(Instance, NamesCompareWithoutCase) {
  Instance instance("X");
  instance.set("Name", "a").set("NAME", "b");
  EXPECT_EQ(instance.properties().size(), 1u);
  EXPECT_EQ(instance.get("name").text(), "b");
  EXPECT_TRUE(instance.get("other").null());
  EXPECT_FALSE(instance.has("other"));
}

}  // namespace
}  // namespace understudy::cim
