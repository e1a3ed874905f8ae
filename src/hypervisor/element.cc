#include "hypervisor/element.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlsave.h>

#include <algorithm>
#include <memory>

#include "base/limits.h"

namespace understudy::hypervisor {
namespace {

// libvirt's own documents: a host's capabilities are the largest, some hundred KiB.
constexpr size_t kMostDocument = 8 << 20;

struct FreeDocument {
  void operator()(xmlDoc* doc) const { xmlFreeDoc(doc); }
};
struct FreeBuffer {
  void operator()(xmlBuffer* buffer) const { xmlBufferFree(buffer); }
};
using Document = std::unique_ptr<xmlDoc, FreeDocument>;

const char* c(const xmlChar* text) {
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}
const xmlChar* x(const std::string& text) {
  return reinterpret_cast<const xmlChar*>(text.c_str());
}

std::string full_name(const xmlChar* name, const xmlNs* space) {
  const std::string prefix =
      space != nullptr && space->prefix != nullptr ? c(space->prefix) + std::string(":") : "";
  return prefix + c(name);
}

// False when a bound is passed.
bool copy(const xmlNode* from, Element& to, size_t depth, size_t& nodes) {
  if (depth > limits::kMostXmlDepth || ++nodes > limits::kMostXmlNodes) return false;
  to.name = full_name(from->name, from->ns);
  if (from->ns != nullptr) to.space = c(from->ns->href);
  for (const xmlAttr* a = from->properties; a != nullptr; a = a->next) {
    if (++nodes > limits::kMostXmlNodes) return false;
    to.attributes.emplace_back(full_name(a->name, a->ns),
                               a->children == nullptr ? "" : c(a->children->content));
  }
  for (const xmlNode* n = from->children; n != nullptr; n = n->next) {
    if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) to.text += c(n->content);
    if (n->type != XML_ELEMENT_NODE) continue;
    if (!copy(n, to.children.emplace_back(), depth + 1, nodes)) return false;
  }
  return true;
}

void build(const Element& from, xmlNode* to) {
  for (const auto& [name, value] : from.attributes) xmlNewProp(to, x(name), x(value));
  if (!from.text.empty()) xmlAddChild(to, xmlNewText(x(from.text)));
  for (const Element& e : from.children) {
    xmlNode* node = xmlNewNode(nullptr, x(e.name));
    xmlAddChild(to, node);
    build(e, node);
  }
}

}  // namespace

const Element* Element::child(std::string_view child_name) const {
  const auto found =
      std::find_if(children.begin(), children.end(), [&](const Element& e) { return e.name == child_name; });
  return found == children.end() ? nullptr : &*found;
}

const Element* Element::at(std::string_view path) const {
  const Element* here = this;
  while (here != nullptr && !path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    here = here->child(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return here;
}

std::string_view Element::attribute(std::string_view attribute_name) const {
  for (const auto& [key, value] : attributes) {
    if (key == attribute_name) return value;
  }
  return {};
}

std::string_view Element::text_at(std::string_view path) const {
  const Element* e = at(path);
  return e == nullptr ? std::string_view{} : std::string_view(e->text);
}

std::string_view Element::attribute_at(std::string_view path, std::string_view attribute_name) const {
  const Element* e = at(path);
  return e == nullptr ? std::string_view{} : e->attribute(attribute_name);
}

Element& Element::add(std::string_view child_name, std::string_view child_text) {
  Element& e = children.emplace_back();
  e.name = child_name;
  e.text = child_text;
  return e;
}

Element& Element::set(std::string_view attribute_name, std::string_view value) {
  attributes.emplace_back(attribute_name, value);
  return *this;
}

Result<Element> parse_xml(std::string_view text) {
  if (text.size() > kMostDocument)
    return fail(ErrorCode::too_large, "an XML document of libvirt is too large");
  constexpr int kOptions = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
  const Document doc(xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, nullptr, kOptions));
  const xmlNode* root = doc == nullptr ? nullptr : xmlDocGetRootElement(doc.get());
  if (root == nullptr) return fail(ErrorCode::corrupt, "libvirt gave a document that is no XML");
  if (doc->intSubset != nullptr)
    return fail(ErrorCode::corrupt, "an XML document of libvirt has a document type");
  Element element;
  size_t nodes = 0;
  if (!copy(root, element, 1, nodes))
    return fail(ErrorCode::too_large, "an XML document of libvirt is too deep or has too many nodes");
  return element;
}

std::string to_xml(const Element& element) {
  const Document doc(xmlNewDoc(reinterpret_cast<const xmlChar*>("1.0")));
  xmlNode* root = xmlNewNode(nullptr, x(element.name));
  xmlDocSetRootElement(doc.get(), root);
  build(element, root);
  const std::unique_ptr<xmlBuffer, FreeBuffer> buffer(xmlBufferCreate());
  xmlNodeDump(buffer.get(), doc.get(), root, 0, 1);
  return c(xmlBufferContent(buffer.get()));
}

}  // namespace understudy::hypervisor
