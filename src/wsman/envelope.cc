#include "wsman/envelope.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ids.h"
#include "cim/datetime.h"
#include "wsman/codec.h"
#include "wsman/names.h"

namespace understudy::wsman {
namespace {

using cim::Fault;
using cim::XmlNode;
using HeaderStatus = tl::expected<void, Fault>;

tl::unexpected<Fault> refuse(std::string message, std::string subcode, std::string detail = {}) {
  return tl::unexpected(make_fault(Error(ErrorCode::invalid_parameter, std::move(message)),
                                   std::move(subcode), std::move(detail)));
}

struct KnownHeader {
  std::string_view ns;
  std::string_view name;
};
constexpr std::array<KnownHeader, 20> kKnownHeaders{{
    {kAddressing, "To"},
    {kAddressing, "Action"},
    {kAddressing, "MessageID"},
    {kAddressing, "ReplyTo"},
    {kAddressing, "FaultTo"},
    {kAddressing, "From"},
    {kAddressing, "RelatesTo"},
    {kWsman, "ResourceURI"},
    {kWsman, "SelectorSet"},
    {kWsman, "OperationTimeout"},
    {kWsman, "MaxEnvelopeSize"},
    {kWsman, "Locale"},
    {kWsman, "OptionSet"},
    {kWsman, "FragmentTransfer"},
    {kWsman, "RequestTotalItemsCountEstimate"},
    {kMicrosoftWsman, "DataLocale"},
    {kMicrosoftWsman, "SessionId"},
    {kMicrosoftWsman, "OperationID"},
    {kMicrosoftWsman, "ActivityId"},
    {kMicrosoftWsman, "SequenceId"},
}};

bool is(const XmlNode& node, std::string_view ns, std::string_view name) {
  return node.name == name && node.ns == ns;
}

const XmlNode* find(const XmlNode& parent, std::string_view ns, std::string_view name) {
  const auto at = std::find_if(parent.children.begin(), parent.children.end(),
                               [&](const XmlNode& c) { return is(c, ns, name); });
  return at == parent.children.end() ? nullptr : &*at;
}

std::string trimmed(const XmlNode& node) {
  return std::string(trim(node.text));
}

// Clients write it with SOAP's namespace or with none, and as true, True or 1.
bool must_understand(const XmlNode& header) {
  for (const auto& a : header.attributes)
    if (a.name == "mustUnderstand" && (a.ns == kSoap || a.ns.empty()))
      return a.value == "1" || cim::same_name(a.value, "true");
  return false;
}

// The first header that is not known and must be; null when there is none.
const XmlNode* not_understood(const XmlNode& header) {
  for (const XmlNode& child : header.children) {
    const bool known = std::any_of(kKnownHeaders.begin(), kKnownHeaders.end(),
                                   [&](const KnownHeader& k) { return is(child, k.ns, k.name); });
    if (!known && must_understand(child)) return &child;
  }
  return nullptr;
}

std::string not_understood_header(const XmlNode& unknown) {
  XmlWriter out;
  out.empty("s:NotUnderstood", {{"xmlns:q", unknown.ns}, {"qname", "q:" + unknown.name}});
  return out.take();
}

HeaderStatus check_understood(const XmlNode& header) {
  if (const XmlNode* child = not_understood(header))
    return refuse("the header {" + child->ns + "}" + child->name + " is not understood", "s:MustUnderstand");
  return {};
}

HeaderStatus check_address(const XmlNode& header, std::string_view name) {
  const XmlNode* reference = find(header, kAddressing, name);
  if (!reference) return {};
  const XmlNode* address = find(*reference, kAddressing, "Address");
  if (!address)
    return refuse("a:" + std::string(name) + " has no a:Address", "a:MessageInformationHeaderRequired");
  if (trim(address->text) != kAnonymous)
    return refuse("replies go back on the connection only (" + std::string(kAnonymous) + ")",
                  "w:UnsupportedFeature", "AddressingMode");
  return {};
}

// English is what there is.
HeaderStatus check_locale(const XmlNode& header) {
  for (const XmlNode& child : header.children) {
    if (!is(child, kWsman, "Locale") && !is(child, kMicrosoftWsman, "DataLocale")) continue;
    const std::string* language = child.attribute("lang");
    const bool english = !language || cim::same_name(std::string_view(*language).substr(0, 2), "en");
    if (!english && must_understand(child))
      return refuse("texts are in English only", "w:UnsupportedFeature", "Locale");
  }
  return {};
}

HeaderStatus check_options(const XmlNode& header) {
  const XmlNode* set = find(header, kWsman, "OptionSet");
  if (!set) return {};
  if (set->children.size() > kMostOptions)
    return refuse("too many options", "w:EncodingLimit", "OptionLimit");
  for (const XmlNode& option : set->children) {
    const std::string* must = option.attribute("MustComply");
    const std::string* name = option.attribute("Name");
    if (must && (*must == "1" || cim::same_name(*must, "true")))
      return refuse("the option '" + (name ? *name : "") + "' is not known", "w:InvalidOptions",
                    "NotSupported");
  }
  return {};
}

tl::expected<Duration, Fault> read_timeout(const XmlNode& header) {
  const XmlNode* timeout = find(header, kWsman, "OperationTimeout");
  if (!timeout) return kMostOperation;
  const auto length = cim::parse_xs_datetime(trim(timeout->text));
  if (!length || !length->interval)
    return refuse("w:OperationTimeout is not a duration such as PT60S", "w:SchemaValidationError");
  if (length->us <= 0) return refuse("w:OperationTimeout must be longer than nothing", "w:TimedOut");
  return std::min(Duration{length->us}, kMostOperation);
}

tl::expected<size_t, Fault> read_envelope_size(const XmlNode& header) {
  const XmlNode* size = find(header, kWsman, "MaxEnvelopeSize");
  if (!size) return limits::kMostEnvelope;
  const std::string_view text = trim(size->text);
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error == std::errc::result_out_of_range) return limits::kMostEnvelope;
  if (error != std::errc() || end != text.data() + text.size())
    return refuse("w:MaxEnvelopeSize is not a number", "w:SchemaValidationError");
  if (bytes < limits::kLeastEnvelope)
    return refuse("w:MaxEnvelopeSize is less than " + std::to_string(limits::kLeastEnvelope),
                  "w:EncodingLimit", "MinimumEnvelopeLimit");
  return static_cast<size_t>(std::min<uint64_t>(bytes, limits::kMostEnvelope));
}

HeaderStatus read_resource(const XmlNode& header, RequestHeader& out) {
  std::string ns;
  if (const XmlNode* set = find(header, kWsman, "SelectorSet")) {
    auto selectors = read_selectors(*set, &ns);
    if (!selectors) return tl::unexpected(selectors.error());
    out.selectors = std::move(*selectors);
  }
  const XmlNode* uri = find(header, kWsman, "ResourceURI");
  if (!uri) return refuse("w:ResourceURI is missing", "a:DestinationUnreachable", "InvalidResourceURI");
  out.resource_uri = trimmed(*uri);
  if (out.resource_uri.size() > kMostResourceUri)
    return refuse("w:ResourceURI is longer than " + std::to_string(kMostResourceUri), "w:EncodingLimit",
                  "UriLimitExceeded");
  auto resource = parse_resource(out.resource_uri, ns);
  if (!resource && resource.error().code() == ErrorCode::failed)
    return tl::unexpected(make_fault(resource.error(), "w:InternalError"));
  if (!resource)
    return tl::unexpected(make_fault(resource.error(), "a:DestinationUnreachable", "InvalidResourceURI"));
  out.resource = std::move(*resource);
  return {};
}

HeaderStatus read_header(const XmlNode& header, RequestHeader& out) {
  const XmlNode* id = find(header, kAddressing, "MessageID");
  if (!id || trim(id->text).empty() || id->text.size() > kMostMessageId)
    return refuse("a:MessageID is missing, empty or too long", "a:InvalidMessageInformationHeader");
  out.message_id = id->text;
  const XmlNode* action = find(header, kAddressing, "Action");
  if (!action || trim(action->text).empty())
    return refuse("a:Action is missing", "a:MessageInformationHeaderRequired");
  out.action = trimmed(*action);
  if (!find(header, kAddressing, "ReplyTo"))
    return refuse("a:ReplyTo is missing", "a:MessageInformationHeaderRequired");
  for (const auto check : {check_understood, check_locale, check_options})
    if (auto status = check(header); !status) return status;
  for (const std::string_view name : {"ReplyTo", "FaultTo"})
    if (auto status = check_address(header, name); !status) return status;
  const auto timeout = read_timeout(header);
  if (!timeout) return tl::unexpected(timeout.error());
  out.timeout = *timeout;
  out.count_items = find(header, kWsman, "RequestTotalItemsCountEstimate") != nullptr;
  auto most = read_envelope_size(header);
  if (!most) return tl::unexpected(most.error());
  out.most_reply = *most;
  if (const XmlNode* fragment = find(header, kWsman, "FragmentTransfer")) {
    const std::string* dialect = fragment->attribute("Dialect");
    out.fragment = Fragment{dialect ? *dialect : "", trimmed(*fragment)};
  }
  return read_resource(header, out);
}

}  // namespace

