#include "cim/schema.h"

#include <algorithm>

namespace understudy::cim {
namespace {

// The members of a class are few and sorted without case.
template <class Decl>
const Decl* by_name(std::span<const Decl> decls, std::string_view name) {
  const auto found = std::ranges::find_if(decls, [&](const Decl& d) { return same_name(d.name, name); });
  return found == decls.end() ? nullptr : &*found;
}

}  // namespace

const PropertyDecl* ClassDecl::property(std::string_view wanted) const {
  return by_name(properties, wanted);
}
const MethodDecl* ClassDecl::method(std::string_view wanted) const {
  return by_name(methods, wanted);
}
const ParameterDecl* MethodDecl::parameter(std::string_view wanted) const {
  return by_name(parameters, wanted);
}

const ClassDecl* find_class(std::string_view name) {
  const std::span<const ClassDecl> all = all_classes();
  const auto found = std::ranges::lower_bound(all, name, NameLess{}, &ClassDecl::name);
  return found != all.end() && same_name(found->name, name) ? &*found : nullptr;
}

bool is_a(std::string_view class_name, std::string_view ancestor) {
  for (const ClassDecl* c = find_class(class_name); c; c = find_class(c->superclass))
    if (same_name(c->name, ancestor)) return true;
  return false;
}

std::string_view value_name(std::string_view class_name, std::string_view property, int64_t number) {
  const ClassDecl* c = find_class(class_name);
  const PropertyDecl* p = c ? c->property(property) : nullptr;
  if (!p) return {};
  for (const ValueName& v : p->values)
    if (v.low <= number && number <= v.high) return v.name;
  return {};
}

std::string_view type_name(Type type) {
  switch (type) {
    case Type::boolean:
      return "boolean";
    case Type::uint8:
      return "uint8";
    case Type::uint16:
      return "uint16";
    case Type::uint32:
      return "uint32";
    case Type::uint64:
      return "uint64";
    case Type::sint8:
      return "sint8";
    case Type::sint16:
      return "sint16";
    case Type::sint32:
      return "sint32";
    case Type::sint64:
      return "sint64";
    case Type::real32:
      return "real32";
    case Type::real64:
      return "real64";
    case Type::char16:
      return "char16";
    case Type::string:
      return "string";
    case Type::datetime:
      return "datetime";
    case Type::reference:
      return "reference";
    case Type::instance:
      return "instance";
  }
  return "string";
}

}  // namespace understudy::cim
