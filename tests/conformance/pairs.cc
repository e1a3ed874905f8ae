#include "conformance/pairs.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "wsman/names.h"
#include "wsman/xml.h"

namespace understudy::conformance {
namespace {

using cim::XmlNode;

constexpr const char* kNamespaces =
    R"( xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" xmlns:ms="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance")";
constexpr std::string_view kV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/";

const std::map<std::string, std::string>& verbs() {
  static const std::map<std::string, std::string> all = {
      {"Get", std::string(wsman::kTransfer) + "/Get"},
      {"Put", std::string(wsman::kTransfer) + "/Put"},
      {"Create", std::string(wsman::kTransfer) + "/Create"},
      {"Delete", std::string(wsman::kTransfer) + "/Delete"},
      {"Enumerate", std::string(wsman::kEnumeration) + "/Enumerate"},
      {"Pull", std::string(wsman::kEnumeration) + "/Pull"},
      {"Release", std::string(wsman::kEnumeration) + "/Release"},
      {"Invoke", ""},
      {"Identify", "-"}};
  return all;
}

// The words that stand for what the fixture holds (providers_test.h).
std::string expanded(std::string text) {
  static const std::vector<std::pair<std::string, std::string>> words = {
      {"$ALONE", "AAAAAAAA-0000-4000-8000-000000000001"},
      {"$DB", "AAAAAAAA-0000-4000-8000-000000000002"},
      {"$WEB", "AAAAAAAA-0000-4000-8000-000000000003"},
      {"$OLDPOINT", "BBBBBBBB-0000-4000-8000-000000000001"},
      {"$POINT", "BBBBBBBB-0000-4000-8000-000000000002"},
      {"$JOB", "CCCCCCCC-0000-4000-8000-000000000001"},
      {"$V2", std::string(kV2.substr(0, kV2.size() - 1))},
      {"$WMI", "http://schemas.microsoft.com/wbem/wsman/1/wmi"},
      {"$DMTF", "http://schemas.dmtf.org/wbem/wscim/1"},
      {"$WQL", std::string(wsman::kDialectWql)},
      {"$ASSOCIATION", std::string(wsman::kDialectAssociation)},
      {"$SELECTORS", std::string(wsman::kDialectSelector)},
      {"$ANON", std::string(wsman::kAnonymous)}};
  for (const auto& [word, meaning] : words)
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + meaning.size()))
      text.replace(at, word.size(), meaning);
  return text;
}

[[noreturn]] void broken(const std::string& file, size_t line, const std::string& text) {
  std::fprintf(stderr, "%s:%zu: means nothing: %s\n", file.c_str(), line, text.c_str());
  std::exit(2);
}

// One request as it is written in the file.
struct Draft {
  std::string verb, target, action;
  std::vector<std::pair<std::string, std::string>> selectors;
  std::vector<std::string> more_headers;
  std::set<std::string> left_out;
  std::string body;

  std::string uri() const {
    const std::string name = verb == "Invoke" ? target.substr(0, target.rfind('.')) : target;
    return name.starts_with("http") || name.starts_with("urn:") ? name : std::string(kV2) + name;
  }
  std::string envelope() const {
    if (verb == "Identify")
      return "<s:Envelope" + std::string(kNamespaces) + "><s:Header/><s:Body>" + body +
             "</s:Body></s:Envelope>";
    std::string act = action.empty() ? verbs().at(verb) : action;
    if (act.empty()) act = uri() + "/" + target.substr(target.rfind('.') + 1);
    std::string set;
    for (const auto& [name, value] : selectors)
      set += "<w:Selector Name=\"" + name + "\">" + wsman::escape_xml(value) + "</w:Selector>";
    const std::pair<std::string, std::string> headers[] = {
        {"a:To", "<a:To>http://host/wsman</a:To>"},
        {"w:ResourceURI", "<w:ResourceURI s:mustUnderstand=\"true\">" + uri() + "</w:ResourceURI>"},
        {"a:ReplyTo", "<a:ReplyTo><a:Address>" + std::string(wsman::kAnonymous) + "</a:Address></a:ReplyTo>"},
        {"a:Action", "<a:Action s:mustUnderstand=\"true\">" + act + "</a:Action>"},
        {"a:MessageID", "<a:MessageID>uuid:0b6d2f6c-5a5c-4a3e-9f7f-000000000001</a:MessageID>"},
        {"w:SelectorSet", set.empty() ? "" : "<w:SelectorSet>" + set + "</w:SelectorSet>"}};
    std::string header;
    for (const auto& [name, text] : headers)
      if (!left_out.contains(name)) header += text;
    for (const std::string& one : more_headers) header += one;
    return "<s:Envelope" + std::string(kNamespaces) + "><s:Header>" + header + "</s:Header><s:Body>" + body +
           "</s:Body></s:Envelope>";
  }
};

bool begins(Draft& draft, const std::string& line) {
  std::istringstream words(line);
  if (!(words >> draft.verb) || !verbs().contains(draft.verb)) return false;
  words >> draft.target;
  std::string rest;
  while (words >> rest) {
    const size_t equal = rest.find('=');
    if (equal == std::string::npos) return false;
    draft.selectors.emplace_back(rest.substr(0, equal), rest.substr(equal + 1));
  }
  return true;
}

