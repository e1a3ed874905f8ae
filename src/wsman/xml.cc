#include "wsman/xml.h"

#include <libxml/parser.h>

#include <cstring>
#include <memory>

#include "base/assert.h"

namespace understudy::wsman {
namespace {

// What the SAX callbacks build. `path` holds the open elements; a node is moved into its parent when it ends.
struct Builder {
  explicit Builder(const XmlLimits& l) : limits(l) {}
  const XmlLimits& limits;
  xmlParserCtxtPtr parser = nullptr;
  std::vector<cim::XmlNode> path;
  cim::XmlNode root;
  bool done = false;
  size_t nodes = 0;
  std::string problem;  // the first; nothing is built after it
  ErrorCode code = ErrorCode::invalid_parameter;

  void stop(ErrorCode why, std::string what) {
    if (problem.empty()) {
      problem = std::move(what);
      code = why;
    }
    if (parser) xmlStopParser(parser);
  }
  bool stopped() const { return !problem.empty(); }
};

Builder& builder(void* context) {
  return *static_cast<Builder*>(context);
}

std::string text(const xmlChar* s) {
  return s ? reinterpret_cast<const char*>(s) : "";
}

void on_start(void* context, const xmlChar* name, const xmlChar*, const xmlChar* ns, int, const xmlChar**,
              int count, int, const xmlChar** attributes) {
  Builder& b = builder(context);
  if (b.stopped()) return;
  b.nodes += 1 + static_cast<size_t>(count);
  if (b.path.size() == b.limits.most_depth)
    return b.stop(ErrorCode::too_large, "the XML is nested too deeply");
  if (b.nodes > b.limits.most_nodes) return b.stop(ErrorCode::too_large, "the XML has too many elements");
  cim::XmlNode node;
  node.name = text(name);
  node.ns = text(ns);
  for (int i = 0; i < count; ++i) {
    const xmlChar** a = attributes + i * 5;  // local name, prefix, namespace, value, end of value
    node.attributes.push_back(
        {text(a[0]), text(a[2]),
         std::string(reinterpret_cast<const char*>(a[3]), static_cast<size_t>(a[4] - a[3]))});
  }
  b.path.push_back(std::move(node));
}

void on_end(void* context, const xmlChar*, const xmlChar*, const xmlChar*) {
  Builder& b = builder(context);
  if (b.stopped() || b.path.empty()) return;
  cim::XmlNode node = std::move(b.path.back());
  b.path.pop_back();
  if (!b.path.empty()) {
    b.path.back().children.push_back(std::move(node));
    return;
  }
  b.root = std::move(node);
  b.done = true;
}

void on_text(void* context, const xmlChar* characters, int size) {
  Builder& b = builder(context);
  if (!b.stopped() && !b.path.empty())
    b.path.back().text.append(reinterpret_cast<const char*>(characters), static_cast<size_t>(size));
}

void on_doctype(void* context, const xmlChar*, const xmlChar*, const xmlChar*) {
  builder(context).stop(ErrorCode::invalid_parameter, "a DOCTYPE is not allowed");
}

void on_error(void* context, xmlErrorPtr error) {
  Builder& b = builder(context);
  if (error->level < XML_ERR_ERROR) return;
  std::string message = error->message ? error->message : "error";
  while (!message.empty() && message.back() == '\n') message.pop_back();
  b.stop(ErrorCode::invalid_parameter,
         "not well-formed XML, line " + std::to_string(error->line) + ": " + message);
}

struct FreeParser {
  void operator()(xmlParserCtxtPtr parser) const {
    xmlFreeDoc(parser->myDoc);
    xmlFreeParserCtxt(parser);
  }
};

xmlSAXHandler handler() {
  xmlSAXHandler sax;
  std::memset(&sax, 0, sizeof sax);
  sax.initialized = XML_SAX2_MAGIC;
  sax.startElementNs = on_start;
  sax.endElementNs = on_end;
  sax.characters = on_text;
  sax.ignorableWhitespace = on_text;
  sax.cdataBlock = on_text;
  sax.internalSubset = on_doctype;
  sax.serror = on_error;
  return sax;
}

}  // namespace

Result<cim::XmlNode> parse_xml(std::string_view source, const XmlLimits& limits) {
  if (source.size() > limits.most_bytes)
    return fail(ErrorCode::too_large,
                "the XML has more than " + std::to_string(limits.most_bytes) + " bytes");
  if (source.empty()) return fail(ErrorCode::invalid_parameter, "there is no XML");
  Builder b(limits);
  xmlSAXHandler sax = handler();
  const std::unique_ptr<xmlParserCtxt, FreeParser> parser(
      xmlCreatePushParserCtxt(&sax, &b, nullptr, 0, nullptr));
  if (!parser) return fail(ErrorCode::out_of_memory, "cannot make an XML parser");
  b.parser = parser.get();
  // NOENT only makes the five entities and character references arrive as what they mean: without a DOCTYPE
  // there are no others.
  xmlCtxtUseOptions(parser.get(), XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOCDATA);
  xmlParseChunk(parser.get(), source.data(), static_cast<int>(source.size()), 1);
  b.parser = nullptr;
  if (b.stopped()) return fail(b.code, b.problem);
  if (!b.done || parser->wellFormed == 0) return fail(ErrorCode::invalid_parameter, "the XML is incomplete");
  return std::move(b.root);
}

std::string_view trim(std::string_view content) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = content.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return content.substr(first, content.find_last_not_of(kSpace) - first + 1);
}

void XmlWriter::start(std::string_view name, Attributes attributes) {
  out_.append("<").append(name);
  for (const auto& [key, value] : attributes)
    out_.append(" ").append(key).append("=\"").append(escape_xml(value)).append("\"");
}

XmlWriter& XmlWriter::open(std::string_view name, Attributes attributes) {
  start(name, attributes);
  out_ += '>';
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::close() {
  US_ASSERT(!open_.empty());
  out_.append("</").append(open_.back()).append(">");
  open_.pop_back();
  return *this;
}

XmlWriter& XmlWriter::text(std::string_view content) {
  out_ += escape_xml(content);
  return *this;
}

XmlWriter& XmlWriter::leaf(std::string_view name, std::string_view content, Attributes attributes) {
  return open(name, attributes).text(content).close();
}

XmlWriter& XmlWriter::empty(std::string_view name, Attributes attributes) {
  start(name, attributes);
  out_ += "/>";
  return *this;
}

XmlWriter& XmlWriter::raw(std::string_view xml) {
  out_ += xml;
  return *this;
}

std::string XmlWriter::take() {
  US_ASSERT(open_.empty());
  return std::move(out_);
}

}  // namespace understudy::wsman
