// What the schema says about values: text to typed value and back, the path of an instance, and whether an
// instance fits its class. Pure functions over the tables of schema.h.
#pragma once

#include <string>
#include <string_view>

#include "cim/schema.h"
#include "cim/value.h"

namespace understudy::cim {

// Space at both ends is allowed around everything that is not a string. Integers are decimal or 0x and
// checked for range; booleans come in any case and as 1 and 0; datetimes in any form of datetime.h; a
// reference is an object path. ErrorCode::wrong_type otherwise.
Result<Value::Scalar> scalar_from_text(Type type, std::string_view text);
// As CIM-XML and selectors write it: TRUE, 5, 20261122181908.000000+000, Class.Key="v". An embedded instance
// has no such text and gives nothing.
std::string scalar_text(const Value::Scalar& scalar);
// Whether the scalar is of that type, range included.
bool fits(Type type, const Value::Scalar& scalar);

// Longer than the declaration allows, in characters of UTF-8.
bool too_long(const PropertyDecl& decl, std::string_view text);

// Class and keys of an instance; a key that is NULL is left out.
ObjectPath path_of(const Instance& instance);
// The class is known and concrete, no key is NULL, and each property exists, has its type and is not too
// long. The class of a reference is not looked at (Msvm_SettingsDefineState is declared narrower than real
// hosts use it).
Status conforms(const Instance& instance);

}  // namespace understudy::cim
