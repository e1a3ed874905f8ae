#include "cim/embedded.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace understudy::cim {
namespace {

XmlNode element(std::string name, std::vector<XmlAttribute> attributes, std::vector<XmlNode> children,
                std::string text = {}) {
  return {std::move(name), {}, std::move(attributes), std::move(children), std::move(text)};
}
XmlNode value(std::string text) {
  return element("VALUE", {}, {}, std::move(text));
}
XmlNode property(std::string name, std::string type, std::string text) {
  return element("PROPERTY", {{"NAME", "", std::move(name)}, {"TYPE", "", std::move(type)}},
                 {value(std::move(text))});
}
XmlNode instance(std::string class_name, std::vector<XmlNode> properties) {
  return element("INSTANCE", {{"CLASSNAME", "", std::move(class_name)}}, std::move(properties));
}
XmlNode settings(std::vector<XmlNode> properties) {
  return instance("Msvm_ReplicationSettingData", std::move(properties));
}
Result<Instance> read(const XmlNode& tree) {
  return read_embedded(tree, "Msvm_ReplicationSettingData");
}

ErrorCode code_of(const XmlNode& tree) {
  const auto result = read(tree);
  EXPECT_FALSE(result);
  return result ? ErrorCode::failed : result.error().code();
}

TEST(ReadEmbedded, TypesComeFromTheSchema) {
  const auto disks = element("PROPERTY.ARRAY", {{"NAME", "", "IncludedDisks"}, {"TYPE", "", "string"}},
                             {element("VALUE.ARRAY", {}, {value("a"), value("<b>")})});
  const auto result = read(settings(
      {property("authenticationtype", "uint16", "2"), property("CompressionEnabled", "boolean", "true"),
       property("AutoResynchronizeIntervalStart", "datetime", "00000000183000.000000:000"),
       property("RecoveryConnectionPoint", "STRING", " host "), disks}));
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->class_name(), "Msvm_ReplicationSettingData");
  EXPECT_EQ(result->get("AuthenticationType").number(), 2u);
  EXPECT_EQ(result->get("CompressionEnabled").boolean(), true);
  EXPECT_EQ(result->get("AutoResynchronizeIntervalStart").datetime()->us, 66'600'000'000);
  EXPECT_EQ(result->get("RecoveryConnectionPoint").text(), " host ");
  ASSERT_TRUE(result->get("IncludedDisks").is_array());
  EXPECT_EQ(std::get<std::string>(result->get("IncludedDisks").array()->at(1)), "<b>");
  EXPECT_TRUE(result->properties().contains("AuthenticationType"));
}

TEST(ReadEmbedded, LenientWhereClientsDiffer) {
  const auto typeless = element("property", {{"name", "", "REPLICATIONINTERVAL"}}, {value(" 30 ")});
  const auto null = element("PROPERTY", {{"NAME", "", "RecoveryHistory"}, {"TYPE", "", "uint16"}}, {});
  const auto system = element("PROPERTY", {{"NAME", "", "__PATH"}, {"TYPE", "", "string"}}, {value("x")});
  const auto result = read(element("instance", {{"ClassName", "", "msvm_replicationsettingdata"}},
                                   {element("QUALIFIER", {}, {}), typeless, null, system}));
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->class_name(), "Msvm_ReplicationSettingData");
  EXPECT_EQ(result->get("ReplicationInterval").number(), 30u);
  EXPECT_TRUE(result->has("RecoveryHistory"));
  EXPECT_TRUE(result->get("RecoveryHistory").null());
  EXPECT_EQ(result->properties().size(), 2u);
}

TEST(ReadEmbedded, LooksThroughWrappers) {
  const auto inner = settings({property("RecoveryHistory", "uint16", "3")});
  const auto wrapped = element(
      "CIM", {},
      {element("DECLARATION", {}, {element("DECLGROUP", {}, {element("VALUE.OBJECT", {}, {inner})})})});
  EXPECT_TRUE(read(wrapped));
  EXPECT_TRUE(read(element("VALUE.NAMEDINSTANCE", {}, {element("INSTANCENAME", {}, {}), inner})));
  auto deep = inner;
  for (int i = 0; i < 20; ++i) deep = element("X", {}, {deep});
  EXPECT_EQ(code_of(deep), ErrorCode::invalid_parameter);
}

