#include "wsman/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wsman/test_envelope.h"

namespace understudy::wsman {
namespace {

using cim::Instance;
using cim::ObjectPath;
using cim::Value;
using testing::HasSubstr;

const std::string kP = "{" + kV2 + "Msvm_ReplicationRelationship}";
const std::string kXsiNil = " nil=true ''\n";

template <class Write>
std::string written(Write write) {
  XmlWriter out;
  write(out);
  return out.take();
}

Instance relationship() {
  Instance r("Msvm_ReplicationRelationship");
  r.set("InstanceID", "Microsoft:G\\HVR\\0").set("ReplicationState", 3u).set("ElementName", "a<b");
  r.set("LastReplicationTime", cim::DateTime::at(*parse_iso_time("2025-12-17T09:55:22.702341Z")));
  r.set("LastApplyTime", cim::DateTime::at(Wall{}));
  r.set("OperationalStatus", Value(std::vector<Value::Scalar>{uint64_t{2}, uint64_t{5}}));
  return r;
}

// Spec 9.5: alphabetical, every scalar there, NULL as nil, arrays repeated, NULL arrays absent.
TEST(Codec, InstanceHasEveryScalarOfItsClass) {
  const std::string xml = written([](XmlWriter& out) { write_instance(out, relationship()); });
  EXPECT_EQ(canonical(xml),
            kP + "Msvm_ReplicationRelationship type=p:Msvm_ReplicationRelationship_Type\n" +  //
                "  " + kP + "Caption" + kXsiNil +                                             //
                "  " + kP + "CommunicationStatus" + kXsiNil +                                 //
                "  " + kP + "Description" + kXsiNil +                                         //
                "  " + kP + "DetailedStatus" + kXsiNil +                                      //
                "  " + kP + "ElementName 'a<b'\n" +                                           //
                "  " + kP + "FailedOverReplicationType" + kXsiNil +                           //
                "  " + kP + "HealthState" + kXsiNil +                                         //
                "  " + kP + "InstallDate" + kXsiNil +                                         //
                "  " + kP + "InstanceID 'Microsoft:G\\HVR\\0'\n" +                            //
                "  " + kP + "LastApplicationConsistentReplicationTime" + kXsiNil +            //
                "  " + kP + "LastApplyTime\n" +                                               //
                "    {http://schemas.dmtf.org/wbem/wscim/1/common}Datetime '1601-01-01T00:00:00Z'\n" + "  " +
                kP + "LastReplicationTime\n" +
                "    {http://schemas.dmtf.org/wbem/wscim/1/common}Datetime '2025-12-17T09:55:22.702341Z'\n" +
                "  " + kP + "LastReplicationType" + kXsiNil +  //
                "  " + kP + "Name" + kXsiNil +                 //
                "  " + kP + "OperatingStatus" + kXsiNil +      //
                "  " + kP + "OperationalStatus '2'\n" +        //
                "  " + kP + "OperationalStatus '5'\n" +        //
                "  " + kP + "PrimaryStatus" + kXsiNil +        //
                "  " + kP + "ReplicationHealth" + kXsiNil +    //
                "  " + kP + "ReplicationState '3'\n" +         //
                "  " + kP + "Status" + kXsiNil);
  EXPECT_THAT(xml, testing::StartsWith("<p:Msvm_ReplicationRelationship xmlns:xsi="));
  EXPECT_THAT(xml, HasSubstr("<p:Caption xsi:nil=\"true\"/>"));
}

TEST(Codec, InstanceComesBackAsItWas) {
  const auto back =
      read_instance(*parse_xml(written([](XmlWriter& out) { write_instance(out, relationship()); })));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->class_name(), "Msvm_ReplicationRelationship");
  EXPECT_EQ(back->get("InstanceID").text(), "Microsoft:G\\HVR\\0");
  EXPECT_EQ(back->get("replicationstate").number(), 3u);
  EXPECT_EQ(back->get("LastReplicationTime").datetime(),
            relationship().get("LastReplicationTime").datetime());
  ASSERT_TRUE(back->get("OperationalStatus").array());
  EXPECT_EQ(back->get("OperationalStatus").array()->size(), 2u);
  EXPECT_TRUE(back->get("Caption").null());
}

TEST(Codec, OneElementOfAnArrayIsStillAnArray) {
  Instance r("Msvm_ReplicationRelationship");
  r.set("StatusDescriptions", Value(std::vector<Value::Scalar>{std::string("OK")}));
  const auto back = read_instance(*parse_xml(written([&](XmlWriter& out) { write_instance(out, r); })));
  ASSERT_TRUE(back);
  ASSERT_TRUE(back->get("StatusDescriptions").array());
  EXPECT_EQ(back->get("StatusDescriptions").array()->size(), 1u);
}

ObjectPath system_path(const std::string& name) {
  return {"Msvm_ComputerSystem", {{"CreationClassName", "Msvm_ComputerSystem"}, {"Name", name}}};
}

// libvirt-hyperv.md, section 6: content directly inside, prefixes declared again, key selectors only.
TEST(Codec, ReferencePropertyHasTheFormOfRealHosts) {
  Instance link("Msvm_SystemReplicationRelationship");
  link.set("Antecedent", system_path("A\"1"));
  link.set("Dependent", ObjectPath{"Msvm_ReplicationRelationship", {{"InstanceID", "x"}}});
  const std::string xml = written([&](XmlWriter& out) { write_instance(out, link); });
  EXPECT_THAT(
      xml,
      HasSubstr(
          "<p:Dependent xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" "
          "xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\"><a:Address>"
          "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address><a:ReferenceParameters>"
          "<w:ResourceURI>" +
          kV2 +
          "Msvm_ReplicationRelationship</w:ResourceURI>"
          "<w:SelectorSet xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\">"
          "<w:Selector "
          "Name=\"InstanceID\">x</w:Selector></w:SelectorSet></a:ReferenceParameters></p:Dependent>"));
  const auto back = read_instance(*parse_xml(xml));
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->get("Antecedent").path()->same(system_path("A\"1")));
}

