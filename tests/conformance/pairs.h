// Request and response pairs, one for each published rule: files of tests/conformance/rules, read and run
// against the real service over the real object manager and providers.
//
//   == DSP0226 w:MaxEnvelopeSize: less than 8192 octets is refused
//   Get Msvm_ComputerSystem Name=$WEB          verb, class (or .Method for Invoke, or a whole URI), selectors
//   + <w:Locale xml:lang="de"/>                a header more
//   - a:ReplyTo                                a default header less
//   @ urn:some-action                          another a:Action
//     <n:Enumerate/>                           indented: the body
//   > fault s:Sender w:EncodingLimit MinimumEnvelopeLimit
//
// A rule may have several steps; $CONTEXT is the enumeration context of the reply before. What a reply must
// be:
//   > ok                       HTTP 200 and no fault
//   > fault CODE SUBCODE [DETAIL]     with HTTP 500
//   > body XML                 the whole content of the Body; a text * stands for any
//   > has XML                  an element like that somewhere in the reply
//   > not NAME                 no element of that local name anywhere
//   > count N NAME             so many
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cim/xml_tree.h"

namespace understudy::conformance {

struct Step {
  std::string envelope;  // but for $CONTEXT
  std::vector<std::string> expected;
};
struct Rule {
  std::string name;
  std::string file;
  std::vector<Step> steps;
};
struct Reply {
  int status = 0;
  std::string text;
};

// All rules of all files in the folder, by file and place. A line that means nothing ends the program.
std::vector<Rule> read_rules(const std::string& folder);
// What is wrong with the reply; empty when nothing is.
std::string judge(const Reply& reply, const std::string& expectation);
// One line an element; prefixes, white space between elements, and the order of attributes do not show. What
// differs from one reply to the next (contexts, message ids, the wording of faults) is masked.
std::string normal(const cim::XmlNode& node, size_t depth = 0);
// The context of an EnumerateResponse or PullResponse; empty when there is none.
std::string context_of(const std::string& reply);

}  // namespace understudy::conformance
