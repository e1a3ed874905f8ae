#include "conformance/shuffler.h"

#include <algorithm>
#include <set>

#include "wsman/names.h"
#include "wsman/xml.h"

namespace understudy::conformance {
namespace {

using cim::XmlNode;

constexpr std::string_view kXml = "http://www.w3.org/XML/1998/namespace";

bool is_input(const XmlNode& node) {
  return node.name.ends_with("_INPUT");
}
// Texts that are read without the white space around them.
bool may_pad(const XmlNode& node) {
  static const std::set<std::string> names = {"Action",      "ResourceURI",       "OperationTimeout",
                                              "MaxElements", "MaxEnvelopeSize",   "EnumerationMode",
                                              "Address",     "EnumerationContext"};
  return names.contains(node.name);
}

}  // namespace

std::string Shuffler::write(const XmlNode& envelope) {
  XmlNode copy = envelope;
  const XmlNode* header = copy.child("Header");
  const XmlNode* action = header ? header->child("Action") : nullptr;
  // The answer to a method call repeats URI and action as they came.
  const bool standard = action && wsman::trim(action->text).starts_with("http://schemas.xmlsoap.org/");
  change_case(copy, standard);
  reorder(copy);
  std::string text = element(copy, {});
  if (chance(30)) text = "<?xml version='1.0' encoding='utf-8'?>" + gap() + text;
  return text + gap();
}

void Shuffler::reorder(XmlNode& node) {
  for (XmlNode& child : node.children) reorder(child);
  std::ranges::shuffle(node.attributes, random_);
  if (node.name == "Header" || node.name == "SelectorSet" || node.name == "Enumerate" ||
      node.name == "Pull") {
    std::ranges::shuffle(node.children, random_);
  } else if (is_input(node)) {
    std::map<std::string, uint64_t> place;
    for (const XmlNode& child : node.children) place.emplace(child.name, random_());
    std::ranges::stable_sort(node.children, {}, [&](const XmlNode& c) { return place.at(c.name); });
  }
}

std::string Shuffler::any_case(std::string text) {
  for (char& c : text) {
    if (!chance(50)) continue;
    if (c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
    else if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void Shuffler::change_case(XmlNode& node, bool may_change_uri) {
  if (node.name == "ResourceURI" && may_change_uri) node.text = any_case(node.text);
  if (node.name == "Selector") {
    node.text = any_case(node.text);
    for (cim::XmlAttribute& a : node.attributes) a.value = any_case(a.value);
  }
  for (cim::XmlAttribute& a : node.attributes)
    if (a.name == "mustUnderstand" && a.value == "true" && chance(50)) a.value = "1";
  if (is_input(node))
    for (XmlNode& child : node.children) {
      std::string& name = child.name;
      const bool repeated = std::ranges::count(node.children, name, &XmlNode::name) > 1;
      if (!repeated && chance(50)) name = any_case(name);
    }
  for (XmlNode& child : node.children) change_case(child, may_change_uri);
}

std::string Shuffler::new_prefix(const Scope& scope) {
  for (;;) {
    std::string prefix(1, static_cast<char>('a' + random_() % 26));
    if (chance(50)) prefix += std::to_string(random_() % 100);
    if (std::ranges::none_of(scope, [&](const auto& entry) { return entry.second == prefix; })) return prefix;
  }
}

// The name with a prefix that is in scope, or declared now. An element may take the default namespace.
std::string Shuffler::qualified(const std::string& ns, const std::string& name, Scope& scope,
                                std::string& declared, bool attribute) {
  if (ns.empty()) return name;
  if (ns == kXml) return "xml:" + name;
  const auto known = scope.find(ns);
  if (known != scope.end() && !(attribute && known->second.empty()) && !chance(10))
    return known->second.empty() ? name : known->second + ":" + name;
  const bool as_default = !attribute && chance(25);
  std::string prefix = as_default ? "" : new_prefix(scope);
  if (as_default) std::erase_if(scope, [](const auto& entry) { return entry.second.empty(); });
  scope[ns] = prefix;
  const std::string quote = chance(50) ? "\"" : "'";
  declared += (prefix.empty() ? " xmlns=" : " xmlns:" + prefix + "=") + quote + ns + quote;
  return prefix.empty() ? name : prefix + ":" + name;
}

std::string Shuffler::gap() {
  std::string text;
  if (chance(40)) text += chance(50) ? "\n\t" : "   ";
  if (chance(15)) text += "<!-- <a:Action>not this</a:Action> -->";
  if (chance(10)) text += "\r\n";
  return text;
}

std::string Shuffler::content(const std::string& text, bool pad) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    // Whole characters of UTF-8 only.
    size_t end = std::min(text.size(), at + 1 + random_() % 24);
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    const std::string part = text.substr(at, end - at);
    at = end;
    const unsigned form = static_cast<unsigned>(random_() % 10);
    if (form == 0 && part.find("]]>") == std::string::npos)
      out += "<![CDATA[" + part + "]]>";
    else if (form == 1 && static_cast<unsigned char>(part[0]) < 0x80)
      out += "&#x" + std::string(1, "0123456789abcdef"[part[0] >> 4 & 15]) +
             std::string(1, "0123456789ABCDEF"[part[0] & 15]) + ";" + wsman::escape_xml(part.substr(1));
    else
      out += wsman::escape_xml(part);
    if (form == 2) out += "<!--" + std::to_string(random_() % 100) + "-->";
  }
  if (pad && chance(30)) out = "\n  " + out + " \t";
  return out;
}

std::string Shuffler::element(const XmlNode& node, Scope scope) {
  std::string declared;
  if (node.ns.empty() && std::ranges::any_of(scope, [](const auto& e) { return e.second.empty(); })) {
    std::erase_if(scope, [](const auto& e) { return e.second.empty(); });
    declared += " xmlns=\"\"";
  }
  // Attributes after the element: a default namespace that it declares is none of theirs.
  const std::string name = qualified(node.ns, node.name, scope, declared, false);
  std::string attributes;
  for (const cim::XmlAttribute& a : node.attributes) {
    const std::string key = qualified(a.ns, a.name, scope, declared, true);
    attributes += (chance(20) ? "\n " : " ") + key + (chance(20) ? " = " : "=") + "'";
    for (const char c : wsman::escape_xml(a.value)) attributes += c == '\'' ? "&apos;" : std::string(1, c);
    attributes += "'";
  }
  const std::string start = "<" + name + (chance(50) ? attributes + declared : declared + attributes);
  if (node.children.empty() && node.text.empty() && chance(50)) return start + (chance(50) ? " />" : "/>");
  std::string inside;
  if (node.children.empty()) {
    inside = content(node.text, may_pad(node));
  } else {
    for (const XmlNode& child : node.children) inside += gap() + element(child, scope);
    inside += gap();
  }
  return start + (chance(10) ? " >" : ">") + inside + "</" + name + ">";
}

}  // namespace understudy::conformance