void read_file(const std::string& file, std::vector<Rule>& rules) {
  std::ifstream in(file);
  std::optional<Draft> draft;
  size_t number = 0;
  const auto finish = [&] {
    if (draft) rules.back().steps.back().envelope = draft->envelope();
    draft.reset();
  };
  for (std::string raw; std::getline(in, raw);) {
    ++number;
    const std::string line = expanded(raw);
    if (line.empty() || line.starts_with("#")) continue;
    if (line.starts_with("== ")) {
      finish();
      rules.push_back({line.substr(3), std::filesystem::path(file).stem().string(), {}});
    } else if (line.starts_with("> ") && !rules.empty() && !rules.back().steps.empty()) {
      rules.back().steps.back().expected.push_back(line.substr(2));
    } else if (line.starts_with("+ ") && draft) {
      draft->more_headers.push_back(line.substr(2));
    } else if (line.starts_with("- ") && draft) {
      draft->left_out.insert(line.substr(2));
    } else if (line.starts_with("@ ") && draft) {
      draft->action = line.substr(2);
    } else if (line.starts_with("  ") && draft) {
      draft->body += line.substr(2);
    } else {
      finish();
      draft.emplace();
      if (rules.empty() || !begins(*draft, line)) broken(file, number, raw);
      rules.back().steps.emplace_back();
    }
  }
  finish();
}

// --- replies ---

bool same_but_for_stars(const XmlNode& wanted, const XmlNode& found) {
  if (wanted.name != found.name || wanted.ns != found.ns || wanted.children.size() != found.children.size())
    return false;
  for (const auto& a : wanted.attributes) {
    const std::string* has = found.attribute(a.name);
    if (!has || (*has != a.value && a.value != "*")) return false;
  }
  const std::string_view text = wsman::trim(wanted.text);
  if (text != "*" && wanted.children.empty() && text != wsman::trim(found.text)) return false;
  for (size_t i = 0; i < wanted.children.size(); ++i)
    if (!same_but_for_stars(wanted.children[i], found.children[i])) return false;
  return true;
}

bool has(const XmlNode& node, const XmlNode& wanted) {
  return same_but_for_stars(wanted, node) ||
         std::ranges::any_of(node.children, [&](const XmlNode& c) { return has(c, wanted); });
}

size_t count(const XmlNode& node, std::string_view name) {
  size_t found = node.name == name ? 1 : 0;
  for (const XmlNode& c : node.children) found += count(c, name);
  return found;
}

const XmlNode* descend(const XmlNode* node, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (node) node = node->child(name);
  return node;
}

std::string fault_of(const XmlNode& envelope) {
  const XmlNode* fault = descend(&envelope, {"Body", "Fault"});
  if (!fault) return "none";
  std::string text = descend(fault, {"Code", "Value"})->text;
  if (const XmlNode* subcode = descend(fault, {"Code", "Subcode", "Value"})) text += " " + subcode->text;
  if (const XmlNode* detail = descend(fault, {"Detail", "FaultDetail"}))
    text += " " + detail->text.substr(detail->text.rfind('/') + 1);
  return text;
}

}  // namespace

std::vector<Rule> read_rules(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".rules") files.push_back(entry.path().string());
  std::ranges::sort(files);
  std::vector<Rule> rules;
  for (const std::string& file : files) read_file(file, rules);
  return rules;
}

std::string judge(const Reply& reply, const std::string& expectation) {
  const auto tree = wsman::parse_xml(reply.text);
  if (!tree) return "the reply is no XML";
  const size_t space = expectation.find(' ');
  const std::string kind = expectation.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : expectation.substr(space + 1);
  const std::string fault = fault_of(*tree);
  if (kind == "ok") return reply.status == 200 && fault == "none" ? "" : "a fault: " + fault;
  if (kind == "fault") return reply.status == 500 && fault == rest ? "" : "the fault is: " + fault;
  if (kind == "not") return count(*tree, rest) == 0 ? "" : "there is " + rest;
  if (kind == "count") {
    std::istringstream words(rest);
    size_t wanted = 0;
    std::string name;
    words >> wanted >> name;
    const size_t found = count(*tree, name);
    return found == wanted ? "" : "there are " + std::to_string(found) + " " + name;
  }
  auto wanted = wsman::parse_xml("<r" + std::string(kNamespaces) + ">" + rest + "</r>");
  if (!wanted || wanted->children.size() > 1) return "the expectation is no XML: " + rest;
  if (kind == "has") return has(*tree, wanted->children.at(0)) ? "" : "there is nothing like it";
  if (kind != "body") return "the expectation means nothing";
  const XmlNode* body = tree->child("Body");
  const bool same = body && body->children.size() == wanted->children.size() &&
                    (body->children.empty() || same_but_for_stars(wanted->children[0], body->children[0]));
  return same ? "" : "the body is another";
}

std::string normal(const XmlNode& node, size_t depth) {
  static const std::set<std::string> masked = {"EnumerationContext", "MessageID", "Text", "ProviderFault",
                                               "Message"};
  std::string out(depth * 2, ' ');
  out += "{" + node.ns + "}" + node.name;
  auto attributes = node.attributes;
  std::ranges::sort(attributes, {}, &cim::XmlAttribute::name);
  for (const auto& a : attributes) out += " " + a.name + "=" + a.value;
  if (node.children.empty()) out += masked.contains(node.name) ? " *" : " '" + node.text + "'";
  out += "\n";
  for (const XmlNode& c : node.children) out += normal(c, depth + 1);
  return out;
}

std::string context_of(const std::string& reply) {
  const auto tree = wsman::parse_xml(reply);
  const XmlNode* body = tree ? tree->child("Body") : nullptr;
  if (!body || body->children.empty()) return {};
  const XmlNode* context = body->children.front().child("EnumerationContext");
  return context ? context->text : std::string();
}

}  // namespace understudy::conformance