TEST(ReadEmbedded, SubclassesOfTheExpectedClassAreAccepted) {
  const auto disk = instance("Msvm_StorageAllocationSettingData", {});
  EXPECT_TRUE(read_embedded(disk, "CIM_StorageAllocationSettingData"));
  EXPECT_EQ(read_embedded(disk, "Msvm_ProcessorSettingData").error().code(), ErrorCode::wrong_type);
  EXPECT_EQ(
      read_embedded(instance("CIM_StorageAllocationSettingData", {}), "CIM_StorageAllocationSettingData")
          .error()
          .code(),
      ErrorCode::wrong_type);
}

TEST(ReadEmbedded, WrongTypeIsToldFromInvalid) {
  EXPECT_EQ(code_of(instance("Msvm_NoSuch", {})), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(settings({property("RecoveryHistory", "uint32", "3")})), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(settings({property("RecoveryHistory", "uint16", "many")})), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(settings({property("RecoveryHistory", "uint16", "65536")})), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(settings({property("RecoveryHistory", "uint16", "")})), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(settings({property("IncludedDisks", "string", "x")})), ErrorCode::wrong_type);

  EXPECT_EQ(code_of(element("Foo", {}, {})), ErrorCode::invalid_parameter);
  EXPECT_EQ(code_of(element("INSTANCE", {}, {})), ErrorCode::invalid_parameter);
  EXPECT_EQ(code_of(settings({property("NoSuch", "string", "x")})), ErrorCode::invalid_parameter);
  EXPECT_EQ(code_of(settings({element("PROPERTY", {}, {})})), ErrorCode::invalid_parameter);
  EXPECT_EQ(code_of(settings({element("METHOD", {{"NAME", "", "x"}}, {})})), ErrorCode::invalid_parameter);
  EXPECT_EQ(code_of(settings({property("Caption", "string", "a"), property("CAPTION", "string", "b")})),
            ErrorCode::invalid_parameter);
  EXPECT_EQ(code_of(settings({property("Caption", "string", std::string(65, 'x'))})),
            ErrorCode::invalid_parameter);
  std::string umlauts;  // MaxLen counts characters
  for (int i = 0; i < 64; ++i) umlauts += "\xC3\xBC";
  EXPECT_TRUE(read(settings({property("Caption", "string", umlauts)})));
  EXPECT_EQ(code_of(settings(
                {element("PROPERTY", {{"NAME", "", "Caption"}}, {element("VALUE", {}, {value("x")})})})),
            ErrorCode::invalid_parameter);
}

TEST(ReadEmbedded, ReferencesInEveryForm) {
  const auto reference = [](XmlNode inner) {
    return instance("Msvm_SystemReplicationRelationship",
                    {element("PROPERTY.REFERENCE", {{"NAME", "", "Antecedent"}}, {std::move(inner)})});
  };
  const auto key = element("KEYBINDING", {{"NAME", "", "Name"}}, {element("KEYVALUE", {}, {}, "A1")});
  const auto name = element("INSTANCENAME", {{"CLASSNAME", "", "Msvm_ComputerSystem"}}, {key});
  for (const XmlNode& inner :
       {element("VALUE.REFERENCE", {}, {}, R"(\\H\root\virtualization\v2:Msvm_ComputerSystem.Name="A1")"),
        value(R"(Msvm_ComputerSystem.Name="A1")"), element("VALUE.REFERENCE", {}, {name}),
        element("VALUE.REFERENCE", {},
                {element("INSTANCEPATH", {}, {element("NAMESPACEPATH", {}, {}), name})})}) {
    const auto result = read_embedded(reference(inner), "CIM_Dependency");
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_TRUE(result->get("Antecedent").path()->same({"Msvm_ComputerSystem", {{"Name", "A1"}}}));
  }
  auto nested = name;
  for (int i = 0; i < 50; ++i)
    nested =
        element("INSTANCENAME", {{"CLASSNAME", "", "X"}},
                {element("KEYBINDING", {{"NAME", "", "K"}}, {element("VALUE.REFERENCE", {}, {nested})})});
  EXPECT_FALSE(read_embedded(reference(element("VALUE.REFERENCE", {}, {nested})), "CIM_Dependency"));
}

