// Writes the same message in another form, from a seed: everything that XML, SOAP and WS-Management leave
// open.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "cim/xml_tree.h"

namespace understudy::conformance {

class Shuffler {
 public:
  explicit Shuffler(uint64_t seed) : random_(seed) {}
  // Prefixes and where they are declared, order of headers, selectors, attributes and of what is in an
  // Enumerate or an _INPUT (arrays keep theirs), white space and comments between elements, comments within
  // texts, CDATA and character references, empty elements, and case where it does not count.
  std::string write(const cim::XmlNode& envelope);

 private:
  using Scope = std::map<std::string, std::string>;  // namespace to prefix, as declared around
  bool chance(unsigned percent) { return random_() % 100 < percent; }
  void reorder(cim::XmlNode& node);
  void change_case(cim::XmlNode& node, bool may_change_uri);
  std::string any_case(std::string text);
  std::string new_prefix(const Scope& scope);
  std::string qualified(const std::string& ns, const std::string& name, Scope& scope, std::string& declared,
                        bool attribute);
  std::string element(const cim::XmlNode& node, Scope scope);
  std::string content(const std::string& text, bool may_pad);
  std::string gap();
  std::mt19937_64 random_;
};

}  // namespace understudy::conformance
