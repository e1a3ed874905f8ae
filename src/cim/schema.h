// The classes of root\virtualization\v2 that we know, compiled from schema/*.mof at build time.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "cim/value.h"

namespace understudy::cim {

// One entry of a value map: the numbers low..high are called `name`. What MOF writes as ".." (all the rest)
// comes last.
struct ValueName {
  int64_t low;
  int64_t high;
  std::string_view name;
};

struct PropertyDecl {
  std::string_view name;
  Type type;
  bool array;
  bool key;
  bool embedded;                   // a string that carries a CIM-XML INSTANCE
  std::string_view reference;      // class of a reference, else empty
  std::string_view default_value;  // as MOF text without quotes; arrays joined by commas
  bool has_default;
  std::string_view embedded_class;    // class of an embedded object or of an embedded string, else empty
  uint32_t max_length;                // of a string, 0 = no limit
  std::span<const ValueName> values;  // may be empty
};
struct ParameterDecl {
  std::string_view name;
  Type type;
  bool array;
  bool in;
  bool out;
  bool embedded;
  std::string_view reference;
  std::string_view embedded_class;
  uint32_t max_length;
  std::span<const ValueName> values;
};
struct MethodDecl {
  std::string_view name;
  Type return_type;
  std::span<const ParameterDecl> parameters;
  std::span<const ValueName> values;  // of the return value, where they differ from errors.def

  const ParameterDecl* parameter(std::string_view name) const;  // without case
};
struct ClassDecl {
  std::string_view name;
  std::string_view superclass;  // empty at the top
  bool abstract;
  bool association;
  std::span<const PropertyDecl> properties;  // own and inherited, alphabetical; no name twice
  std::span<const MethodDecl> methods;       // own and inherited

  const PropertyDecl* property(std::string_view name) const;  // without case
  const MethodDecl* method(std::string_view name) const;
};

// Immutable; any thread.
const ClassDecl* find_class(std::string_view name);  // without case; null when unknown
std::span<const ClassDecl> all_classes();
bool is_a(std::string_view class_name, std::string_view ancestor);  // itself or below
// What the value map of a property calls a number; empty when there is none.
std::string_view value_name(std::string_view class_name, std::string_view property, int64_t number);
std::string_view type_name(Type type);  // as CIM-XML's TYPE attribute and MOF write it

}  // namespace understudy::cim
