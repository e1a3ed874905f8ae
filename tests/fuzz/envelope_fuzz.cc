// Up to four SOAP envelopes, one after the other (a NUL between them), through the real service, object
// manager and providers: each reply is XML within the size the client takes, relates to the request, and is
// either an answer or a fault with a subcode.
#include "conformance/front.h"
#include "conformance/pairs.h"
#include "fuzz/fuzz.h"
#include "wsman/envelope.h"
#include "wsman/fault.h"

namespace {

using namespace understudy;

const cim::XmlNode* of_reply(const cim::XmlNode& envelope, std::string_view part, std::string_view name) {
  const cim::XmlNode* parent = envelope.child(part);
  return parent ? parent->child(name) : nullptr;
}

void check_reply(const std::string& request, const conformance::Reply& reply) {
  US_ASSERT(reply.status == 200 || reply.status == 500);
  const auto tree = wsman::parse_xml(reply.text);
  US_ASSERT(tree && tree->name == "Envelope");
  const cim::XmlNode* fault = of_reply(*tree, "Body", "Fault");
  US_ASSERT((fault != nullptr) == (reply.status == 500));
  US_ASSERT(!fault || (wsman::read_fault(*tree) && fault->child("Code") && fault->child("Reason")));
  auto sent = wsman::parse_xml(request);
  if (!sent || wsman::is_identify(*sent)) return;
  const auto read = wsman::read_envelope(std::move(*sent));
  const std::string& id = read ? read->header.message_id : read.error().message_id;
  const cim::XmlNode* relates = of_reply(*tree, "Header", "RelatesTo");
  US_ASSERT(!read || reply.status == 500 || reply.text.size() <= read->header.most_reply);
  US_ASSERT(!read || (relates && relates->text == id));
  US_ASSERT(!read || read->header.selectors.size() <= wsman::kMostSelectors);
}

}  // namespace

US_FUZZER(envelope, input) {
  conformance::Front front;
  std::string context = "none";
  for (int step = 0; step < 4 && !input.empty(); ++step) {
    const std::string envelope = conformance::with_context(std::string(fuzz::take(input, '\0')), context);
    const conformance::Reply reply = front.ask(envelope);
    if (envelope.find("encoding") == std::string::npos) check_reply(envelope, reply);
    if (const std::string next = conformance::context_of(reply.text); !next.empty()) context = next;
  }
}