Fault make_fault(Error error, std::string subcode, std::string detail) {
  return Fault{std::move(error), std::move(subcode), std::move(detail)};
}

bool is_identify(const XmlNode& envelope) {
  const XmlNode* body = find(envelope, kSoap, "Body");
  return body && find(*body, kIdentity, "Identify");
}

tl::expected<RequestEnvelope, EnvelopeFault> read_envelope(XmlNode envelope) {
  RequestEnvelope request;
  const auto fault = [&](Fault f, std::string headers = {}) {
    return tl::unexpected(EnvelopeFault{std::move(f), request.header.message_id, std::move(headers)});
  };
  if (envelope.name != "Envelope" || envelope.ns != kSoap)
    return fault(make_fault(Error(ErrorCode::invalid_parameter, "this is no SOAP 1.2 envelope"),
                            envelope.name == "Envelope" ? "s:VersionMismatch" : "w:SchemaValidationError"));
  static const XmlNode kNoHeader;
  const XmlNode* header = find(envelope, kSoap, "Header");
  if (auto status = read_header(header ? *header : kNoHeader, request.header); !status) {
    const XmlNode* unknown = header ? not_understood(*header) : nullptr;
    const bool said = unknown && status.error().subcode == "s:MustUnderstand";
    return fault(status.error(), said ? not_understood_header(*unknown) : std::string());
  }
  for (XmlNode& child : envelope.children)
    if (is(child, kSoap, "Body") && !child.children.empty()) request.body = std::move(child.children.front());
  return request;
}

