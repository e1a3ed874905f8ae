#include "wsman/fault.h"

#include <algorithm>
#include <array>

#include "wsman/envelope.h"
#include "wsman/names.h"

namespace understudy::wsman {
namespace {

// What is known of a subcode: whose fault it is, and WinRM's number for it, where clients look at that.
struct FaultRow {
  std::string_view subcode;
  bool receiver;
  uint32_t code;
};
constexpr uint32_t kUnspecified = 0x80004005;
constexpr std::array<FaultRow, 9> kRows{{
    {"a:DestinationUnreachable", false, 2150858752},
    {"a:ActionNotSupported", false, 2150858753},
    {"a:EndpointUnavailable", true, kUnspecified},
    {"w:AccessDenied", false, 5},
    {"w:InvalidSelectors", false, 2150858843},
    {"w:SchemaValidationError", false, 2150858817},
    {"w:InternalError", true, 2150859010},
    {"w:TimedOut", true, 2150858793},
    {"n:InvalidEnumerationContext", true, kUnspecified},
}};

FaultRow row_of(std::string_view subcode) {
  const auto row =
      std::find_if(kRows.begin(), kRows.end(), [&](const FaultRow& r) { return r.subcode == subcode; });
  return row != kRows.end() ? *row : FaultRow{subcode, false, kUnspecified};
}

std::string action_of(std::string_view subcode) {
  switch (subcode.front()) {
    case 'n':
      return std::string(kEnumeration) + "/fault";
    case 'x':
      return std::string(kTransfer) + "/fault";
    case 'w':
      return std::string(kWsmanFaultAction);
    case 'b':
      return std::string(kBindingFaultAction);
    default:
      return std::string(kAddressing) + "/fault";
  }
}

// s:MustUnderstand and s:VersionMismatch are SOAP's own codes and have no subcode.
void write_code(XmlWriter& out, const std::string& subcode, bool receiver) {
  out.open("s:Code");
  if (subcode.starts_with("s:"))
    out.leaf("s:Value", subcode);
  else
    out.leaf("s:Value", receiver ? "s:Receiver" : "s:Sender")
        .open("s:Subcode")
        .leaf("s:Value", subcode)
        .close();
  out.close();
}

const cim::XmlNode* descend(const cim::XmlNode* node, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (node) node = node->child(name);
  return node;
}

// Somebody else's server: only the subcode tells.
ErrorCode code_of_subcode(std::string_view subcode) {
  const std::string_view name = subcode.substr(subcode.find(':') + 1);
  constexpr std::array<std::pair<std::string_view, ErrorCode>, 13> kCodes{{
      {"AccessDenied", ErrorCode::access_denied},
      {"ActionNotSupported", ErrorCode::not_supported},
      {"UnsupportedFeature", ErrorCode::not_supported},
      {"DestinationUnreachable", ErrorCode::not_found},
      {"EndpointUnavailable", ErrorCode::not_available},
      {"TimedOut", ErrorCode::timeout},
      {"Concurrency", ErrorCode::in_use},
      {"SchemaValidationError", ErrorCode::wrong_type},
      {"InvalidParameter", ErrorCode::invalid_parameter},
      {"InvalidSelectors", ErrorCode::invalid_parameter},
      {"CannotProcessFilter", ErrorCode::invalid_parameter},
      {"EncodingLimit", ErrorCode::too_large},
      {"QuotaLimit", ErrorCode::out_of_memory},
  }};
  for (const auto& [known, code] : kCodes)
    if (known == name) return code;
  return ErrorCode::failed;
}

}  // namespace

std::string fault_subcode(const cim::Fault& fault) {
  return fault.subcode.empty() ? std::string(error_info(fault.error.code()).wsman_fault) : fault.subcode;
}

std::string write_fault(const cim::Fault& fault, std::string_view relates_to, std::string_view more_headers) {
  const std::string subcode = fault_subcode(fault);
  const FaultRow row = row_of(subcode);
  XmlWriter out;
  begin_reply(out, action_of(subcode), relates_to, more_headers);
  out.open("s:Fault", {{"xmlns:x", kTransfer}, {"xmlns:b", kBinding}});
  write_code(out, subcode, row.receiver);
  out.open("s:Reason").leaf("s:Text", fault.error.text(), {{"xml:lang", "en-US"}}).close();
  out.open("s:Detail");
  const std::string detail =
      fault.detail.empty() && subcode == "a:EndpointUnavailable" ? "ResourceOffline" : fault.detail;
  if (!detail.empty()) out.leaf("w:FaultDetail", std::string(kFaultDetail) + detail);
  out.open("f:WSManFault",
           {{"xmlns:f", kMicrosoftFault}, {"Code", std::to_string(row.code)}, {"Machine", "localhost"}});
  out.open("f:Message");
  out.leaf("f:ProviderFault", fault.error.text(),
           {{"provider", "Understudy"}, {"path", error_info(fault.error.code()).name}});
  out.close().close().close().close();
  return end_reply(out);
}

std::optional<Error> read_fault(const cim::XmlNode& envelope) {
  const cim::XmlNode* fault = descend(&envelope, {"Body", "Fault"});
  if (!fault || fault->ns != kSoap) return std::nullopt;
  const cim::XmlNode* subcode = descend(fault, {"Code", "Subcode", "Value"});
  const cim::XmlNode* text = descend(fault, {"Reason", "Text"});
  const cim::XmlNode* ours = descend(fault, {"Detail", "WSManFault", "Message", "ProviderFault"});
  const std::string* provider = ours ? ours->attribute("provider") : nullptr;
  const std::string* name = ours ? ours->attribute("path") : nullptr;
  const ErrorCode code = provider && *provider == "Understudy" && name ? error_code_from_name(*name)
                         : subcode                                     ? code_of_subcode(trim(subcode->text))
                                                                       : ErrorCode::failed;
  std::string message = text ? std::string(trim(text->text)) : "the server answered with a fault";
  std::string hint;
  if (const size_t next = message.find(". Next: "); next != std::string::npos) {
    hint = message.substr(next + 8);
    message.resize(next);
  }
  return Error(code, std::move(message), std::move(hint));
}

std::string write_error_header(const Error& error) {
  XmlWriter out;
  out.open("u:Error", {{"xmlns:u", kUnderstudy}, {"Code", error_info(error.code()).name}});
  out.leaf("u:Message", error.message()).leaf("u:Hint", error.hint()).close();
  return out.take();
}

std::optional<Error> read_error_header(const cim::XmlNode& envelope) {
  const cim::XmlNode* error = descend(&envelope, {"Header", "Error"});
  const std::string* code = error && error->ns == kUnderstudy ? error->attribute("Code") : nullptr;
  if (!code) return std::nullopt;
  const cim::XmlNode* message = error->child("Message");
  const cim::XmlNode* hint = error->child("Hint");
  return Error(error_code_from_name(*code), message ? message->text : "", hint ? hint->text : "");
}

}  // namespace understudy::wsman
