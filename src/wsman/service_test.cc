#include "wsman/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/base64.h"
#include "wsman/test_envelope.h"

namespace understudy::wsman {
namespace {

using authz::Identity;
using authz::Role;
using cim::Instance;
using testing::HasSubstr;
using testing::Not;

// Answers everything with what the test has laid out, and remembers what came.
class FakeDispatcher final : public cim::Dispatcher {
 public:
  cim::Outcome<cim::Response> handle(const cim::Caller& who, const cim::Request& what) override {
    caller = who;
    request = what;
    if (meanwhile) meanwhile();
    return answer;
  }
  std::function<void()> meanwhile;
  cim::Caller caller;
  cim::Request request;
  cim::Outcome<cim::Response> answer;
};
class FakeClock final : public Clock {
 public:
  Now now() const override { return {at, {}}; }
  Monotonic at{1};
};

cim::Item system_item(const std::string& name) {
  Instance system("Msvm_ComputerSystem");
  system.set("CreationClassName", "Msvm_ComputerSystem").set("Name", name).set("ElementName", "vm " + name);
  return {
      {"Msvm_ComputerSystem", {{"CreationClassName", "Msvm_ComputerSystem"}, {"Name", name}}}, system, {}};
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

class ServiceTest : public testing::Test {
 protected:
  std::string ask(const std::string& envelope, int status = 200) {
    TestSession session(dispatcher_, who_);
    const auto response = service_.handle(envelope, {session, who_});
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.header("content-type"), "application/soap+xml;charset=UTF-8");
    EXPECT_TRUE(parse_xml(response.body)) << response.body;
    return response.body;
  }
  void answer_with(size_t systems) {
    cim::Response response;
    for (size_t i = 0; i < systems; ++i) response.items.push_back(system_item("G" + std::to_string(i)));
    dispatcher_.answer = std::move(response);
  }
  static std::string context_of(const std::string& reply) {
    const auto tree = parse_xml(reply);
    const cim::XmlNode* body = tree->child("Body");
    const cim::XmlNode* context = body->children.front().child("EnumerationContext");
    return context ? context->text : "";
  }
  static std::string pull_body(const std::string& context, const std::string& more = {}) {
    return "<n:Pull xmlns:n=\"http://schemas.xmlsoap.org/ws/2004/09/enumeration\"><n:EnumerationContext>" +
           context + "</n:EnumerationContext>" + more + "</n:Pull>";
  }
  std::string libvirt_enumerate(const std::string& wql, const std::string& mode = {}) {
    return libvirt_request(kEnumerateAction, kV2 + "*",
                           "<wsen:Enumerate>" + mode +
                               "<wsman:Filter Dialect=\"http://schemas.microsoft.com/wbem/wsman/1/WQL\">" +
                               wql + "</wsman:Filter></wsen:Enumerate>");
  }

  FakeDispatcher dispatcher_;
  FakeClock clock_;
  authz::Gate gate_{nullptr, *authz::CertificateMap::parse("cn:ops ops operator", "map")};
  Identity who_{"ada", Role::operator_, "basic", "192.0.2.1:9"};
  session::LocalSessions sessions_{gate_, dispatcher_};
  WsmanService service_{sessions_, clock_, {.version = "0.1.0"}};
};

TEST_F(ServiceTest, LibvirtGetsOneItemAPullAndNoContextWithTheLast) {
  answer_with(2);
  const std::string first =
      ask(libvirt_enumerate("SELECT * FROM Msvm_ComputerSystem WHERE Name != __SERVER "));
  const auto& request = std::get<cim::EnumerateRequest>(dispatcher_.request);
  EXPECT_EQ(request.class_name, "*");
  const auto& query = std::get<cim::wql::Select>(*request.filter.query);
  EXPECT_EQ(query.class_name, "Msvm_ComputerSystem");
  ASSERT_TRUE(query.where);
  EXPECT_EQ(query.where->left.property, "Name");
  EXPECT_EQ(query.where->right.property, "__SERVER");
  EXPECT_EQ(dispatcher_.caller.role, "operator");
  EXPECT_THAT(first, HasSubstr("<a:RelatesTo>uuid:4f4d2a2e-1f3a-1f3a-8002-000000000001</a:RelatesTo>"));
  EXPECT_THAT(first, Not(HasSubstr("Items")));

  // The Pull names the class, not the URI that was enumerated.
  const std::string pull =
      libvirt_request(kPullAction, kV2 + "Msvm_ComputerSystem", pull_body(context_of(first)));
  const std::string second = ask(pull);
  EXPECT_EQ(count(second, "<p:Msvm_ComputerSystem "), 1u);
  EXPECT_EQ(context_of(second), context_of(first));
  EXPECT_THAT(second, Not(HasSubstr("EndOfSequence")));
  const std::string third = ask(pull);
  EXPECT_EQ(count(third, "<p:Msvm_ComputerSystem "), 1u);
  EXPECT_THAT(third, Not(HasSubstr("EnumerationContext")));
  EXPECT_THAT(third, HasSubstr("</n:Items><n:EndOfSequence/>"));
  EXPECT_THAT(ask(pull, 500), HasSubstr("n:InvalidEnumerationContext"));
}

TEST_F(ServiceTest, EmptyEnumerationStillHasItems) {
  answer_with(0);
  const std::string context = context_of(ask(libvirt_enumerate("SELECT * FROM Msvm_ConcreteJob")));
  EXPECT_THAT(ask(libvirt_request(kPullAction, kV2 + "Msvm_ConcreteJob", pull_body(context))),
              HasSubstr("<n:PullResponse><n:Items></n:Items><n:EndOfSequence/></n:PullResponse>"));
}

TEST_F(ServiceTest, EndpointsAsLibvirtTakesThem) {
  answer_with(1);
  const std::string context = context_of(ask(libvirt_enumerate(
      "SELECT * FROM Msvm_ComputerSystem", "<wsman:EnumerationMode>EnumerateEPR</wsman:EnumerationMode>")));
  const std::string reply =
      ask(libvirt_request(kPullAction, kV2 + "Msvm_VirtualSystemManagementService", pull_body(context)));
  EXPECT_THAT(reply, HasSubstr("<n:Items><a:EndpointReference "));
  EXPECT_THAT(reply, HasSubstr("<w:Selector Name=\"Name\">G0</w:Selector>"));
}

TEST_F(ServiceTest, OptimisedEnumerationAsWinrmAndDracclientAsk) {
  answer_with(5);
  const std::string body =
      "<n:Enumerate><w:Filter Dialect=\"http://schemas.microsoft.com/wbem/wsman/1/WQL\">select * from "
      "Msvm_ComputerSystem</w:Filter>"
      "<w:OptimizeEnumeration "
      "xsi:nil=\"true\"/><w:MaxElements>3</w:MaxElements><p:SessionId>uuid:1</p:SessionId></n:Enumerate>";
  const std::string first = ask(winrm_request(kEnumerateAction, kV2 + "*", body));
  EXPECT_EQ(count(first, "<p:Msvm_ComputerSystem "), 3u);
  EXPECT_THAT(first, HasSubstr("<w:Items><p:Msvm_ComputerSystem "));
  EXPECT_THAT(first, Not(HasSubstr("EndOfSequence")));
  const std::string rest = ask(winrm_request(
      kPullAction, kV2 + "*", pull_body(context_of(first), "<n:MaxElements>32000</n:MaxElements>")));
  EXPECT_EQ(count(rest, "<p:Msvm_ComputerSystem "), 2u);
  EXPECT_THAT(rest, HasSubstr("<n:EndOfSequence/>"));

  answer_with(2);
  const std::string all = ask(winrm_request(kEnumerateAction, kV2 + "*", body));
  EXPECT_THAT(all, HasSubstr("<n:EnumerationContext/>"));
  EXPECT_THAT(all, HasSubstr("</w:Items><w:EndOfSequence/>"));
}

TEST_F(ServiceTest, ObjectAndEndpointPairs) {
  answer_with(1);
  const std::string reply =
      ask(winrm_request(kEnumerateAction, kV2 + "Msvm_ComputerSystem",
                        "<n:Enumerate><w:OptimizeEnumeration/><w:EnumerationMode>EnumerateObjectAndEPR</"
                        "w:EnumerationMode></n:Enumerate>"));
  EXPECT_THAT(reply, HasSubstr("<w:Item><p:Msvm_ComputerSystem "));
  EXPECT_THAT(reply, HasSubstr("</p:Msvm_ComputerSystem><a:EndpointReference "));
}

TEST_F(ServiceTest, SelectListGivesFragments) {
  cim::Response response;
  response.items.push_back(system_item("G"));
  response.items[0].selected = {"Name"};
  dispatcher_.answer = response;
  const std::string reply = ask(winrm_request(kEnumerateAction, kV2 + "Msvm_ComputerSystem",
                                              "<n:Enumerate><w:OptimizeEnumeration/></n:Enumerate>"));
  EXPECT_THAT(reply, HasSubstr("<p:Name>G</p:Name></w:XmlFragment></w:Items>"));
  EXPECT_THAT(reply, Not(HasSubstr("ElementName")));
}

TEST_F(ServiceTest, AssociationFilterAsWslWritesIt) {
  answer_with(0);
  ask(winrm_request(
      kEnumerateAction, "http://schemas.dmtf.org/wbem/wscim/1/*",
      "<n:Enumerate><w:Filter "
      "Dialect=\"http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter\"><b:AssociatedInstances>"
      "<b:Object><a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>" +
          kV2 +
          "Msvm_ComputerSystem</w:ResourceURI>"
          "<w:SelectorSet><w:Selector Name=\"Name\">G</w:Selector><w:Selector "
          "Name=\"__cimnamespace\">root/virtualization/v2</w:Selector>"
          "</w:SelectorSet></a:ReferenceParameters></"
          "b:Object><b:AssociationClassName>Msvm_SystemReplicationRelationship</b:AssociationClassName>"
          "<b:Role>Antecedent</b:Role><b:ResultClassName>Msvm_ReplicationRelationship</b:ResultClassName></"
          "b:AssociatedInstances></w:Filter></n:Enumerate>",
      "", "<w:Selector Name=\"__cimnamespace\">root/virtualization/v2</w:Selector>"));
  const auto& request = std::get<cim::EnumerateRequest>(dispatcher_.request);
  EXPECT_EQ(request.class_name, "*");
  EXPECT_EQ(request.filter.kind, cim::Filter::Kind::association);
  EXPECT_FALSE(request.filter.references);
  EXPECT_EQ(request.filter.object.text(), "Msvm_ComputerSystem.Name=\"G\"");
  EXPECT_EQ(request.filter.association_class, "Msvm_SystemReplicationRelationship");
  EXPECT_EQ(request.filter.role, "Antecedent");
  EXPECT_EQ(request.filter.result_class, "Msvm_ReplicationRelationship");
}

TEST_F(ServiceTest, SelectorFilter) {
  answer_with(0);
  ask(winrm_request(
      kEnumerateAction, kV2 + "Msvm_ComputerSystem",
      "<n:Enumerate><n:Filter "
      "Dialect=\"http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter\"><w:SelectorSet>"
      "<w:Selector Name=\"EnabledState\">2</w:Selector></w:SelectorSet></n:Filter></n:Enumerate>"));
  EXPECT_EQ(std::get<cim::EnumerateRequest>(dispatcher_.request).filter.selectors,
            (Selectors{{"EnabledState", "2"}}));
}

TEST_F(ServiceTest, BadEnumerationsAreFaults) {
  answer_with(1);
  const auto with = [&](const std::string& inside) {
    return ask(winrm_request(kEnumerateAction, kV2 + "Msvm_ComputerSystem",
                             "<n:Enumerate>" + inside + "</n:Enumerate>"),
               500);
  };
  EXPECT_THAT(with("<w:Filter Dialect=\"http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf\">select</w:Filter>"),
              HasSubstr("n:FilterDialectRequestedUnavailable"));
  EXPECT_THAT(with("<n:EndTo/>"), HasSubstr("faultDetail/AddressingMode"));
  EXPECT_THAT(with("<w:Filter Dialect=\"http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter\">"
                   "<b:AssociatedInstances/><b:AssociationInstances/></w:Filter>"),
              HasSubstr("n:CannotProcessFilter"));
  EXPECT_THAT(with("<w:Filter>x</w:Filter>"), HasSubstr("n:FilterDialectRequestedUnavailable"));
  EXPECT_THAT(with("<w:MaxElements>0</w:MaxElements>"), HasSubstr("w:SchemaValidationError"));
  EXPECT_THAT(with("<w:EnumerationMode>Some</w:EnumerationMode>"), HasSubstr("faultDetail/EnumerationMode"));
  EXPECT_THAT(ask(winrm_request(kEnumerateAction, kV2 + "*", "<n:Enumerate/>"), 500),
              HasSubstr("faultDetail/InvalidResourceURI"));
  EXPECT_THAT(ask(winrm_request(kEnumerateAction, kV2 + "*", ""), 500), HasSubstr("w:SchemaValidationError"));
}

TEST_F(ServiceTest, EnumerationsAreTheirCallersAndEnd) {
  answer_with(3);
  const std::string enumerate =
      winrm_request(kEnumerateAction, kV2 + "Msvm_ComputerSystem", "<n:Enumerate/>");
  const std::string context = context_of(ask(enumerate));
  const std::string pull = winrm_request(kPullAction, kV2 + "Msvm_ComputerSystem", pull_body(context));
  who_.name = "eve";
  EXPECT_THAT(ask(pull, 500), HasSubstr("n:InvalidEnumerationContext"));
  who_.name = "ada";
  ask(pull);
  clock_.at = clock_.at + limits::kEnumerationIdle + Duration::seconds(1);
  EXPECT_THAT(ask(pull, 500), HasSubstr("n:InvalidEnumerationContext"));

  const std::string released = context_of(ask(enumerate));
  const std::string release =
      winrm_request(kReleaseAction, kV2 + "Msvm_ComputerSystem",
                    "<n:Release><n:EnumerationContext>" + released + "</n:EnumerationContext></n:Release>");
  EXPECT_THAT(ask(release), HasSubstr("enumeration/ReleaseResponse"));
  EXPECT_THAT(ask(release, 500), HasSubstr("n:InvalidEnumerationContext"));

  for (size_t i = 0; i < kMostEnumerationsOfOne; ++i) ask(enumerate);
  EXPECT_THAT(ask(enumerate, 500), HasSubstr("w:QuotaLimit"));
  who_.name = "bob";
  ask(enumerate);
}

TEST_F(ServiceTest, RepliesStayWithinTheEnvelope) {
  answer_with(40);
  const auto small = [](std::string text) {
    const size_t at = text.find("153600");
    return text.replace(at, 6, "8192");
  };
  std::string reply = ask(small(winrm_request(
      kEnumerateAction, kV2 + "Msvm_ComputerSystem",
      "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>100</w:MaxElements></n:Enumerate>")));
  size_t items = 0;
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_LE(reply.size(), 8192u);
    const size_t more = count(reply, "<p:Msvm_ComputerSystem ");
    EXPECT_GE(more, 1u);
    items += more;
    const std::string context = context_of(reply);
    if (context.empty()) break;
    reply = ask(small(winrm_request(kPullAction, kV2 + "Msvm_ComputerSystem",
                                    pull_body(context, "<n:MaxElements>100</n:MaxElements>"))));
  }
  EXPECT_EQ(items, 40u);

