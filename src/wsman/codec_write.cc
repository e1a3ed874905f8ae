#include <charconv>

#include "cim/datetime.h"
#include "cim/embedded.h"
#include "cim/typed.h"
#include "wsman/codec.h"
#include "wsman/names.h"
#include "wsman/resource.h"

namespace understudy::wsman {
namespace {

using cim::Value;
using Scalar = Value::Scalar;
using InstancePtr = std::shared_ptr<const cim::Instance>;

void write_members(XmlWriter& out, std::string_view prefix, const cim::Instance& instance);

// The text of a scalar that has one.
struct ElementText {
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(uint64_t v) const { return std::to_string(v); }
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const {
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr};
  }
  std::string operator()(const std::string& v) const { return v; }
  std::string operator()(const cim::DateTime& v) const { return cim::xs_datetime_text(v); }
  std::string operator()(const cim::ObjectPath& v) const { return v.text(); }
  std::string operator()(const InstancePtr& v) const { return v ? cim::format_embedded(*v) : ""; }
};

// `as_element`: an embedded object is typed as an object; else it travels as the text of an INSTANCE.
void write_scalar(XmlWriter& out, const std::string& name, const Scalar& scalar, bool as_element) {
  if (const auto* path = std::get_if<cim::ObjectPath>(&scalar)) {
    out.open(name, {{"xmlns:a", kAddressing}, {"xmlns:w", kWsman}});
    write_reference_content(out, *path);
    out.close();
  } else if (const auto* time = std::get_if<cim::DateTime>(&scalar)) {
    out.open(name, {{"xmlns:cim", kCommon}});
    out.leaf(time->interval ? "cim:Interval" : "cim:Datetime", cim::xs_datetime_text(*time)).close();
  } else if (const auto* object = std::get_if<InstancePtr>(&scalar); object && *object && as_element) {
    const std::string& class_name = (*object)->class_name();
    out.open(name, {{"xmlns:p1", class_uri(class_name)},
                    {"xmlns:xsi", kSchemaInstance},
                    {"xsi:type", "p1:" + class_name + "_Type"}});
    write_members(out, "p1:", **object);
    out.close();
  } else {
    out.leaf(name, std::visit(ElementText{}, scalar));
  }
}

// NULL scalars are there as nil, NULL and empty arrays are not there: libvirt cannot do without the first.
void write_value(XmlWriter& out, const std::string& name, const Value& value, bool is_array,
                 bool as_element) {
  if (const auto* array = value.array()) {
    for (const Scalar& scalar : *array) write_scalar(out, name, scalar, as_element);
  } else if (const Scalar* scalar = value.scalar()) {
    write_scalar(out, name, *scalar, as_element);
  } else if (!is_array) {
    out.empty(name, {{"xsi:nil", "true"}});
  }
}

void write_members(XmlWriter& out, std::string_view prefix, const cim::Instance& instance) {
  const cim::ClassDecl* decl = cim::find_class(instance.class_name());
  if (!decl) {
    for (const auto& [name, value] : instance.properties())
      write_value(out, std::string(prefix) + name, value, false, true);
    return;
  }
  for (const cim::PropertyDecl& property : decl->properties)
    write_value(out, std::string(prefix) + std::string(property.name), instance.get(property.name),
                property.array, property.type == cim::Type::instance);
}

bool is_reference_key(const cim::ClassDecl* decl, std::string_view key) {
  const cim::PropertyDecl* property = decl ? decl->property(key) : nullptr;
  return property && property->type == cim::Type::reference;
}

void open_typed(XmlWriter& out, std::string_view element, std::string_view class_name) {
  out.open(element, {{"xmlns:xsi", kSchemaInstance},
                     {"xmlns:p", class_uri(class_name)},
                     {"xmlns:cim", kCommon},
                     {"xsi:type", "p:" + std::string(class_name) + "_Type"}});
}

}  // namespace

void write_instance(XmlWriter& out, const cim::Instance& instance) {
  open_typed(out, "p:" + instance.class_name(), instance.class_name());
  write_members(out, "p:", instance);
  out.close();
}

void write_property(XmlWriter& out, const cim::Instance& instance, const cim::PropertyDecl& property) {
  write_value(out, "p:" + std::string(property.name), instance.get(property.name), property.array,
              property.type == cim::Type::instance);
}

void write_fragment(XmlWriter& out, const cim::Instance& instance, const std::vector<std::string>& selected) {
  open_typed(out, "w:XmlFragment", instance.class_name());
  const cim::ClassDecl* decl = cim::find_class(instance.class_name());
  const auto wanted = [&](std::string_view name) {
    for (const std::string& s : selected)
      if (cim::same_name(s, name)) return true;
    return false;
  };
  for (const cim::PropertyDecl& property : decl ? decl->properties : std::span<const cim::PropertyDecl>())
    if (wanted(property.name)) write_property(out, instance, property);
  out.close();
}

void write_endpoint(XmlWriter& out, const cim::ObjectPath& path) {
  out.open("a:EndpointReference", {{"xmlns:a", kAddressing}, {"xmlns:w", kWsman}});
  write_reference_content(out, path);
  out.close();
}

// The SelectorSet declares its prefix once more: wslinvoke copies it, as text, into an envelope of its own.
void write_reference_content(XmlWriter& out, const cim::ObjectPath& path) {
  out.leaf("a:Address", kAnonymous)
      .open("a:ReferenceParameters")
      .leaf("w:ResourceURI", class_uri(path.class_name));
  out.open("w:SelectorSet", {{"xmlns:w", kWsman}});
  const cim::ClassDecl* decl = cim::find_class(path.class_name);
  for (const auto& [key, value] : path.keys) {
    const auto far =
        is_reference_key(decl, key) ? cim::ObjectPath::parse(value) : fail(ErrorCode::wrong_type, "a text");
    if (!far) {
      out.leaf("w:Selector", value, {{"Name", key}});
      continue;
    }
    out.open("w:Selector", {{"Name", key}});
    write_endpoint(out, *far);
    out.close();
  }
  out.close().close();
}

void write_output(XmlWriter& out, std::string_view uri, std::string_view class_name, std::string_view method,
                  const cim::InvokeResult& result) {
  const cim::ClassDecl* decl = cim::find_class(class_name);
  const cim::MethodDecl* known = decl ? decl->method(method) : nullptr;
  out.open("p:" + std::string(known ? known->name : method) + "_OUTPUT",
           {{"xmlns:xsi", kSchemaInstance}, {"xmlns:p", uri}, {"xmlns:cim", kCommon}});
  if (known) {
    for (const cim::ParameterDecl& parameter : known->parameters)
      if (parameter.out)
        write_value(out, "p:" + std::string(parameter.name), result.out.get(parameter.name), parameter.array,
                    parameter.type == cim::Type::instance);
  } else {
    for (const auto& [name, value] : result.out.properties())
      write_value(out, "p:" + name, value, false, false);
  }
  out.leaf("p:ReturnValue", std::to_string(result.return_value)).close();
}

void write_input(XmlWriter& out, std::string_view uri, std::string_view method,
                 const cim::Instance& parameters) {
  out.open("p:" + std::string(method) + "_INPUT", {{"xmlns:p", uri}, {"xmlns:xsi", kSchemaInstance}});
  for (const auto& [name, value] : parameters.properties())
    write_value(out, "p:" + name, value, false, false);
  out.close();
}

}  // namespace understudy::wsman