cim::Outcome<Selectors> read_selectors(const XmlNode& set, std::string* ns) {
  Selectors selectors;
  for (const XmlNode& selector : set.children) {
    const std::string* name = selector.attribute("Name");
    if (!is(selector, kWsman, "Selector") || !name || name->empty())
      return refuse("w:SelectorSet holds w:Selector elements with a Name", "w:InvalidSelectors",
                    "InvalidValue");
    if (selectors.size() == kMostSelectors)
      return refuse("too many selectors", "w:EncodingLimit", "SelectorLimit");
    std::string value = selector.text;
    if (is_reference(selector)) {
      const auto path = read_reference(selector);
      if (!path) return refuse(path.error().message(), "w:InvalidSelectors", "InvalidValue");
      value = path->text();
    }
    if (cim::same_name(*name, "__cimnamespace")) {
      if (ns) *ns = trim(value);
    } else if (!selectors.emplace(*name, std::move(value)).second) {
      return refuse("the selector '" + *name + "' is there twice", "w:InvalidSelectors",
                    "DuplicateSelectors");
    }
  }
  return selectors;
}

void begin_reply(XmlWriter& out, std::string_view action, std::string_view relates_to,
                 std::string_view more_headers) {
  out.open("s:Envelope", {{"xml:lang", "en-US"},
                          {"xmlns:s", kSoap},
                          {"xmlns:a", kAddressing},
                          {"xmlns:n", kEnumeration},
                          {"xmlns:w", kWsman}});
  out.open("s:Header")
      .leaf("a:Action", action)
      .leaf("a:MessageID", "uuid:" + Uuid::random().upper())
      .leaf("a:To", kAnonymous);
  if (!relates_to.empty()) out.leaf("a:RelatesTo", relates_to);
  out.raw(more_headers).close().open("s:Body");
}

std::string end_reply(XmlWriter& out) {
  return out.close().close().take();
}

}  // namespace understudy::wsman