  cim::Response large;
  large.items.push_back(system_item("G"));
  large.items[0].instance.set("Caption", std::string(9000, 'x'));
  dispatcher_.answer = large;
  EXPECT_THAT(ask(small(winrm_request(kGetAction, kV2 + "Msvm_ComputerSystem", "")), 500),
              HasSubstr("faultDetail/MaxEnvelopeSize"));
}

TEST_F(ServiceTest, PullsAreBoundedByCharactersToo) {
  answer_with(3);
  const std::string counted = "<w:RequestTotalItemsCountEstimate/>";
  const std::string first =
      ask(winrm_request(kEnumerateAction, kV2 + "Msvm_ComputerSystem", "<n:Enumerate/>", counted));
  EXPECT_THAT(first, HasSubstr("<w:TotalItemsCountEstimate>3</w:TotalItemsCountEstimate>"));
  const auto pull = [&](const std::string& more, int status = 200) {
    return ask(winrm_request(kPullAction, kV2 + "Msvm_ComputerSystem", pull_body(context_of(first), more)),
               status);
  };
  EXPECT_THAT(pull("<n:MaxTime>soon</n:MaxTime>", 500), HasSubstr("w:SchemaValidationError"));
  EXPECT_THAT(pull("<n:MaxCharacters>0</n:MaxCharacters>", 500), HasSubstr("w:SchemaValidationError"));
  const std::string one = pull(
      "<n:MaxTime>PT5S</n:MaxTime><n:MaxElements>9</n:MaxElements>"
      "<n:MaxCharacters>10</n:MaxCharacters>");
  EXPECT_EQ(count(one, "<p:Msvm_ComputerSystem "), 1u);
  EXPECT_THAT(one, Not(HasSubstr("TotalItemsCountEstimate")));
  EXPECT_EQ(count(pull("<n:MaxElements>9</n:MaxElements><n:MaxCharacters>99999</n:MaxCharacters>"),
                  "<p:Msvm_ComputerSystem "),
            2u);
}

TEST_F(ServiceTest, AnAnswerAfterTheTimeoutIsNone) {
  answer_with(1);
  dispatcher_.meanwhile = [&] { clock_.at = clock_.at + Duration::seconds(21); };  // the request says PT20S
  const std::string uri = kV2 + "Msvm_ComputerSystem";
  const std::string late = ask(winrm_request(kGetAction, uri, ""), 500);
  EXPECT_THAT(late, HasSubstr("w:TimedOut"));
  EXPECT_THAT(late, HasSubstr("Code=\"2150858793\""));
  EXPECT_THAT(ask(winrm_request(kEnumerateAction, uri, "<n:Enumerate/>"), 500), HasSubstr("w:TimedOut"));
  // What a method has done is done: its answer is always worth having.
  dispatcher_.answer = cim::Response{{}, cim::InvokeResult{}};
  ask(winrm_request(uri + "/RequestStateChange", uri, ""));
  dispatcher_.meanwhile = [&] { clock_.at = clock_.at + Duration::seconds(19); };
  answer_with(1);
  ask(winrm_request(kGetAction, uri, ""));
}

TEST_F(ServiceTest, LimitsAreNamed) {
  answer_with(1);
  const std::string uri = kV2 + "Msvm_ComputerSystem";
  const auto refused = [&](const std::string& envelope, const std::string& detail) {
    const std::string reply = ask(envelope, 500);
    EXPECT_THAT(reply, HasSubstr("w:EncodingLimit"));
    EXPECT_THAT(reply, HasSubstr("faultDetail/" + detail));
  };
  refused(winrm_request(kGetAction, kV2 + std::string(2048, 'x'), ""), "UriLimitExceeded");
  std::string options, selectors;
  for (size_t i = 0; i <= kMostOptions; ++i) options += "<w:Option Name=\"o\"/>";
  for (size_t i = 0; i <= kMostSelectors; ++i)
    selectors += "<w:Selector Name=\"s" + std::to_string(i) + "\">x</w:Selector>";
  refused(winrm_request(kGetAction, uri, "", "<w:OptionSet>" + options + "</w:OptionSet>"), "OptionLimit");
  refused(winrm_request(kGetAction, uri, "", "", selectors), "SelectorLimit");
  refused("<?xml version='1.0' encoding='ISO-8859-1'?>" + winrm_request(kGetAction, uri, ""), "CharacterSet");
  refused("\xff\xfe<", "CharacterSet");
  refused(winrm_request(
              kGetAction, uri,
              std::string(100 * limits::kMostXmlDepth, ' ') +
                  [] {
                    std::string deep;
                    for (size_t i = 0; i <= limits::kMostXmlDepth; ++i) deep += "<a>";
                    return deep;
                  }()),
          "ServiceEnvelopeLimit");
  ask("\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>" + winrm_request(kGetAction, uri, ""));
}

TEST_F(ServiceTest, FaultsNameWhatWasNotUnderstoodAndWhatIsAway) {
  const std::string uri = kV2 + "Msvm_ComputerSystem";
  const std::string reply =
      ask(winrm_request(kGetAction, uri, "", "<z:New xmlns:z=\"urn:z\" s:mustUnderstand=\"1\"/>"), 500);
  EXPECT_THAT(reply, HasSubstr("<s:Value>s:MustUnderstand</s:Value>"));
  EXPECT_THAT(reply, HasSubstr("<s:NotUnderstood xmlns:q=\"urn:z\" qname=\"q:New\"/>"));
  dispatcher_.answer = tl::unexpected(make_fault(Error(ErrorCode::not_available, "no libvirt"), ""));
  EXPECT_THAT(ask(winrm_request(kGetAction, uri, ""), 500), HasSubstr("faultDetail/ResourceOffline"));
  dispatcher_.answer = tl::unexpected(make_fault(Error(ErrorCode::out_of_memory, "many"), ""));
  EXPECT_THAT(ask(winrm_request(kGetAction, uri, ""), 500), HasSubstr("<s:Value>s:Sender</s:Value>"));
  const std::string fragment = "<w:FragmentTransfer s:mustUnderstand=\"true\">Name</w:FragmentTransfer>";
  for (const std::string& action : {kEnumerateAction, kPullAction, uri + "/RequestStateChange"})
    EXPECT_THAT(ask(winrm_request(action, uri, "", fragment), 500),
                HasSubstr("faultDetail/FragmentLevelAccess"));
}

TEST_F(ServiceTest, GetAndItsFragments) {
  answer_with(1);
  const std::string uri = kV2 + "Msvm_ComputerSystem";
  const std::string name = "<w:Selector Name=\"Name\">g0</w:Selector>";
  EXPECT_THAT(ask(winrm_request(kGetAction, uri, "", "", name)),
              HasSubstr("<s:Body><p:Msvm_ComputerSystem "));
  EXPECT_EQ(std::get<cim::GetRequest>(dispatcher_.request).path.text(), "Msvm_ComputerSystem.Name=\"g0\"");
  const auto fragment = [&](const std::string& expression, const std::string& dialect = {}) {
    return winrm_request(kGetAction, uri, "",
                         "<w:FragmentTransfer s:mustUnderstand=\"true\"" + dialect + ">" + expression +
                             "</w:FragmentTransfer>",
                         name);
  };
  const std::string element = ask(fragment("ElementName"));
  EXPECT_THAT(element, HasSubstr("<p:ElementName>vm G0</p:ElementName></w:XmlFragment>"));
  EXPECT_THAT(element,
              HasSubstr("<w:FragmentTransfer s:mustUnderstand=\"true\">ElementName</w:FragmentTransfer>"));
  EXPECT_THAT(ask(fragment("p:ElementName/text()")), HasSubstr("<w:XmlFragment>vm G0</w:XmlFragment>"));
  EXPECT_THAT(ask(fragment("//*"), 500), HasSubstr("n:CannotProcessFilter"));
  EXPECT_THAT(ask(fragment("Name", " Dialect=\"urn:x\""), 500), HasSubstr("w:FragmentDialectNotSupported"));
}

TEST_F(ServiceTest, InvokeAsLibvirtAndOthersWriteIt) {
  cim::InvokeResult result;
  result.return_value = 4096;
  result.out.set("Job", cim::ObjectPath{"Msvm_ConcreteJob", {{"InstanceID", "J1"}}});
  dispatcher_.answer = cim::Response{{}, result};
  const std::string uri = kV2 + "Msvm_ComputerSystem";
  const std::string reply = ask(libvirt_request(
      uri + "/RequestStateChange", uri,
      "<n1:RequestStateChange_INPUT><n1:RequestedState>2</n1:RequestedState></n1:RequestStateChange_INPUT>",
      "<wsman:Selector Name=\"Name\">0f</wsman:Selector><wsman:Selector "
      "Name=\"CreationClassName\">Msvm_ComputerSystem</wsman:Selector>"));
  const auto& request = std::get<cim::InvokeRequest>(dispatcher_.request);
  EXPECT_EQ(request.method, "RequestStateChange");
  EXPECT_EQ(request.path.keys.at("Name"), "0f");
  EXPECT_EQ(request.parameters.class_name(), "RequestStateChange_INPUT");
  EXPECT_EQ(request.parameters.get("requestedstate").text(), "2");
  EXPECT_THAT(reply, HasSubstr("<a:Action>" + uri + "/RequestStateChangeResponse</a:Action>"));
  // The prefixes libvirt's XPath takes for granted: s, a, w on the Envelope, p on the output.
  for (const char* declared : {"xmlns:s=", "xmlns:a=", "xmlns:w="})
    EXPECT_LT(reply.find(declared), reply.find("<s:Header>")) << declared;
  EXPECT_THAT(reply, HasSubstr("<s:Body><p:RequestStateChange_OUTPUT "));
  EXPECT_THAT(
      reply,
      HasSubstr(
          "<w:Selector Name=\"InstanceID\">J1</w:Selector></w:SelectorSet></a:ReferenceParameters></p:Job>"
          "<p:ReturnValue>4096</p:ReturnValue></p:RequestStateChange_OUTPUT></s:Body></s:Envelope>"));
  ask(winrm_request(uri + "/RequestStateChange", uri, "", "",
                    "<w:Selector Name=\"Name\">0f</w:Selector>"));  // no body: no parameters
  EXPECT_TRUE(std::get<cim::InvokeRequest>(dispatcher_.request).parameters.properties().empty());
}

TEST_F(ServiceTest, WhatIsNotOfferedIsAFault) {
  answer_with(1);
  const std::string uri = kV2 + "Msvm_ComputerSystem";
  for (const char* verb : {"Put", "Create", "Delete"})
    EXPECT_THAT(
        ask(winrm_request("http://schemas.xmlsoap.org/ws/2004/09/transfer/" + std::string(verb), uri, ""),
            500),
        HasSubstr("a:ActionNotSupported"))
        << verb;
  EXPECT_THAT(ask(winrm_request("http://schemas.xmlsoap.org/ws/2004/08/eventing/Subscribe", uri, ""), 500),
              HasSubstr("a:ActionNotSupported"));
  EXPECT_THAT(ask(winrm_request(kV2 + "Msvm_Other/RequestStateChange", uri, ""), 500),
              HasSubstr("a:ActionNotSupported"));
  EXPECT_THAT(ask(winrm_request("http://schemas.xmlsoap.org/ws/2004/09/transfer/Create",
                                "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd", ""),
                  500),
              HasSubstr("a:DestinationUnreachable"));
  EXPECT_THAT(ask(winrm_request(uri + "/M", uri, "<p:Other_INPUT/>"), 500),
              HasSubstr("w:SchemaValidationError"));
  dispatcher_.answer = tl::unexpected(make_fault(Error(ErrorCode::access_denied, "no"), ""));
  EXPECT_THAT(ask(winrm_request(kGetAction, uri, ""), 500), HasSubstr("w:AccessDenied"));
  dispatcher_.answer = tl::unexpected(
      make_fault(Error(ErrorCode::not_found, "no"), "w:InvalidSelectors", "InsufficientSelectors"));
  EXPECT_THAT(ask(winrm_request(kGetAction, uri, ""), 500), HasSubstr("faultDetail/InsufficientSelectors"));
}

TEST_F(ServiceTest, HostileBodiesAreFaults) {
  for (const char* body : {"", "x", "<!DOCTYPE a><a/>", "<a>",
                           "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'/>"})
    EXPECT_THAT(ask(body, 500), HasSubstr("<s:Fault")) << body;
}

// --- the door ---

http::HttpRequest head(std::vector<http::Header> headers = {}) {
  return {"POST", "/wsman", std::move(headers), {}};
}

class DoorTest : public ServiceTest {
 protected:
  int status_of(const http::HttpRequest& request, const http::ConnectionInfo& info = {}) {
    const auto admitted = service_.welcome(info)(request);
    return admitted ? 200 : admitted.error().status;
  }
};

TEST_F(DoorTest, StrangersAreAskedToLogIn) {
  const auto refused = service_.welcome({})(head());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 401);
  EXPECT_THAT(std::string(refused.error().header("WWW-Authenticate")),
              testing::StartsWith("Basic realm=\"Understudy\""));
  EXPECT_EQ(status_of(head({{"Authorization", "Negotiate abc"}})), 401);
}

