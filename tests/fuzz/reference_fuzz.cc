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
  wsman::XmlWriter out;
  wsman::write_endpoint(out, *path);
  const auto again = wsman::parse_xml(out.take());
  US_ASSERT(again && wsman::is_reference(*again));
  const auto same = wsman::read_reference(*again);
  US_ASSERT(same && same->same(*path));
}
