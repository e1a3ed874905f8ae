// For tests: requests of the known clients, and replies as trees that compare without regard to prefixes.
#pragma once

#include <algorithm>
#include <string>

#include "cim/xml_tree.h"
#include "session/session.h"
#include "wsman/xml.h"

namespace understudy::wsman {

inline const std::string kV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/";

// A session of somebody who has been let in.
class TestSession final : public session::Session {
 public:
  TestSession(cim::Dispatcher& dispatcher, authz::Identity who)
      : dispatcher_(dispatcher), who_(std::move(who)) {}
  Result<authz::Identity> log_in(const authz::Evidence&) override { return who_; }
  cim::Outcome<cim::Response> handle(const cim::Request& request) override {
    return dispatcher_.handle({who_.name, who_.method, who_.from, authz::text_of(who_.roles)}, request);
  }

 private:
  cim::Dispatcher& dispatcher_;
  const authz::Identity who_;
};

// One line an element: depth, {namespace}name, attributes by name, text.
inline std::string canonical(const cim::XmlNode& node, size_t depth = 0) {
  std::string out(depth * 2, ' ');
  out += "{" + node.ns + "}" + node.name;
  auto attributes = node.attributes;
  std::sort(attributes.begin(), attributes.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const auto& a : attributes) out += " " + a.name + "=" + a.value;
  out += node.children.empty() ? " '" + node.text + "'\n" : "\n";
  for (const auto& child : node.children) out += canonical(child, depth + 1);
  return out;
}
inline std::string canonical(const std::string& xml) {
  const auto tree = parse_xml(xml);
  return tree ? canonical(*tree) : "not XML: " + tree.error().message() + "\n" + xml;
}
// The element in the Body of a reply.
inline std::string canonical_body(const std::string& xml) {
  const auto tree = parse_xml(xml);
  const cim::XmlNode* body = tree ? tree->child("Body") : nullptr;
  return body && !body->children.empty() ? canonical(body->children.front()) : "no body\n" + xml;
}

// What openwsman under libvirt sends (libvirt-hyperv.md, section 2).
inline std::string libvirt_request(const std::string& action, const std::string& uri, const std::string& body,
                                   const std::string& selectors = {}) {
  return R"(<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:wsman="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:wsen="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:n1=")" +
         uri + R"(">
<s:Header><wsa:Action s:mustUnderstand="true">)" +
         action + R"(</wsa:Action>
<wsa:To s:mustUnderstand="true">http://host-b:5985/wsman</wsa:To>
<wsman:ResourceURI s:mustUnderstand="true">)" +
         uri + R"(</wsman:ResourceURI>
<wsa:MessageID s:mustUnderstand="true">uuid:4f4d2a2e-1f3a-1f3a-8002-000000000001</wsa:MessageID>
<wsa:ReplyTo><wsa:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</wsa:Address></wsa:ReplyTo>)" +
         (selectors.empty() ? "" : "<wsman:SelectorSet>" + selectors + "</wsman:SelectorSet>") +
         "</s:Header>\n<s:Body>" + body + "</s:Body></s:Envelope>";
}

// What python3-winrm's callers send: WinRM's own prefixes and its many headers.
inline std::string winrm_request(const std::string& action, const std::string& uri, const std::string& body,
                                 const std::string& more_headers = {}, const std::string& selectors = {}) {
  return R"(<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Header>
<a:To>http://windows-host:5985/wsman</a:To><w:ResourceURI s:mustUnderstand="true">)" +
         uri +
         R"(</w:ResourceURI><a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>
<a:Action s:mustUnderstand="true">)" +
         action + R"(</a:Action><w:MaxEnvelopeSize s:mustUnderstand="true">153600</w:MaxEnvelopeSize>
<a:MessageID>uuid:11111111-1111-1111-1111-111111111114</a:MessageID><w:Locale mustUnderstand="false" xml:lang="en-US"/><p:DataLocale mustUnderstand="false" xml:lang="en-US"/>
<w:OperationTimeout>PT20S</w:OperationTimeout>)" +
         more_headers + (selectors.empty() ? "" : "<w:SelectorSet>" + selectors + "</w:SelectorSet>") +
         "</s:Header><s:Body>" + body + "</s:Body></s:Envelope>";
}

inline const std::string kEnumerateAction = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate";
inline const std::string kPullAction = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull";
inline const std::string kReleaseAction = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Release";
inline const std::string kGetAction = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";

}  // namespace understudy::wsman
