// Endpoint reference and selectors: within their bounds, and a reference that is written again names the same
// object.
#include "fuzz/fuzz.h"
#include "wsman/codec.h"
#include "wsman/envelope.h"

US_FUZZER(reference, input) {
  using namespace understudy;
  const auto tree = wsman::parse_xml(input);
  if (!tree) return;
  std::string ns;
  if (const auto selectors = wsman::read_selectors(*tree, &ns))
    US_ASSERT(selectors->size() <= wsman::kMostSelectors);
  const auto path = wsman::read_reference(*tree);
  if (!path) return;
  US_ASSERT(path->keys.size() <= wsman::kMostSelectors);
  const auto write = [](const cim::ObjectPath& one) {
    wsman::XmlWriter out;
    wsman::write_endpoint(out, one);
    return out.take();
  };
  const std::string text = write(*path);
  const auto again = wsman::parse_xml(text);
  US_ASSERT(again && wsman::is_reference(*again));
  const auto same = wsman::read_reference(*again);
  US_ASSERT(same && same->class_name == path->class_name && same->keys.size() == path->keys.size());
  US_ASSERT(write(*same) == text);  // paths inside are written without the namespace they came with
}