TEST(Codec, ReferenceThatIsAKeyIsAnEndpointInsideItsSelector) {
  ObjectPath link{"Msvm_SystemReplicationRelationship", {}};
  link.keys["Antecedent"] = system_path("A").text();
  link.keys["Dependent"] = ObjectPath{"Msvm_ReplicationRelationship", {{"InstanceID", "x"}}}.text();
  const std::string xml = written([&](XmlWriter& out) { write_endpoint(out, link); });
  EXPECT_THAT(xml, HasSubstr("<w:Selector Name=\"Antecedent\"><a:EndpointReference "));
  const auto back = read_reference(*parse_xml(xml));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_TRUE(back->same(link)) << back->text();
}

TEST(Codec, EmbeddedObjectIsAnElementTree) {
  Instance snapshot("Msvm_VirtualSystemSettingData");
  snapshot.set("InstanceID", "s1").set("ElementName", "point");
  Instance summary("Msvm_SummaryInformation");
  summary.set("Snapshots", Value(std::vector<Value::Scalar>{std::make_shared<const Instance>(snapshot)}));
  const std::string xml = written([&](XmlWriter& out) { write_instance(out, summary); });
  EXPECT_THAT(xml, HasSubstr("xsi:type=\"p1:Msvm_VirtualSystemSettingData_Type\""));
  EXPECT_THAT(xml, HasSubstr("<p1:ElementName>point</p1:ElementName>"));
  const auto back = read_instance(*parse_xml(xml));
  ASSERT_TRUE(back) << back.error().text();
  const auto* array = back->get("Snapshots").array();
  ASSERT_TRUE(array);
  EXPECT_EQ(std::get<std::shared_ptr<const Instance>>(array->front())->get("InstanceID").text(), "s1");
}

TEST(Codec, FragmentHoldsOnlyWhatWasSelected) {
  const std::string inside = written([](XmlWriter& out) {
    write_fragment(out, relationship(), {"replicationstate", "InstanceID"});
  });
  const auto tree =
      parse_xml("<x xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\">" + inside + "</x>");
  ASSERT_TRUE(tree) << tree.error().text();
  const cim::XmlNode& fragment = tree->children.front();
  EXPECT_EQ(
      canonical(fragment),
      "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}XmlFragment type=p:Msvm_ReplicationRelationship_Type\n"
      "  " +
          kP + "InstanceID 'Microsoft:G\\HVR\\0'\n  " + kP + "ReplicationState '3'\n");
  EXPECT_EQ(read_instance(fragment)->get("ReplicationState").number(), 3u);
}