// Takes the token for the principal.
class Believer final : public authz::TicketJudge {
 public:
  Result<authz::Ticket> judge(const std::string& token) override {
    if (token == "later") return fail(ErrorCode::not_available, "nobody can say");
    return authz::Ticket{token, "proof"};
  }
};

TEST(KerberosDoor, IsShownWhereItIsAndTheAnswerHasTheProof) {
  FakeDispatcher dispatcher;
  dispatcher.answer = cim::Response{{system_item("G0")}, {}};
  const FakeClock clock;
  Believer judge;
  const authz::Gate gate(nullptr, {}, nullptr,
                         {&judge, *authz::KerberosMap::parse("ada@R ada operator", "map")});
  session::LocalSessions sessions(gate, dispatcher);
  WsmanService service(sessions, clock, {.version = "0.1.0"}, true);
  const auto door = service.welcome({});
  const auto login = [](std::string_view token) {
    return head({{"Authorization", "Negotiate " + to_base64(as_bytes(token))}});
  };
  const auto refused = door(head());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().headers.at(0).value, "Basic realm=\"Understudy\", charset=\"UTF-8\"");
  EXPECT_EQ(refused.error().headers.at(1).name, "WWW-Authenticate");
  EXPECT_EQ(refused.error().headers.at(1).value, "Negotiate");
  EXPECT_EQ(door(login("eve@R")).error().status, 401);
  EXPECT_EQ(door(login("later")).error().status, 503);

  const auto admitted = door(login("ada@R"));
  ASSERT_TRUE(admitted);
  http::HttpRequest request = head();
  request.body = winrm_request(kGetAction, kV2 + "Msvm_ComputerSystem", "");
  const auto answer = (*admitted)(request);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("WWW-Authenticate"), "Negotiate " + to_base64(as_bytes("proof")));
  EXPECT_EQ(dispatcher.caller.method, "kerberos");
  EXPECT_EQ(dispatcher.caller.role, "operator");
  EXPECT_EQ(door(head()).error().status, 401);  // the next request has a caller of its own
  EXPECT_EQ((*admitted)(request).status, 500);  // and this one has been
}

