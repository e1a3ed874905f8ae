#include "cim/embedded.h"

#include "base/assert.h"
#include "base/limits.h"
#include "cim/schema.h"
#include "cim/typed.h"
#include "cim/xml_text.h"

namespace understudy::cim {
namespace {

constexpr size_t kMostWrappers = 6;  // CIM, MESSAGE, DECLARATION, DECLGROUP, VALUE.OBJECT...
constexpr size_t kMostNesting = 4;   // of keys that are references, and of instances when writing
constexpr size_t kMostArray = 4096;  // elements of one property

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::invalid_parameter, std::move(message));
}
tl::unexpected<Error> wrong(std::string message) {
  return fail(ErrorCode::wrong_type, std::move(message));
}

bool named(const XmlNode& node, std::string_view name) {
  return same_name(node.name, name);
}

const std::string* attribute(const XmlNode& node, std::string_view name) {
  for (const XmlAttribute& a : node.attributes)
    if (same_name(a.name, name)) return &a.value;
  return nullptr;
}

const XmlNode* child(const XmlNode& node, std::string_view name) {
  for (const XmlNode& c : node.children)
    if (named(c, name)) return &c;
  return nullptr;
}

// Down through elements that only wrap an INSTANCE. An INSTANCENAME beside it says nothing we need.
const XmlNode* find_instance(const XmlNode& root) {
  const XmlNode* node = &root;
  for (size_t depth = 0; depth <= kMostWrappers; ++depth) {
    if (named(*node, "INSTANCE")) return node;
    if (const XmlNode* instance = child(*node, "INSTANCE")) return instance;
    if (node->children.size() != 1) return nullptr;
    node = &node->children.front();
  }
  return nullptr;
}

// --- references ---

Result<ObjectPath> read_instance_name(const XmlNode& node, size_t depth);

// VALUE.REFERENCE: an object path as text, or the tree that CIM-XML has for it.
Result<ObjectPath> read_reference(const XmlNode& value, size_t depth) {
  if (depth > kMostNesting) return invalid("references are nested too deep");
  const XmlNode* node = &value;
  for (const std::string_view wrapper : {"INSTANCEPATH", "LOCALINSTANCEPATH"})
    if (const XmlNode* inner = child(*node, wrapper)) node = inner;
  if (const XmlNode* name = child(*node, "INSTANCENAME")) return read_instance_name(*name, depth);
  if (!value.children.empty()) return invalid("expected an INSTANCENAME in " + value.name);
  US_TRY(Value::Scalar scalar, scalar_from_text(Type::reference, value.text));
  return std::get<ObjectPath>(std::move(scalar));
}

Result<ObjectPath> read_instance_name(const XmlNode& node, size_t depth) {
  ObjectPath path;
  const std::string* class_name = attribute(node, "CLASSNAME");
  if (!class_name || class_name->empty()) return invalid("INSTANCENAME has no CLASSNAME");
  path.class_name = *class_name;
  for (const XmlNode& binding : node.children) {
    const std::string* name = attribute(binding, "NAME");
    const XmlNode* text = child(binding, "KEYVALUE");
    const XmlNode* reference = child(binding, "VALUE.REFERENCE");
    if (!named(binding, "KEYBINDING") || !name || (!text && !reference))
      return invalid("INSTANCENAME of " + *class_name + ": expected a KEYBINDING with a NAME and a value");
    std::string value;
    if (text) {
      value = text->text;
    } else {
      US_TRY(const ObjectPath nested, read_reference(*reference, depth + 1));
      value = nested.text();
    }
    if (!path.keys.emplace(*name, std::move(value)).second) return invalid("key " + *name + " stands twice");
  }
  return path;
}

// --- properties ---

Result<Value::Scalar> read_scalar(const PropertyDecl& decl, const XmlNode& value) {
  if (decl.type == Type::reference) {
    US_TRY(ObjectPath path, read_reference(value, 0));
    return Value::Scalar(std::move(path));
  }
  if (!value.children.empty())
    return invalid("a value of " + std::string(decl.name) + " contains elements; escape what is inside");
  auto scalar = scalar_from_text(decl.type, value.text);
  if (!scalar) return fail(scalar.error().context(decl.name));
  if (decl.type == Type::string && too_long(decl, value.text))
    return invalid(std::string(decl.name) + " is longer than " + std::to_string(decl.max_length));
  return scalar;
}

Result<Value> read_array(const PropertyDecl& decl, const XmlNode& property) {
  const XmlNode* values = child(property, "VALUE.ARRAY");
  if (!values) values = child(property, "VALUE.REFARRAY");
  if (!values) return Value();
  if (values->children.size() > kMostArray) return invalid(std::string(decl.name) + " has too many elements");
  std::vector<Value::Scalar> array;
  for (const XmlNode& value : values->children) {
    if (!named(value, "VALUE") && !named(value, "VALUE.REFERENCE"))
      return invalid(std::string(decl.name) + ": expected VALUE, found " + value.name);
    US_TRY(Value::Scalar scalar, read_scalar(decl, value));
    array.push_back(std::move(scalar));
  }
  return Value(std::move(array));
}

Result<Value> read_single(const PropertyDecl& decl, const XmlNode& property) {
  const XmlNode* value = child(property, "VALUE");
  if (!value) value = child(property, "VALUE.REFERENCE");
  if (!value) {
    if (!property.children.empty())
      return invalid(std::string(decl.name) + ": expected VALUE, found " + property.children.front().name);
    return Value();
  }
  US_TRY(const Value::Scalar scalar, read_scalar(decl, *value));
  return std::visit([](const auto& v) { return Value(v); }, scalar);
}

