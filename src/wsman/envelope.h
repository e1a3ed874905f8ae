// The SOAP envelope of a request: its headers read and judged (spec 9.3), and the frame of every reply. Pure
// functions; the values own what they hold.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/limits.h"
#include "base/time.h"
#include "cim/operation.h"
#include "cim/xml_tree.h"
#include "wsman/resource.h"
#include "wsman/xml.h"

namespace understudy::wsman {

// WS-Management's own measures.
inline constexpr size_t kMostSelectors = 64;
inline constexpr size_t kMostOptions = 64;
inline constexpr size_t kMostResourceUri = 2048;
inline constexpr size_t kMostMessageId = 1024;
inline constexpr Duration kMostOperation = Duration::seconds(60);  // longer timeouts are this one

using Selectors = std::map<std::string, std::string, cim::NameLess>;

struct Fragment {
  std::string dialect;  // empty: XPath
  std::string expression;
};

struct RequestHeader {
  std::string message_id;  // any text; the reply repeats it byte for byte
  std::string action;
  std::string resource_uri;  // as it came
  Resource resource;
  Selectors selectors;  // without __cimnamespace; a reference as object path text
  size_t most_reply = limits::kMostEnvelope;
  Duration timeout = kMostOperation;  // of what can be asked again without harm
  bool count_items = false;           // w:RequestTotalItemsCountEstimate
  std::optional<Fragment> fragment;
};

struct RequestEnvelope {
  RequestHeader header;
  std::optional<cim::XmlNode> body;  // the first element in the Body
};

// A fault and what of the request is known: enough to answer it.
struct EnvelopeFault {
  cim::Fault fault;
  std::string message_id;
  std::string headers;  // of the reply: s:NotUnderstood
};

bool is_identify(const cim::XmlNode& envelope);
tl::expected<RequestEnvelope, EnvelopeFault> read_envelope(cim::XmlNode envelope);

// w:SelectorSet; ErrorCode::invalid_parameter with the detail of the fault. `__cimnamespace` is put aside.
cim::Outcome<Selectors> read_selectors(const cim::XmlNode& set, std::string* ns);
cim::Fault make_fault(Error error, std::string subcode, std::string detail = {});

// Envelope and Header open and closed, Body open: the caller writes one element and calls end_reply().
// `relates_to` may be empty; then there is none.
void begin_reply(XmlWriter& out, std::string_view action, std::string_view relates_to,
                 std::string_view more_headers = {});
std::string end_reply(XmlWriter& out);

}  // namespace understudy::wsman
