#include "ipc/tree_text.h"

#include "base/limits.h"
#include "base/pack.h"

namespace understudy::ipc {
namespace {

constexpr char kTree = '\x01';     // not allowed in XML, not even as a reference
constexpr size_t kMostWithin = 4;  // settings in a parameter have disks in them, and that is all

bool like_xml(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  return start != std::string_view::npos && (text[start] == '<' || text[start] == '\xef');
}

std::string tree_text(std::string_view xml, const cim::XmlParser& parse, size_t within);

void replace_texts(cim::XmlNode& node, const cim::XmlParser& parse, size_t within) {
  if (like_xml(node.text)) node.text = tree_text(node.text, parse, within);
  for (cim::XmlNode& child : node.children) replace_texts(child, parse, within);
}

std::string tree_text(std::string_view xml, const cim::XmlParser& parse, size_t within) {
  Result<cim::XmlNode> tree = within > kMostWithin
                                  ? fail(ErrorCode::invalid_parameter, "XML in XML in XML, without an end")
                                  : parse(xml);
  if (tree) replace_texts(*tree, parse, within + 1);
  const Bytes packed = pack(tree);
  return kTree + std::string(as_text(packed));
}

}  // namespace

cim::Value without_xml(const cim::Value& value, const cim::XmlParser& parse) {
  const auto replaced = [&parse](const cim::Value::Scalar& scalar) {
    const auto* text = std::get_if<std::string>(&scalar);
    return text && like_xml(*text) ? cim::Value::Scalar(tree_text(*text, parse, 0)) : scalar;
  };
  if (const auto* array = value.array()) {
    std::vector<cim::Value::Scalar> all;
    for (const auto& one : *array) all.push_back(replaced(one));
    return cim::Value(std::move(all));
  }
  const auto text = value.text();
  return text && like_xml(*text) ? cim::Value(tree_text(*text, parse, 0)) : value;
}

Result<cim::XmlNode> read_tree_text(std::string_view text) {
  if (!text.starts_with(kTree)) return fail(ErrorCode::invalid_parameter, "no XML");
  auto tree = unpack<Result<cim::XmlNode>>(as_bytes(text.substr(1)));
  if (!tree) return fail(ErrorCode::invalid_parameter, "no tree of XML");
  return std::move(*tree);
}

}  // namespace understudy::ipc
