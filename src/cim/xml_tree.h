// A parsed XML element as a plain value. wsman/ makes it (with libxml2, bounded by limits.h); what only needs
// to read a tree, like embedded.h, takes it from here and never sees an XML library. Owns all it holds.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace understudy::cim {

struct XmlAttribute {
  std::string name;  // local name
  std::string ns;    // namespace URI, may be empty
  std::string value;
};

struct XmlNode {
  std::string name;  // local name
  std::string ns;    // namespace URI, may be empty
  std::vector<XmlAttribute> attributes;
  std::vector<XmlNode> children;  // elements only, in document order
  std::string text;  // character data and CDATA directly inside, joined, as written (not trimmed)

  // The first one with this local name, in any namespace, or null.
  const std::string* attribute(std::string_view local) const {
    for (const XmlAttribute& a : attributes)
      if (a.name == local) return &a.value;
    return nullptr;
  }
  const XmlNode* child(std::string_view local) const {
    for (const XmlNode& c : children)
      if (c.name == local) return &c;
    return nullptr;
  }
};

template <class F>
void fields(F& f, XmlAttribute& attribute) {
  f(attribute.name, attribute.ns, attribute.value);
}
template <class F>
void fields(F& f, XmlNode& node) {
  f(node.name, node.ns, node.attributes, node.children, node.text);
}

// Text to its root element. Refuses a DOCTYPE, what is too large or deep, and what is not well-formed, with
// ErrorCode::invalid_parameter.
using XmlParser = std::function<Result<XmlNode>(std::string_view text)>;

}  // namespace understudy::cim
