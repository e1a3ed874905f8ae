#include "wsman/client.h"

#include "base/bytes.h"
#include "base/ids.h"
#include "wsman/codec.h"
#include "wsman/fault.h"
#include "wsman/names.h"
#include "wsman/resource.h"

namespace understudy::wsman {
namespace {

constexpr size_t kItemsAtOnce = 100;
constexpr size_t kMostItems = 100'000;

tl::unexpected<Error> not_wsman(const std::string& what) {
  return fail(ErrorCode::protocol, "the server's answer has no " + what);
}

Status take_items(const cim::XmlNode& response, std::vector<cim::Instance>& into) {
  const cim::XmlNode* items = response.child("Items");
  if (!items) return {};
  for (const cim::XmlNode& item : items->children) {
    if (into.size() == kMostItems)
      return fail(ErrorCode::too_large,
                  "the server gives more than " + std::to_string(kMostItems) + " objects");
    US_TRY(auto instance, read_instance(item));
    into.push_back(std::move(instance));
  }
  return {};
}

}  // namespace

std::string WsmanClient::basic(const std::string& name, const std::string& password) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string plain = name + ":" + password;
  std::string out = "Basic ";
  for (size_t i = 0; i < plain.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < plain.size() ? static_cast<unsigned char>(plain[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += i + k <= plain.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<WsmanClient::Reply> WsmanClient::call(std::string envelope) {
  std::vector<http::Header> headers{{"Content-Type", std::string(kContentType)}};
  if (!authorization_.empty()) headers.push_back({"Authorization", authorization_});
  US_TRY(const auto response, http_.post("/wsman", std::move(headers), std::move(envelope), timeout_));
  if (response.status == 401)
    return fail(ErrorCode::unauthenticated, "the server does not know this caller",
                "check the name and the password, or run as root on the host itself");
  auto tree = parse_xml(response.body, {.most_bytes = 4 * limits::kMostEnvelope});
  if (!tree)
    return fail(ErrorCode::protocol,
                "HTTP status " + std::to_string(response.status) + " and no SOAP: " + tree.error().message());
  if (auto error = read_fault(*tree)) return fail(std::move(*error));
  const cim::XmlNode* body = tree->child("Body");
  if (response.status != 200 || !body)
    return fail(ErrorCode::protocol, "HTTP status " + std::to_string(response.status) + " without a fault");
  Reply reply;
  if (!body->children.empty()) reply.body = body->children.front();
  reply.error = read_error_header(*tree);
  return reply;
}

Result<WsmanClient::Reply> WsmanClient::request(const std::string& action, const std::string& uri,
                                                const cim::ObjectPath* target, const std::string& body) {
  XmlWriter out;
  out.open("s:Envelope",
           {{"xmlns:s", kSoap}, {"xmlns:a", kAddressing}, {"xmlns:n", kEnumeration}, {"xmlns:w", kWsman}});
  out.open("s:Header").leaf("a:To", "/wsman").leaf("a:Action", action, {{"s:mustUnderstand", "true"}});
  out.leaf("a:MessageID", "uuid:" + Uuid::random().upper())
      .open("a:ReplyTo")
      .leaf("a:Address", kAnonymous)
      .close();
  out.leaf("w:ResourceURI", uri, {{"s:mustUnderstand", "true"}});
  out.leaf("w:MaxEnvelopeSize", std::to_string(limits::kMostEnvelope));
  if (target) {
    out.open("w:SelectorSet");
    for (const auto& [key, value] : target->keys) out.leaf("w:Selector", value, {{"Name", key}});
    out.close();
  }
  out.close().open("s:Body").raw(body).close().close();
  return call(out.take());
}

Result<ServerIdentity> WsmanClient::identify() {
  XmlWriter out;
  out.open("s:Envelope", {{"xmlns:s", kSoap}, {"xmlns:wsmid", kIdentity}})
      .empty("s:Header")
      .open("s:Body")
      .empty("wsmid:Identify")
      .close()
      .close();
  US_TRY(const auto reply, call(out.take()));
  const cim::XmlNode& body = reply.body;
  const cim::XmlNode* vendor = body.child("ProductVendor");
  const cim::XmlNode* version = body.child("ProductVersion");
  if (body.name != "IdentifyResponse" || !vendor || !version) return not_wsman("IdentifyResponse");
  return ServerIdentity{vendor->text, version->text};
}

Result<cim::Instance> WsmanClient::get(const cim::ObjectPath& path) {
  US_TRY(const auto reply, request(std::string(kTransfer) + "/Get", class_uri(path.class_name), &path, {}));
  const cim::XmlNode& body = reply.body;
  if (body.name.empty()) return not_wsman("instance");
  return read_instance(body);
}

Result<std::vector<cim::Instance>> WsmanClient::enumerate(const std::string& query) {
  const bool is_wql = query.find(' ') != std::string::npos;
  const bool in_cimv2 = query.find("Win32_") != std::string::npos;
  const std::string uri = is_wql ? all_classes_uri(in_cimv2 ? kCimv2 : kVirtualization) : class_uri(query);
  XmlWriter first;
  first.open("n:Enumerate")
      .empty("w:OptimizeEnumeration")
      .leaf("w:MaxElements", std::to_string(kItemsAtOnce));
  if (is_wql) first.leaf("w:Filter", query, {{"Dialect", kDialectWql}});
  first.close();
  US_TRY(auto response, request(std::string(kEnumeration) + "/Enumerate", uri, nullptr, first.take()));
  std::vector<cim::Instance> instances;
  while (true) {
    US_CHECK(take_items(response.body, instances));
    const cim::XmlNode* context = response.body.child("EnumerationContext");
    if (response.body.child("EndOfSequence") || !context || trim(context->text).empty()) return instances;
    XmlWriter more;
    more.open("n:Pull")
        .leaf("n:EnumerationContext", trim(context->text))
        .leaf("n:MaxElements", std::to_string(kItemsAtOnce))
        .close();
    US_TRY(response, request(std::string(kEnumeration) + "/Pull", uri, nullptr, more.take()));
  }
}

Result<cim::InvokeResult> WsmanClient::invoke(const cim::ObjectPath& path, const std::string& method,
                                              const cim::Instance& parameters) {
  const std::string uri = class_uri(path.class_name);
  XmlWriter input;
  write_input(input, uri, method, parameters);
  US_TRY(const auto reply, request(uri + "/" + method, uri, &path, input.take()));
  const cim::XmlNode& body = reply.body;
  if (body.name != method + "_OUTPUT") return not_wsman(method + "_OUTPUT");
  US_TRY(auto result, read_output(body, path.class_name, method));
  result.error = reply.error;
  return result;
}

}  // namespace understudy::wsman
