#include "wsman/service.h"

#include <algorithm>
#include <cctype>

#include "base/base64.h"
#include "base/log.h"
#include "wsman/codec.h"
#include "wsman/fault.h"
#include "wsman/names.h"

namespace understudy::wsman {
namespace {

using cim::Fault;
using http::HttpResponse;

constexpr size_t kFrame = 1024;  // of a reply, around the items: envelope, headers, context

HttpResponse soap(int status, std::string body) {
  return HttpResponse{status, {{"Content-Type", std::string(kContentType)}}, std::move(body)};
}

HttpResponse plain(int status, std::string text, std::vector<http::Header> headers = {}) {
  headers.push_back({"Content-Type", "text/plain;charset=UTF-8"});
  return HttpResponse{status, std::move(headers), std::move(text) + "\n"};
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// SOAP in UTF-8, or nothing said.
bool acceptable_content(std::string_view type) {
  if (type.empty()) return true;
  const std::string plain_type = lower(type);
  const size_t charset = plain_type.find("charset=");
  return plain_type.starts_with("application/soap+xml") &&
         (charset == std::string::npos || plain_type.find("utf-8", charset) != std::string::npos);
}

bool is_our_path(std::string_view target) {
  return target.substr(0, target.find('?')) == "/wsman";
}

tl::unexpected<Fault> refuse(ErrorCode code, std::string message, std::string subcode,
                             std::string detail = {}) {
  return tl::unexpected(make_fault(Error(code, std::move(message)), std::move(subcode), std::move(detail)));
}

tl::unexpected<Fault> too_large(size_t most) {
  return refuse(ErrorCode::too_large,
                "the answer does not fit into w:MaxEnvelopeSize " + std::to_string(most), "w:EncodingLimit",
                "MaxEnvelopeSize");
}

// As far as the text says itself: no byte order mark of UTF-16, no other encoding declared.
bool is_utf8(std::string_view body) {
  if (body.starts_with("\xff\xfe") || body.starts_with("\xfe\xff")) return false;
  const size_t start = body.find_first_not_of("\xef\xbb\xbf");
  body = body.substr(0, body.find("?>"));
  if (start == std::string_view::npos || !body.substr(std::min(start, body.size())).starts_with("<?xml"))
    return true;
  const size_t at = body.find("encoding");
  if (at == std::string_view::npos) return true;
  const std::string declared = lower(body.substr(at, 32));
  return declared.find("utf-8") != std::string::npos || declared.find("us-ascii") != std::string::npos;
}

// How many items the whole enumeration has, for those who asked.
std::string count_header(const RequestHeader& header, size_t items) {
  XmlWriter out;
  if (header.count_items) out.leaf("w:TotalItemsCountEstimate", std::to_string(items));
  return out.take();
}

void write_item(XmlWriter& out, const cim::Item& item, EnumerationMode mode) {
  if (mode == EnumerationMode::endpoint) return write_endpoint(out, item.path);
  if (mode == EnumerationMode::object_and_endpoint) out.open("w:Item");
  if (item.selected.empty())
    write_instance(out, item.instance);
  else
    write_fragment(out, item.instance, item.selected);
  if (mode == EnumerationMode::object_and_endpoint) {
    write_endpoint(out, item.path);
    out.close();
  }
}

// The next items as XML, as many as are wanted and fit. The fault: not even one fits.
tl::expected<std::string, Fault> write_items(Enumeration& enumeration, size_t most_elements,
                                             size_t most_bytes, size_t most_characters = std::string::npos) {
  std::string items;
  const size_t room = most_bytes - std::min(most_bytes, kFrame);
  for (size_t n = 0; n < most_elements && !enumeration.finished(); ++n) {
    XmlWriter one;
    write_item(one, enumeration.items[enumeration.next], enumeration.mode);
    if (items.size() + one.size() > room) {
      if (items.empty()) return too_large(most_bytes);
      break;
    }
    if (!items.empty() && items.size() + one.size() > most_characters) break;
    items += one.take();
    ++enumeration.next;
  }
  return items;
}

// The expression of a fragment transfer names one property, with or without text().
tl::expected<std::string, Fault> write_fragment_get(const cim::Instance& instance, const Fragment& fragment) {
  if (!fragment.dialect.empty() && fragment.dialect != kDialectXPath &&
      fragment.dialect != kDialectXPathLevel1)
    return refuse(ErrorCode::not_supported, "the fragment dialect is not offered",
                  "w:FragmentDialectNotSupported");
  std::string_view name = fragment.expression;
  const bool text_only = name.ends_with("/text()");
  if (text_only) name.remove_suffix(7);
  name = name.substr(name.find(':') + 1);
  const cim::ClassDecl* decl = cim::find_class(instance.class_name());
  const cim::PropertyDecl* property = decl ? decl->property(name) : nullptr;
  if (!property)
    return refuse(ErrorCode::invalid_parameter, "a fragment is PROPERTY or PROPERTY/text()",
                  "n:CannotProcessFilter");
  XmlWriter out;
  if (!text_only) {
    write_fragment(out, instance, {std::string(property->name)});
    return out.take();
  }
  XmlWriter whole;
  whole.open("x",
             {{"xmlns:p", class_uri(decl->name)}, {"xmlns:cim", kCommon}, {"xmlns:xsi", kSchemaInstance}});
  write_property(whole, instance, *property);
  whole.close();
  const auto tree = parse_xml(whole.take());
  out.open("w:XmlFragment");
  for (const auto& value : tree ? tree->children : std::vector<cim::XmlNode>()) out.text(value.text);
  out.close();
  return out.take();
}

// On the local socket only the kernel's word counts.
Result<authz::Identity> log_in(const http::HttpRequest& head, authz::Evidence evidence,
                               session::Session& session) {
  if (!evidence.unix_uid) US_CHECK(authz::read_authorization(head.header("Authorization"), evidence));
  return session.log_in(evidence);
}

// For who logged in by a token: the proof that he asked for; and that his next request needs a token of its
// own, as every request here has a caller of its own.
HttpResponse with_proof(HttpResponse response, const std::string& proof) {
  if (proof.empty()) return response;
  response.headers.push_back({"WWW-Authenticate", "Negotiate " + to_base64(as_bytes(proof))});
  response.headers.push_back({"Persistent-Auth", "false"});
  return response;
}

// "Msvm_X/Method" at the end of the action of a method call; empty when the action is none.
std::string_view method_of(const RequestHeader& header) {
  const std::string_view action = header.action;
  const size_t slash = action.rfind('/');
  if (slash == std::string_view::npos || !cim::same_name(action.substr(0, slash), header.resource_uri))
    return {};
  return action.substr(slash + 1);
}

}  // namespace

http::Admit WsmanService::welcome(const http::ConnectionInfo& info) {
  authz::Evidence evidence;
  evidence.from = info.from;
  evidence.unix_uid = info.unix_uid;
  if (info.certificate) evidence.certificate = {info.certificate->thumbprint, info.certificate->common_name};
  auto opened = sessions_.open();
  if (!opened)
    return [error = opened.error()](const http::HttpRequest&) {
      return tl::unexpected(plain(503, error.text(), {{"Retry-After", "2"}}));
    };
  // std::function wants it copyable.
  const std::shared_ptr<session::Session> session = std::move(*opened);
  return [this, session, evidence](const http::HttpRequest& head) { return admit(head, evidence, session); };
}

tl::expected<http::Answer, HttpResponse> WsmanService::admit(
    const http::HttpRequest& head, const authz::Evidence& evidence,
    const std::shared_ptr<session::Session>& session) {
  if (!is_our_path(head.target)) return tl::unexpected(plain(404, "WS-Management is at /wsman"));
  if (head.method != "POST")
    return tl::unexpected(plain(405, "WS-Management wants POST", {{"Allow", "POST"}}));
  // A browser says where a page came from. No page has any business here.
  if (!head.header("Origin").empty()) return tl::unexpected(plain(403, "not for browsers"));
  if (!acceptable_content(head.header("Content-Type")))
    return tl::unexpected(plain(415, "SOAP in UTF-8 is wanted: application/soap+xml"));
  if (lower(head.header("WSMANIDENTIFY")) == "unauthenticated")
    return http::Answer([this](const http::HttpRequest&) { return soap(200, identify(false)); });

  auto identity = log_in(head, evidence, *session);
  if (identity)
    return http::Answer([this, session, who = std::move(*identity)](const http::HttpRequest& request) {
      return with_proof(handle(request.body, {*session, who}), who.proof);
    });
  const bool tried = !head.header("Authorization").empty() || evidence.certificate || evidence.unix_uid;
  const auto left_out = tried ? refused_.pass(clock_.now().monotonic) : std::nullopt;
  if (left_out)
    log_warning("login", "refused",
                {{"from", evidence.from}, {"cause", identity.error().message()}, {"left_out", *left_out}});
  if (identity.error().code() != ErrorCode::unauthenticated)
    return tl::unexpected(plain(503, identity.error().text(), {{"Retry-After", "2"}}));
  return tl::unexpected(log_in_first());
}

HttpResponse WsmanService::log_in_first() const {
  std::vector<http::Header> ways{{"WWW-Authenticate", "Basic realm=\"Understudy\", charset=\"UTF-8\""}};
  if (!negotiate_)
    return plain(401, "log in with a name and a password, or with a client certificate", std::move(ways));
  ways.push_back({"WWW-Authenticate", "Negotiate"});
  return plain(401, "log in with Kerberos (not NTLM), a name and a password, or a client certificate",
               std::move(ways));
}

HttpResponse WsmanService::handle(const std::string& body, const Caller& caller) {
  if (!is_utf8(body))
    return soap(500, write_fault(make_fault(Error(ErrorCode::invalid_parameter, "SOAP in UTF-8 is wanted"),
                                            "w:EncodingLimit", "CharacterSet"),
                                 {}));
  auto tree = parse_xml(body);
  if (!tree) {
    const bool large = tree.error().code() == ErrorCode::too_large;
    return soap(500, write_fault(large ? make_fault(tree.error(), "w:EncodingLimit", "ServiceEnvelopeLimit")
                                       : make_fault(tree.error(), "w:SchemaValidationError"),
                                 {}));
  }
  if (is_identify(*tree)) return soap(200, identify(true));
  const auto request = read_envelope(std::move(*tree));
  if (!request) {
    const EnvelopeFault& refused = request.error();
    return soap(500, write_fault(refused.fault, refused.message_id, refused.headers));
  }
  auto reply = dispatch(*request, caller);
  if (reply && reply->size() > request->header.most_reply) reply = too_large(request->header.most_reply);
  if (!reply) return soap(500, write_fault(reply.error(), request->header.message_id));
  return soap(200, std::move(*reply));
}

WsmanService::Reply WsmanService::dispatch(const RequestEnvelope& request, const Caller& caller) {
  const std::string& action = request.header.action;
  const auto is = [&](std::string_view ns, const char* verb) {
    return action == std::string(ns) + "/" + verb;
  };
  if (is(kTransfer, "Get")) return get(request, caller);
  const std::string_view method = method_of(request.header);
  const bool enumeration = action.starts_with(kEnumeration);
  if (request.header.fragment && (enumeration || !method.empty()))
    return refuse(ErrorCode::not_supported, "only Get takes a w:FragmentTransfer", "w:UnsupportedFeature",
                  "FragmentLevelAccess");
  if (is(kEnumeration, "Enumerate")) return enumerate(request, caller);
  if (is(kEnumeration, "Pull")) return pull(request, caller);
  if (is(kEnumeration, "Release")) return release(request, caller);
  if (!method.empty()) return invoke(request, method, caller);
  return refuse(ErrorCode::not_supported, "the action " + action.substr(0, 256) + " is not offered here",
                "a:ActionNotSupported");
}

cim::Outcome<cim::Response> WsmanService::read(const RequestHeader& header, const Caller& caller,
                                               const cim::Request& request) {
  const Monotonic start = clock_.now().monotonic;
  auto response = caller.session.handle(request);
  if (response && clock_.now().monotonic - start > header.timeout)
    return refuse(ErrorCode::timeout, "the answer took longer than w:OperationTimeout", "w:TimedOut");
  return response;
}

WsmanService::Reply WsmanService::get(const RequestEnvelope& request, const Caller& caller) {
  const RequestHeader& header = request.header;
  auto response = read(header, caller, cim::GetRequest{{header.resource.class_name, header.selectors}});
  if (!response) return tl::unexpected(response.error());
  if (response->items.size() != 1)
    return refuse(ErrorCode::not_found, "there is no such instance", "a:DestinationUnreachable",
                  "InvalidResourceURI");
  XmlWriter out;
  const cim::Instance& instance = response->items.front().instance;
  if (!header.fragment) {
    begin_reply(out, std::string(kTransfer) + "/GetResponse", header.message_id);
    write_instance(out, instance);
    return end_reply(out);
  }
  const auto fragment = write_fragment_get(instance, *header.fragment);
  if (!fragment) return fragment;
  XmlWriter transfer;
  transfer.leaf("w:FragmentTransfer", header.fragment->expression, {{"s:mustUnderstand", "true"}});
  begin_reply(out, std::string(kTransfer) + "/GetResponse", header.message_id, transfer.take());
  out.raw(*fragment);
  return end_reply(out);
}

WsmanService::Reply WsmanService::enumerate(const RequestEnvelope& request, const Caller& caller) {
  const RequestHeader& header = request.header;
  auto body = read_enumerate(request.body ? &*request.body : nullptr);
  if (!body) return tl::unexpected(body.error());
  if (body->filter.kind == cim::Filter::Kind::none && header.resource.all_classes())
    return refuse(ErrorCode::invalid_parameter, "the resource URI of all classes needs a filter",
                  "a:DestinationUnreachable", "InvalidResourceURI");
  auto response =
      read(header, caller, cim::EnumerateRequest{header.resource.class_name, std::move(body->filter)});
  if (!response) return tl::unexpected(response.error());

  Enumeration enumeration{owner_of(caller.identity), body->mode, std::move(response->items), 0};
  const std::string total = count_header(header, enumeration.items.size());
  std::string items;
  if (body->optimise) {
    auto written = write_items(enumeration, body->most_elements, header.most_reply);
    if (!written) return written;
    items = std::move(*written);
  }
  const bool finished = body->optimise && enumeration.finished();
  std::string context;
  if (!finished) {
    auto put = enumerations_.put(std::move(enumeration));
    if (!put) return tl::unexpected(put.error());
    context = std::move(*put);
  }
  XmlWriter out;
  begin_reply(out, std::string(kEnumeration) + "/EnumerateResponse", header.message_id, total);
  out.open("n:EnumerateResponse");
  if (finished)
    out.empty("n:EnumerationContext");
  else
    out.leaf("n:EnumerationContext", context);
  if (body->optimise) out.open("w:Items").raw(items).close();
  if (finished) out.empty("w:EndOfSequence");
  out.close();
  return end_reply(out);
}

WsmanService::Reply WsmanService::pull(const RequestEnvelope& request, const Caller& caller) {
  const auto body = read_pull(request.body ? &*request.body : nullptr);
  if (!body) return tl::unexpected(body.error());
  const auto enumeration = enumerations_.take(body->context, owner_of(caller.identity));
  if (!enumeration)
    return refuse(ErrorCode::invalid_parameter, "there is no such enumeration, or it has ended",
                  "n:InvalidEnumerationContext");
  auto items =
      write_items(*enumeration, body->most_elements, request.header.most_reply, body->most_characters);
  if (!items) return items;
  XmlWriter out;
  begin_reply(out, std::string(kEnumeration) + "/PullResponse", request.header.message_id,
              count_header(request.header, enumeration->items.size()));
  out.open("n:PullResponse");
  const bool finished = enumeration->finished();
  if (!finished) {
    const auto put = enumerations_.put(std::move(*enumeration), body->context);
    if (!put) return tl::unexpected(put.error());
    out.leaf("n:EnumerationContext", *put);
  }
  out.open("n:Items").raw(*items).close();
  if (finished) out.empty("n:EndOfSequence");
  out.close();
  return end_reply(out);
}

WsmanService::Reply WsmanService::release(const RequestEnvelope& request, const Caller& caller) {
  const std::string context = read_context(request.body ? &*request.body : nullptr);
  if (!enumerations_.take(context, owner_of(caller.identity)))
    return refuse(ErrorCode::invalid_parameter, "there is no such enumeration, or it has ended",
                  "n:InvalidEnumerationContext");
  XmlWriter out;
  begin_reply(out, std::string(kEnumeration) + "/ReleaseResponse", request.header.message_id);
  return end_reply(out);
}

WsmanService::Reply WsmanService::invoke(const RequestEnvelope& request, std::string_view method,
                                         const Caller& caller) {
  const RequestHeader& header = request.header;
  auto parameters = read_input(request.body ? &*request.body : nullptr, method);
  if (!parameters) return tl::unexpected(make_fault(parameters.error(), "w:SchemaValidationError"));
  const auto response = caller.session.handle(cim::InvokeRequest{
      {header.resource.class_name, header.selectors}, std::string(method), std::move(*parameters)});
  if (!response) return tl::unexpected(response.error());
  if (!response->invoked) return refuse(ErrorCode::failed, "the method gave no answer", "w:InternalError");
  XmlWriter out;
  const auto& refused = response->invoked->error;
  begin_reply(out, header.action + "Response", header.message_id,
              refused ? write_error_header(*refused) : "");
  write_output(out, header.resource_uri, header.resource.class_name, method, *response->invoked);
  return end_reply(out);
}

std::string WsmanService::identify(bool known_caller) const {
  XmlWriter out;
  out.open("s:Envelope", {{"xml:lang", "en-US"}, {"xmlns:s", kSoap}});
  out.empty("s:Header").open("s:Body").open("wsmid:IdentifyResponse", {{"xmlns:wsmid", kIdentity}});
  out.leaf("wsmid:ProtocolVersion", kWsman).leaf("wsmid:ProductVendor", product_.vendor);
  out.leaf("wsmid:ProductVersion", known_caller
                                       ? "OS: 0.0.0 SP: 0.0 Stack: 3.0 Understudy: " + product_.version
                                       : "OS: 0.0.0 SP: 0.0 Stack: 3.0");
  out.close().close().close();
  return out.take();
}

}  // namespace understudy::wsman