TEST(ParseEmbedded, ParserErrorsAreInvalidParameters) {
  const XmlParser broken = [](std::string_view) -> Result<XmlNode> {
    return fail(ErrorCode::corrupt, "no XML");
  };
  EXPECT_EQ(parse_embedded(broken, "x", "Msvm_Error").error().code(), ErrorCode::invalid_parameter);
  int calls = 0;
  const XmlParser counting = [&](std::string_view) -> Result<XmlNode> {
    return ++calls, instance("Msvm_Error", {});
  };
  EXPECT_FALSE(parse_embedded(counting, std::string(limits::kMostEmbeddedLength + 1, ' '), "Msvm_Error"));
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(parse_embedded(counting, "<INSTANCE/>", "CIM_Error"));
}

TEST(FormatEmbedded, WritesWhatIsSet) {
  Instance i("Msvm_ReplicationSettingData");
  i.set("RecoveryHistory", 3u).set("CompressionEnabled", true).set("ElementName", "a<b>&\"\x01\r\n");
  i.set("IncludedDisks", std::vector<Value::Scalar>{std::string("d1"), std::string("d2")})
      .set("Caption", Value());
  i.set("AutoResynchronizeIntervalEnd", DateTime::length(Duration::seconds(21'600)));
  EXPECT_EQ(format_embedded(i),
            "<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\">"
            "<PROPERTY NAME=\"AutoResynchronizeIntervalEnd\" "
            "TYPE=\"datetime\"><VALUE>00000000060000.000000:000</VALUE></PROPERTY>"
            "<PROPERTY NAME=\"CompressionEnabled\" TYPE=\"boolean\"><VALUE>TRUE</VALUE></PROPERTY>"
            "<PROPERTY NAME=\"ElementName\" "
            "TYPE=\"string\"><VALUE>a&lt;b&gt;&amp;&quot;?&#13;&#10;</VALUE></PROPERTY>"
            "<PROPERTY.ARRAY NAME=\"IncludedDisks\" TYPE=\"string\" "
            "EmbeddedObject=\"instance\"><VALUE.ARRAY><VALUE>d1</VALUE>"
            "<VALUE>d2</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>"
            "<PROPERTY NAME=\"RecoveryHistory\" TYPE=\"uint16\"><VALUE>3</VALUE></PROPERTY></INSTANCE>");
}

TEST(FormatEmbedded, ReferencesAndNestedInstances) {
  Instance link("Msvm_SystemReplicationRelationship");
  link.set("Antecedent", ObjectPath{"Msvm_ComputerSystem", {{"Name", "A1"}}});
  EXPECT_EQ(format_embedded(link),
            "<INSTANCE CLASSNAME=\"Msvm_SystemReplicationRelationship\">"
            "<PROPERTY.REFERENCE NAME=\"Antecedent\" REFERENCECLASS=\"Msvm_ComputerSystem\">"
            "<VALUE.REFERENCE>Msvm_ComputerSystem.Name=&quot;A1&quot;</VALUE.REFERENCE></"
            "PROPERTY.REFERENCE></INSTANCE>");
  Instance summary("Msvm_SummaryInformation");
  summary.set("Snapshots",
              std::vector<Value::Scalar>{std::make_shared<const Instance>("Msvm_VirtualSystemSettingData")});
  EXPECT_NE(format_embedded(summary).find(
                "<VALUE>&lt;INSTANCE CLASSNAME=&quot;Msvm_VirtualSystemSettingData&quot;&gt;"),
            std::string::npos);
}

}  // namespace
}  // namespace understudy::cim