TEST(Codec, OutputHasReturnValueLastAndLiteralPrefixes) {
  cim::InvokeResult result;
  result.return_value = 4096;
  result.out.set("Job", ObjectPath{"Msvm_ConcreteJob", {{"InstanceID", "J1"}}});
  const std::string uri = kV2 + "Msvm_ReplicationService";
  const std::string xml = written([&](XmlWriter& out) {
    write_output(out, uri, "Msvm_ReplicationService", "testreplicasystem", result);
  });
  EXPECT_THAT(xml, testing::StartsWith("<p:TestReplicaSystem_OUTPUT "));
  EXPECT_THAT(xml, HasSubstr("<p:Job xmlns:a="));
  EXPECT_THAT(xml, HasSubstr("<p:ResultingSystem xsi:nil=\"true\"/>"));
  EXPECT_THAT(xml, testing::EndsWith("<p:ReturnValue>4096</p:ReturnValue></p:TestReplicaSystem_OUTPUT>"));
  const auto back = read_output(*parse_xml(xml), "Msvm_ReplicationService", "TestReplicaSystem");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->return_value, 4096u);
  EXPECT_EQ(back->out.get("Job").path()->keys.at("InstanceID"), "J1");
}

TEST(Codec, EmbeddedInstanceInAStringIsEscapedText) {
  Instance settings("Msvm_ReplicationSettingData");
  settings.set("AuthenticationType", 2u).set("RecoveryConnectionPoint", "host-b");
  Instance parameters("x");
  parameters.set("ReplicationSettingData", std::make_shared<const Instance>(settings));
  const std::string xml =
      written([&](XmlWriter& out) { write_input(out, kV2 + "Msvm_ReplicationService", "M", parameters); });
  EXPECT_THAT(xml, HasSubstr("&lt;INSTANCE CLASSNAME=&quot;Msvm_ReplicationSettingData&quot;&gt;"));
  const auto tree = parse_xml(xml);
  ASSERT_TRUE(tree);
  const auto read = read_input(&*tree, "M");
  ASSERT_TRUE(read);
  EXPECT_THAT(*read->get("ReplicationSettingData").text(),
              testing::StartsWith("<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\">"));
}

const std::string kInput =
    R"(<p:M_INPUT xmlns:p="urn:p" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">)";
std::string endpoint(const std::string& name) {
  return "<a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>" + kV2 +
         "Msvm_ComputerSystem</w:ResourceURI><w:SelectorSet><w:Selector Name=\"Name\">" + name +
         "</w:Selector></w:SelectorSet></a:ReferenceParameters>";
}

TEST(Codec, InputKnowsEveryFormOfAParameter) {
  const auto tree = parse_xml(
      kInput +
      "<p:Text> a b </p:Text><p:Empty/><p:Many>1</p:Many><p:Null xsi:nil=\"true\"/><p:Many>2</p:Many>" +
      "<p:Bare>" + endpoint("g1") + "</p:Bare><p:Wrapped><a:EndpointReference>" + endpoint("g2") +
      "</a:EndpointReference></p:Wrapped><p:When><cim:Datetime>2025-12-17T09:55:22Z</cim:Datetime></p:When>" +
      "<p:Xml><![CDATA[<INSTANCE/>]]></p:Xml></p:M_INPUT>");
  ASSERT_TRUE(tree);
  const auto input = read_input(&*tree, "m");
  ASSERT_TRUE(input) << input.error().text();
  EXPECT_EQ(input->get("text").text(), " a b ");
  EXPECT_EQ(input->get("Empty").text(), "");
  EXPECT_TRUE(input->has("Null"));
  EXPECT_TRUE(input->get("Null").null());
  ASSERT_TRUE(input->get("Many").array());
  EXPECT_EQ(input->get("Many").array()->size(), 2u);
  EXPECT_EQ(input->get("Bare").path()->keys.at("Name"), "g1");
  EXPECT_EQ(input->get("Wrapped").path()->keys.at("Name"), "g2");
  EXPECT_EQ(input->get("When").text(), "2025-12-17T09:55:22Z");
  EXPECT_EQ(input->get("Xml").text(), "<INSTANCE/>");
  EXPECT_TRUE(read_input(nullptr, "M"));
}

TEST(Codec, InputOfNoFormIsRefused) {
  for (const char* body :
       {"<p:X><p:Y/></p:X>", "<p:X><a:ReferenceParameters/></p:X>",
        "<p:X><a:ReferenceParameters><w:ResourceURI>urn:x</w:ResourceURI></a:ReferenceParameters></p:X>"}) {
    const auto tree = parse_xml(kInput + body + "</p:M_INPUT>");
    ASSERT_TRUE(tree);
    EXPECT_FALSE(read_input(&*tree, "M")) << body;
    EXPECT_FALSE(read_input(&*tree, "Other")) << body;
  }
}

}  // namespace
}  // namespace understudy::wsman
