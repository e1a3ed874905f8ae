#include "wsman/envelope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wsman/fault.h"
#include "wsman/test_envelope.h"

namespace understudy::wsman {
namespace {

tl::expected<RequestEnvelope, EnvelopeFault> read(const std::string& text) {
  auto tree = parse_xml(text);
  EXPECT_TRUE(tree) << text;
  return read_envelope(std::move(*tree));
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

const std::string kGood = winrm_request(kGetAction, kV2 + "Msvm_ComputerSystem", "", "",
                                        R"(<w:Selector Name="Name">g</w:Selector>)");

TEST(Envelope, ReadsWhatWinrmSends) {
  const auto request = read(kGood);
  ASSERT_TRUE(request) << request.error().fault.error.text();
  EXPECT_EQ(request->header.action, kGetAction);
  EXPECT_EQ(request->header.resource.class_name, "Msvm_ComputerSystem");
  EXPECT_EQ(request->header.resource.ns, "root/virtualization/v2");
  EXPECT_EQ(request->header.selectors, (Selectors{{"Name", "g"}}));
  EXPECT_EQ(request->header.most_reply, 153600u);
  EXPECT_FALSE(request->body);
}

TEST(Envelope, AcceptsTheSpellingsOfAllClients) {
  const std::string table[] = {
      replaced(kGood, "uuid:11111111-1111-1111-1111-111111111114", "17"),
      replaced(kGood, "PT20S", "PT5.0S"),
      replaced(kGood, "PT20S", "PT60.000S"),
      replaced(kGood, "http://windows-host:5985/wsman", "/wsman"),
      replaced(kGood, "mustUnderstand=\"false\" xml:lang=\"en-US\"",
               "s:mustUnderstand=\"true\" xml:lang=\"en-GB\""),
      replaced(kGood, "<a:To>", "<a:To mustUnderstand=\"true\">"),
      replaced(kGood, "<a:MessageID>",
               "<p:SessionId s:mustUnderstand=\"true\">uuid:1</p:SessionId><a:MessageID>"),
      replaced(kGood, "<a:MessageID>",
               "<w:OptionSet s:mustUnderstand=\"true\"><w:Option "
               "Name=\"ShowExtensions\"/></w:OptionSet><a:MessageID>"),
      replaced(kGood, "<a:MessageID>", "<w:RequestTotalItemsCountEstimate/><a:MessageID>"),
      replaced(kGood, "<a:MessageID>", "<u:Unknown xmlns:u=\"urn:u\">x</u:Unknown><a:MessageID>"),
      replaced(kGood, "<a:MessageID>",
               "<u:Unknown xmlns:u=\"urn:u\" s:mustUnderstand=\"false\"/><a:MessageID>"),
      replaced(kGood, "Msvm_ComputerSystem", "msvm_computersystem"),
      replaced(kGood, kV2 + "Msvm", "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Msvm"),
      replaced(kGood, "<w:Selector ",
               "<w:Selector Name=\"__cimnamespace\">root\\Virtualization\\v2</w:Selector><w:Selector "),
  };
  for (const std::string& text : table) {
    const auto request = read(text);
    ASSERT_TRUE(request) << request.error().fault.error.text() << "\n" << text;
    EXPECT_EQ(request->header.resource.class_name, "Msvm_ComputerSystem");
    EXPECT_EQ(request->header.selectors, (Selectors{{"Name", "g"}}));
  }
}

TEST(Envelope, EachFaultOfTheHeaders) {
  const struct {
    const char* what;
    std::string text;
    const char* subcode;
    const char* detail;
  } table[] = {
      {"another SOAP",
       replaced(kGood, "http://www.w3.org/2003/05/soap-envelope",
                "http://schemas.xmlsoap.org/soap/envelope/"),
       "s:VersionMismatch", ""},
      {"no envelope", "<a/>", "w:SchemaValidationError", ""},
      {"no MessageID",
       replaced(kGood, "<a:MessageID>uuid:11111111-1111-1111-1111-111111111114</a:MessageID>", ""),
       "a:InvalidMessageInformationHeader", ""},
      {"empty MessageID", replaced(kGood, "uuid:11111111-1111-1111-1111-111111111114", " "),
       "a:InvalidMessageInformationHeader", ""},
      {"no ReplyTo", replaced(replaced(kGood, "<a:ReplyTo>", "<a:From>"), "</a:ReplyTo>", "</a:From>"),
       "a:MessageInformationHeaderRequired", ""},
      {"ReplyTo elsewhere", replaced(kGood, "addressing/role/anonymous", "addressing/role/none"),
       "w:UnsupportedFeature", "AddressingMode"},
      {"no Action", replaced(kGood, kGetAction, ""), "a:MessageInformationHeaderRequired", ""},
      {"unknown, must", replaced(kGood, "<a:To>", "<u:U xmlns:u=\"urn:u\" s:mustUnderstand=\"true\"/><a:To>"),
       "s:MustUnderstand", ""},
      {"unknown, must, one",
       replaced(kGood, "<a:To>", "<u:U xmlns:u=\"urn:u\" s:mustUnderstand=\"1\"/><a:To>"), "s:MustUnderstand",
       ""},
      {"unknown, must, bare",
       replaced(kGood, "<a:To>", "<u:U xmlns:u=\"urn:u\" mustUnderstand=\"true\"/><a:To>"),
       "s:MustUnderstand", ""},
      {"our header, foreign namespace",
       replaced(kGood, "<a:To>", "<u:To xmlns:u=\"urn:u\" s:mustUnderstand=\"true\"/><a:To>"),
       "s:MustUnderstand", ""},
      {"not English",
       replaced(kGood, "mustUnderstand=\"false\" xml:lang=\"en-US\"",
                "s:mustUnderstand=\"true\" xml:lang=\"de-DE\""),
       "w:UnsupportedFeature", "Locale"},
      {"option to comply with",
       replaced(kGood, "<a:To>",
                "<w:OptionSet><w:Option Name=\"X\" MustComply=\"true\"/></w:OptionSet><a:To>"),
       "w:InvalidOptions", "NotSupported"},
      {"timeout of no form", replaced(kGood, "PT20S", "20"), "w:SchemaValidationError", ""},
      {"timeout of nothing", replaced(kGood, "PT20S", "PT0S"), "w:TimedOut", ""},
      {"small envelope", replaced(kGood, "153600", "8191"), "w:EncodingLimit", "MinimumEnvelopeLimit"},
      {"envelope of no number", replaced(kGood, "153600", "-1"), "w:SchemaValidationError", ""},
      {"no resource",
       replaced(replaced(kGood, "<w:ResourceURI", "<w:Locale"), "</w:ResourceURI>", "</w:Locale>"),
       "a:DestinationUnreachable", "InvalidResourceURI"},
      {"a shell",
       replaced(kGood, kV2 + "Msvm_ComputerSystem",
                "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"),
       "a:DestinationUnreachable", "InvalidResourceURI"},
      {"keys in the URI", replaced(kGood, "Msvm_ComputerSystem", "Msvm_ComputerSystem?Name=x"),
       "a:DestinationUnreachable", "InvalidResourceURI"},
      {"another namespace", replaced(kGood, "root/virtualization/v2", "root/default"),
       "a:DestinationUnreachable", "InvalidResourceURI"},
      {"class of the other namespace", replaced(kGood, "root/virtualization/v2", "root/cimv2"),
       "a:DestinationUnreachable", "InvalidResourceURI"},
      {"selector against URI",
       replaced(kGood, "<w:Selector ",
                "<w:Selector Name=\"__cimnamespace\">root/cimv2</w:Selector><w:Selector "),
       "w:InternalError", ""},
      {"selector twice",
       replaced(kGood, "<w:Selector ", "<w:Selector Name=\"NAME\">h</w:Selector><w:Selector "),
       "w:InvalidSelectors", "DuplicateSelectors"},
      {"selector without name", replaced(kGood, "<w:Selector ", "<w:Selector>h</w:Selector><w:Selector "),
       "w:InvalidSelectors", "InvalidValue"},
  };
  for (const auto& row : table) {
    const auto request = read(row.text);
    ASSERT_FALSE(request) << row.what;
    EXPECT_EQ(fault_subcode(request.error().fault), row.subcode)
        << row.what << ": " << request.error().fault.error.text();
    EXPECT_EQ(request.error().fault.detail, row.detail) << row.what;
  }
}

TEST(Envelope, FaultRepeatsTheMessageIdOnceItIsKnown) {
  const auto request = read(replaced(kGood, "153600", "1"));
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().message_id, "uuid:11111111-1111-1111-1111-111111111114");
}

TEST(Selectors, ReferenceAsAValueBecomesAPath) {
  const auto tree = parse_xml(
      R"(<w:SelectorSet xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><w:Selector Name="Antecedent"><a:EndpointReference><a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>)" +
      kV2 +
      R"(Msvm_ComputerSystem</w:ResourceURI><w:SelectorSet><w:Selector Name="Name">G"1</w:Selector></w:SelectorSet></a:ReferenceParameters></a:EndpointReference></w:Selector></w:SelectorSet>)");
  ASSERT_TRUE(tree);
  const auto selectors = read_selectors(*tree, nullptr);
  ASSERT_TRUE(selectors);
  EXPECT_EQ(selectors->at("antecedent"), R"(Msvm_ComputerSystem.Name="G\"1")");
}

TEST(Fault, CarriesCodeDetailAndTheExactError) {
  const cim::Fault fault =
      make_fault(Error(ErrorCode::in_use, "vm1 <is> busy", "wait"), "", "ResourceOffline");
  const std::string text = write_fault(fault, "id");
  EXPECT_EQ(canonical_body(text),
            "{http://www.w3.org/2003/05/soap-envelope}Fault\n"
            "  {http://www.w3.org/2003/05/soap-envelope}Code\n"
            "    {http://www.w3.org/2003/05/soap-envelope}Value 's:Sender'\n"
            "    {http://www.w3.org/2003/05/soap-envelope}Subcode\n"
            "      {http://www.w3.org/2003/05/soap-envelope}Value 'w:Concurrency'\n"
            "  {http://www.w3.org/2003/05/soap-envelope}Reason\n"
            "    {http://www.w3.org/2003/05/soap-envelope}Text lang=en-US 'vm1 <is> busy. Next: wait'\n"
            "  {http://www.w3.org/2003/05/soap-envelope}Detail\n"
            "    {http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}FaultDetail "
            "'http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/ResourceOffline'\n"
            "    {http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}WSManFault Code=2147500037 "
            "Machine=localhost\n"
            "      {http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}Message\n"
            "        {http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}ProviderFault path=in_use "
            "provider=Understudy 'vm1 <is> busy. Next: wait'\n");
  EXPECT_THAT(text,
              testing::HasSubstr("<a:Action>http://schemas.dmtf.org/wbem/wsman/1/wsman/fault</a:Action>"));
  EXPECT_EQ(read_fault(*parse_xml(text)), Error(ErrorCode::in_use, "vm1 <is> busy", "wait"));
}

TEST(Fault, ActionAndRoleFollowTheSubcode) {
  const struct {
    const char* subcode;
    const char* role;
    const char* action;
  } table[] = {
      {"n:InvalidEnumerationContext", "s:Receiver",
       "http://schemas.xmlsoap.org/ws/2004/09/enumeration/fault"},
      {"a:ActionNotSupported", "s:Sender", "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"},
      {"w:TimedOut", "s:Receiver", "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"},
      {"b:PolymorphismModeNotSupported", "s:Sender", "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/fault"},
      {"x:InvalidRepresentation", "s:Sender", "http://schemas.xmlsoap.org/ws/2004/09/transfer/fault"},
      {"s:MustUnderstand", "s:MustUnderstand", "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"},
  };
  for (const auto& row : table) {
    const std::string text = write_fault(make_fault(Error(ErrorCode::failed, "x"), row.subcode), "");
    EXPECT_THAT(text, testing::HasSubstr(std::string("<s:Code><s:Value>") + row.role + "</s:Value>"))
        << row.subcode;
    EXPECT_THAT(text, testing::HasSubstr(std::string("<a:Action>") + row.action + "</a:Action>"))
        << row.subcode;
    EXPECT_TRUE(parse_xml(text)) << row.subcode;
  }
}

}  // namespace
}  // namespace understudy::wsman
