// XML in and out. In: libxml2's parser, bounded, into the plain tree of cim/xml_tree.h, without ever building
// a tree of libxml2's. Out: a writer of elements in order, whose prefixes are the caller's. Pure; any thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "cim/xml_text.h"
#include "cim/xml_tree.h"

namespace understudy::wsman {

struct XmlLimits {
  size_t most_bytes = limits::kMostEnvelope;
  size_t most_depth = limits::kMostXmlDepth;
  size_t most_nodes = limits::kMostXmlNodes;  // elements and attributes
};

// The root element. A DOCTYPE is refused before anything in it is looked at; nothing is ever fetched; the
// only entities are XML's five. ErrorCode::invalid_parameter, or too_large.
Result<cim::XmlNode> parse_xml(std::string_view text, const XmlLimits& limits = {});

using cim::escape_xml;
std::string_view trim(std::string_view text);

class XmlWriter {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  // `name` as it is written, with its prefix.
  XmlWriter& open(std::string_view name, Attributes attributes = {});
  XmlWriter& close();
  XmlWriter& text(std::string_view content);
  XmlWriter& leaf(std::string_view name, std::string_view content, Attributes attributes = {});
  XmlWriter& empty(std::string_view name, Attributes attributes = {});
  // XML that another writer has finished.
  XmlWriter& raw(std::string_view xml);
  size_t size() const { return out_.size(); }
  // Everything that was opened must be closed.
  std::string take();

 private:
  void start(std::string_view name, Attributes attributes);
  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace understudy::wsman
