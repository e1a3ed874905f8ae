#include <map>

#include "cim/typed.h"
#include "wsman/codec.h"
#include "wsman/envelope.h"
#include "wsman/names.h"
#include "wsman/resource.h"

namespace understudy::wsman {
namespace {

using cim::Value;
using cim::XmlNode;
using Scalar = Value::Scalar;

bool is_nil(const XmlNode& element) {
  for (const auto& a : element.attributes)
    if (a.name == "nil" && a.ns == kSchemaInstance) return a.value == "1" || cim::same_name(a.value, "true");
  return false;
}

const XmlNode* time_of(const XmlNode& element) {
  if (element.children.size() != 1) return nullptr;
  const XmlNode& only = element.children.front();
  return only.ns == kCommon && (only.name == "Datetime" || only.name == "Interval" || only.name == "Date" ||
                                only.name == "Time")
             ? &only
             : nullptr;
}

// The last part of "PREFIX:CLASS_Type" in xsi:type, or of the element's namespace.
std::string embedded_class(const XmlNode& element) {
  for (const auto& a : element.attributes) {
    if (a.name != "type" || a.ns != kSchemaInstance) continue;
    std::string name = a.value.substr(a.value.find(':') + 1);
    if (name.size() > 5 && name.ends_with("_Type")) name.resize(name.size() - 5);
    return name;
  }
  return {};
}

// Without knowing its type: a reference, or a text.
Result<Scalar> read_untyped(const XmlNode& element) {
  if (is_reference(element)) {
    US_TRY(auto path, read_reference(element));
    return Scalar(std::move(path));
  }
  if (const XmlNode* time = time_of(element)) return Scalar(std::string(trim(time->text)));
  if (!element.children.empty())
    return fail(ErrorCode::wrong_type, "'" + element.name + "' holds elements and is no reference",
                "an embedded instance travels as the escaped text of an INSTANCE");
  return Scalar(element.text);
}

Result<Scalar> read_typed(const XmlNode& element, cim::Type type) {
  if (type == cim::Type::instance) {
    XmlNode renamed = element;
    renamed.name = embedded_class(element);
    US_TRY(auto object, read_instance(renamed));
    return Scalar(std::make_shared<const cim::Instance>(std::move(object)));
  }
  US_TRY(Scalar scalar, read_untyped(element));
  const auto* text = std::get_if<std::string>(&scalar);
  if (!text || type == cim::Type::string || type == cim::Type::reference) return scalar;
  auto typed = cim::scalar_from_text(type, *text);
  if (!typed) return fail(typed.error().context(element.name));
  return typed;
}

// Elements by name, in order: a name that comes again makes an array.
class Collector {
 public:
  void add(const std::string& name, Scalar scalar) { values_[name].push_back(std::move(scalar)); }
  void add_null(const std::string& name) { values_[name]; }
  template <class IsArray>
  void move_into(cim::Instance& to, IsArray is_array) {
    for (auto& [name, values] : values_) {
      if (values.empty())
        to.set(name, Value());
      else if (values.size() > 1 || is_array(name))
        to.set(name, Value(std::move(values)));
      else
        to.set(name, std::visit([](auto v) { return Value(std::move(v)); }, std::move(values.front())));
    }
  }

 private:
  std::map<std::string, std::vector<Scalar>, cim::NameLess> values_;
};

}  // namespace

bool is_reference(const XmlNode& element) {
  for (const XmlNode& child : element.children)
    if (child.ns == kAddressing && (child.name == "EndpointReference" || child.name == "ReferenceParameters"))
      return true;
  return false;
}

Result<cim::ObjectPath> read_reference(const XmlNode& element) {
  const auto bad = [](const char* what) {
    return fail(ErrorCode::wrong_type, std::string("an endpoint reference without ") + what);
  };
  const XmlNode* inner = element.child("EndpointReference");
  const XmlNode* parameters = (inner ? inner : &element)->child("ReferenceParameters");
  if (!parameters) return bad("a:ReferenceParameters");
  const XmlNode* uri = parameters->child("ResourceURI");
  if (!uri) return bad("w:ResourceURI");
  cim::ObjectPath path;
  std::string ns;
  if (const XmlNode* set = parameters->child("SelectorSet")) {
    auto selectors = read_selectors(*set, &ns);
    if (!selectors) return fail(selectors.error().error);
    path.keys = std::move(*selectors);
  }
  US_TRY(auto resource, parse_resource(trim(uri->text), ns));
  path.class_name = std::move(resource.class_name);
  return path;
}

Result<cim::Instance> read_input(const XmlNode* body, std::string_view method) {
  const std::string wanted = std::string(method) + "_INPUT";
  cim::Instance parameters(wanted);
  if (!body) return parameters;
  if (!cim::same_name(body->name, wanted))
    return fail(ErrorCode::wrong_type, "the body is '" + body->name + "' and not '" + wanted + "'");
  Collector values;
  for (const XmlNode& element : body->children) {
    if (is_nil(element)) {
      values.add_null(element.name);
      continue;
    }
    US_TRY(Scalar scalar, read_untyped(element));
    values.add(element.name, std::move(scalar));
  }
  values.move_into(parameters, [](const std::string&) { return false; });
  return parameters;
}

Result<cim::Instance> read_instance(const XmlNode& element) {
  const std::string name = element.name == "XmlFragment" ? embedded_class(element) : element.name;
  const cim::ClassDecl* decl = cim::find_class(name);
  cim::Instance instance{std::string(decl ? decl->name : std::string_view(name))};
  Collector values;
  for (const XmlNode& child : element.children) {
    const cim::PropertyDecl* property = decl ? decl->property(child.name) : nullptr;
    if (is_nil(child)) continue;
    US_TRY(Scalar scalar, property ? read_typed(child, property->type) : read_untyped(child));
    values.add(child.name, std::move(scalar));
  }
  values.move_into(instance, [decl](const std::string& property_name) {
    const cim::PropertyDecl* property = decl ? decl->property(property_name) : nullptr;
    return property && property->array;
  });
  return instance;
}

Result<cim::InvokeResult> read_output(const XmlNode& element, std::string_view class_name,
                                      std::string_view method) {
  const cim::ClassDecl* decl = cim::find_class(class_name);
  const cim::MethodDecl* known = decl ? decl->method(method) : nullptr;
  cim::InvokeResult result;
  bool has_return = false;
  Collector values;
  for (const XmlNode& child : element.children) {
    if (is_nil(child)) continue;
    if (child.name == "ReturnValue") {
      US_TRY(const Scalar value, cim::scalar_from_text(cim::Type::uint32, child.text));
      result.return_value = static_cast<uint32_t>(std::get<uint64_t>(value));
      has_return = true;
      continue;
    }
    const cim::ParameterDecl* parameter = known ? known->parameter(child.name) : nullptr;
    US_TRY(Scalar scalar, parameter ? read_typed(child, parameter->type) : read_untyped(child));
    values.add(child.name, std::move(scalar));
  }
  values.move_into(result.out, [known](const std::string& name) {
    const cim::ParameterDecl* parameter = known ? known->parameter(name) : nullptr;
    return parameter && parameter->array;
  });
  if (!has_return)
    return fail(ErrorCode::protocol, "the answer to " + std::string(method) + " has no ReturnValue");
  return result;
}

}  // namespace understudy::wsman