TEST_F(DoorTest, CertificateAndLocalSocketAreEnough) {
  http::ConnectionInfo card;
  card.certificate = net::PeerCertificate{"ops", {}, {}, "FF", {}};
  EXPECT_EQ(status_of(head(), card), 200);
  EXPECT_EQ(
      status_of(
          head({{"Authorization", "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"}}),
          card),
      200);
  card.certificate->common_name = "stranger";
  EXPECT_EQ(status_of(head(), card), 401);
  http::ConnectionInfo local;
  local.unix_uid = 0;
  const auto root = service_.welcome(local)(head());
  ASSERT_TRUE(root);
  answer_with(1);
  http::HttpRequest request = head();
  request.body = winrm_request(kGetAction, kV2 + "Msvm_ComputerSystem", "");
  EXPECT_EQ((*root)(request).status, 200);
  EXPECT_EQ(dispatcher_.caller.name, "root");
  EXPECT_EQ(dispatcher_.caller.role, "administrator");
}

TEST_F(DoorTest, ContentTypesOfAllClients) {
  http::ConnectionInfo local;
  local.unix_uid = 0;
  EXPECT_EQ(status_of(head(), local), 200);
  for (const char* good : {"application/soap+xml;charset=UTF-8", "application/soap+xml; charset=utf-8",
                           "Application/SOAP+XML", "application/soap+xml;charset=\"UTF-8\""})
    EXPECT_EQ(status_of(head({{"Content-Type", good}}), local), 200) << good;
  for (const char* bad : {"text/plain", "application/x-www-form-urlencoded",
                          "application/soap+xml;charset=UTF-16", "multipart/encrypted;protocol=\"x\""})
    EXPECT_EQ(status_of(head({{"Content-Type", bad}}), local), 415) << bad;
  EXPECT_EQ(status_of(head({{"Origin", "https://evil.example"}}), local), 403);
  EXPECT_EQ(status_of({"GET", "/wsman", {}, {}}, local), 405);
  EXPECT_EQ(status_of({"POST", "/", {}, {}}, local), 404);
  EXPECT_EQ(status_of({"POST", "/wsman?PSVersion=5.1", {}, {}}, local), 200);
}

TEST_F(DoorTest, IdentifyWithAndWithoutLogin) {
  const auto stranger = service_.welcome({})(head({{"WSMANIDENTIFY", "unauthenticated"}}));
  ASSERT_TRUE(stranger);
  http::HttpRequest request = head();
  request.body = "<!DOCTYPE not even looked at";
  const auto answer = (*stranger)(request);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body,
              HasSubstr("<wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>"));
  const std::string identify =
      "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" "
      "xmlns:wsmid=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\">"
      "<s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>";
  const std::string reply = ask(identify);
  EXPECT_THAT(reply, HasSubstr("0.1.0"));
  EXPECT_THAT(
      reply,
      HasSubstr(
          "<wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</wsmid:ProtocolVersion>"));
}

}  // namespace
}  // namespace understudy::wsman
