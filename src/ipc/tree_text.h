// Embedded instances on their way from the process that reads XML to the one that does not: in the place of
// the XML, the tree that was read from it, in a text that no XML begins like. Pure functions.
#pragma once

#include "cim/value.h"
#include "cim/xml_tree.h"

namespace understudy::ipc {

// The value with each text that begins like XML made into a tree's text; so are the texts inside the tree
// (settings carry settings). What cannot be parsed becomes the parser's error.
cim::Value without_xml(const cim::Value& value, const cim::XmlParser& parse);

// A cim::XmlParser for the other side. ErrorCode::invalid_parameter for any text but a tree's, and the
// parser's own error where that was sent.
Result<cim::XmlNode> read_tree_text(std::string_view text);

}  // namespace understudy::ipc