// TYPE may be left out. A reference may be called a string, as scripts write its path.
Status check_type(const PropertyDecl& decl, const XmlNode& property) {
  const std::string* type = attribute(property, "TYPE");
  if (!type || same_name(*type, type_name(decl.type))) return {};
  if (decl.type == Type::reference && same_name(*type, "string")) return {};
  return wrong(std::string(decl.name) + " has TYPE " + type->substr(0, 32) + ", the class says " +
               std::string(type_name(decl.type)));
}

Status read_property(const ClassDecl& decl, const XmlNode& property, Instance& instance) {
  const bool array = named(property, "PROPERTY.ARRAY") || named(property, "PROPERTY.REFARRAY");
  if (!array && !named(property, "PROPERTY") && !named(property, "PROPERTY.REFERENCE"))
    return invalid("expected PROPERTY, found " + property.name.substr(0, 64));
  const std::string* name = attribute(property, "NAME");
  if (!name || name->empty()) return invalid(property.name + " has no NAME");
  if (name->starts_with("__")) return {};  // system properties of WMI
  const PropertyDecl* p = decl.property(*name);
  if (!p) return invalid("class " + std::string(decl.name) + " has no property " + name->substr(0, 64));
  if (instance.has(p->name)) return invalid("property " + std::string(p->name) + " stands twice");
  if (p->array != array) return wrong(std::string(p->name) + (p->array ? " is an array" : " is no array"));
  US_CHECK(check_type(*p, property));
  US_TRY(Value value, array ? read_array(*p, property) : read_single(*p, property));
  instance.set(p->name, std::move(value));
  return {};
}

// --- writing ---

std::string format(const Instance& instance, size_t depth);

void value_into(std::string& out, const Value::Scalar& scalar, std::string_view element, size_t depth) {
  out.append("<").append(element).append(">");
  if (const auto* nested = std::get_if<std::shared_ptr<const Instance>>(&scalar); nested && *nested)
    out += escape_xml(format(**nested, depth + 1));
  else
    out += escape_xml(scalar_text(scalar));
  out.append("</").append(element).append(">");
}

void property_into(std::string& out, const PropertyDecl& decl, const Value& value, size_t depth) {
  const bool reference = decl.type == Type::reference;
  const std::string_view item = reference ? "VALUE.REFERENCE" : "VALUE";
  const std::string_view list = reference ? "VALUE.REFARRAY" : "VALUE.ARRAY";
  std::string element = reference ? "PROPERTY.REFERENCE" : "PROPERTY";
  if (decl.array) element = reference ? "PROPERTY.REFARRAY" : "PROPERTY.ARRAY";
  out.append("<").append(element).append(" NAME=\"").append(decl.name).append("\"");
  if (reference) {
    if (!decl.reference.empty()) out.append(" REFERENCECLASS=\"").append(decl.reference).append("\"");
  } else {
    out.append(" TYPE=\"").append(decl.type == Type::instance ? "string" : type_name(decl.type)).append("\"");
    if (decl.embedded || decl.type == Type::instance) out.append(" EmbeddedObject=\"instance\"");
  }
  out.append(">");
  if (const auto* array = value.array()) {
    out.append("<").append(list).append(">");
    for (const Value::Scalar& scalar : *array) value_into(out, scalar, item, depth);
    out.append("</").append(list).append(">");
  } else {
    value_into(out, *value.scalar(), item, depth);
  }
  out.append("</").append(element).append(">");
}

std::string format(const Instance& instance, size_t depth) {
  const ClassDecl* decl = find_class(instance.class_name());
  US_ASSERT(decl != nullptr && depth <= kMostNesting);
  std::string out = "<INSTANCE CLASSNAME=\"" + std::string(decl->name) + "\">";
  for (const auto& [name, value] : instance.properties()) {
    if (value.null()) continue;
    const PropertyDecl* property = decl->property(name);
    US_ASSERT(property != nullptr && property->array == value.is_array());
    property_into(out, *property, value, depth);
  }
  return out + "</INSTANCE>";
}

}  // namespace

Result<Instance> read_embedded(const XmlNode& tree, std::string_view expected_class) {
  const XmlNode* node = find_instance(tree);
  if (!node) return invalid("expected an INSTANCE, found " + tree.name.substr(0, 64));
  const std::string* class_name = attribute(*node, "CLASSNAME");
  if (!class_name || class_name->empty()) return invalid("INSTANCE has no CLASSNAME");
  const ClassDecl* decl = find_class(*class_name);
  if (!decl || decl->abstract || !is_a(decl->name, expected_class))
    return wrong("expected an instance of " + std::string(expected_class) + ", found " +
                 class_name->substr(0, 64));
  Instance instance{std::string(decl->name)};
  for (const XmlNode& property : node->children)
    if (!named(property, "QUALIFIER")) US_CHECK(read_property(*decl, property, instance));
  return instance;
}

Result<Instance> parse_embedded(const XmlParser& parser, std::string_view text,
                                std::string_view expected_class) {
  if (text.size() > limits::kMostEmbeddedLength)
    return invalid("an embedded instance is longer than " + std::to_string(limits::kMostEmbeddedLength));
  auto tree = parser(text);
  if (!tree) return invalid("embedded " + std::string(expected_class) + ": " + tree.error().message());
  return read_embedded(*tree, expected_class);
}

std::string format_embedded(const Instance& instance) {
  return format(instance, 0);
}

}  // namespace understudy::cim
