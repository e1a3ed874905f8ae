#include "cim/typed.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/assert.h"
#include "cim/datetime.h"

namespace understudy::cim {
namespace {

struct Range {
  int64_t low;
  uint64_t high;
};

// The range of an integer type; nothing for the others.
std::optional<Range> range_of(Type type) {
  switch (type) {
    case Type::uint8:
      return Range{0, std::numeric_limits<uint8_t>::max()};
    case Type::uint16:
    case Type::char16:
      return Range{0, std::numeric_limits<uint16_t>::max()};
    case Type::uint32:
      return Range{0, std::numeric_limits<uint32_t>::max()};
    case Type::uint64:
      return Range{0, std::numeric_limits<uint64_t>::max()};
    case Type::sint8:
      return Range{std::numeric_limits<int8_t>::min(), std::numeric_limits<int8_t>::max()};
    case Type::sint16:
      return Range{std::numeric_limits<int16_t>::min(), std::numeric_limits<int16_t>::max()};
    case Type::sint32:
      return Range{std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    case Type::sint64:
      return Range{std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
    default:
      return {};
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

tl::unexpected<Error> bad(Type type, std::string_view text) {
  return fail(ErrorCode::wrong_type, "'" + std::string(text.substr(0, 64)) + "' is no value of type " +
                                         std::string(type_name(type)));
}

Result<Value::Scalar> integer(Type type, std::string_view whole) {
  std::string_view text = whole;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return bad(type, whole);
  const Range range = *range_of(type);
  const uint64_t lowest = range.low < 0 ? 0 - static_cast<uint64_t>(range.low) : 0;  // as a magnitude
  if (magnitude > (negative ? lowest : range.high)) return bad(type, whole);
  if (range.low == 0) return Value::Scalar(magnitude);
  return Value::Scalar(static_cast<int64_t>(negative ? 0 - magnitude : magnitude));
}

Result<Value::Scalar> real(Type type, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return bad(type, text);
  return Value::Scalar(value);
}

Result<Value::Scalar> boolean(std::string_view text) {
  if (same_name(text, "true") || text == "1") return Value::Scalar(true);
  if (same_name(text, "false") || text == "0") return Value::Scalar(false);
  return bad(Type::boolean, text);
}

Status conforms(const PropertyDecl& decl, const Value& value) {
  if (value.null()) return {};
  const auto check = [&](const Value::Scalar& scalar) -> Status {
    const auto* text = std::get_if<std::string>(&scalar);
    if (!fits(decl.type, scalar))
      return fail(ErrorCode::wrong_type,
                  std::string(decl.name) + " is not of type " + std::string(type_name(decl.type)));
    if (text && too_long(decl, *text))
      return fail(ErrorCode::invalid_parameter,
                  std::string(decl.name) + " is longer than " + std::to_string(decl.max_length));
    return {};
  };
  if (decl.array != value.is_array())
    return fail(ErrorCode::wrong_type,
                std::string(decl.name) + (decl.array ? " is an array" : " is no array"));
  if (!decl.array) return check(*value.scalar());
  for (const Value::Scalar& scalar : *value.array()) US_CHECK(check(scalar));
  return {};
}

struct ScalarText {
  std::string operator()(bool v) const { return v ? "TRUE" : "FALSE"; }
  std::string operator()(uint64_t v) const { return std::to_string(v); }
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const {
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr};
  }
  std::string operator()(const std::string& v) const { return v; }
  std::string operator()(const DateTime& v) const { return cim_datetime_text(v); }
  std::string operator()(const ObjectPath& v) const { return v.text(); }
  std::string operator()(const std::shared_ptr<const Instance>&) const { return {}; }
};

}  // namespace

Result<Value::Scalar> scalar_from_text(Type type, std::string_view text) {
  if (type == Type::string) return Value::Scalar(std::string(text));
  const std::string_view trimmed = trim(text);
  switch (type) {
    case Type::boolean:
      return boolean(trimmed);
    case Type::real32:
    case Type::real64:
      return real(type, trimmed);
    case Type::datetime: {
      US_TRY(const DateTime value, parse_datetime(trimmed));
      return Value::Scalar(value);
    }
    case Type::reference: {
      auto path = ObjectPath::parse(trimmed);
      if (!path) return fail(ErrorCode::wrong_type, path.error().message());
      return Value::Scalar(std::move(*path));
    }
    case Type::instance:
      return bad(type, text);
    default:
      return integer(type, trimmed);
  }
}

std::string scalar_text(const Value::Scalar& scalar) {
  return std::visit(ScalarText{}, scalar);
}

bool fits(Type type, const Value::Scalar& scalar) {
  if (const auto range = range_of(type)) {
    if (const auto* u = std::get_if<uint64_t>(&scalar)) return *u <= range->high;
    const auto* s = std::get_if<int64_t>(&scalar);
    return s && *s >= range->low && (*s < 0 || static_cast<uint64_t>(*s) <= range->high);
  }
  switch (type) {
    case Type::boolean:
      return std::holds_alternative<bool>(scalar);
    case Type::real32:
    case Type::real64:
      return std::holds_alternative<double>(scalar);
    case Type::string:
      return std::holds_alternative<std::string>(scalar);
    case Type::datetime:
      return std::holds_alternative<DateTime>(scalar);
    case Type::reference:
      return std::holds_alternative<ObjectPath>(scalar);
    case Type::instance: {
      const auto* v = std::get_if<std::shared_ptr<const Instance>>(&scalar);
      return v && *v;
    }
    default:
      return false;
  }
}

bool too_long(const PropertyDecl& decl, std::string_view text) {
  if (decl.max_length == 0 || text.size() <= decl.max_length) return false;
  const auto starts = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return static_cast<size_t>(std::ranges::count_if(text, starts)) > decl.max_length;
}

ObjectPath path_of(const Instance& instance) {
  const ClassDecl* decl = find_class(instance.class_name());
  US_ASSERT(decl != nullptr);
  ObjectPath path;
  path.class_name = decl->name;
  for (const PropertyDecl& p : decl->properties)
    if (p.key)
      if (const Value::Scalar* value = instance.get(p.name).scalar())
        path.keys.emplace(p.name, scalar_text(*value));
  return path;
}

Status conforms(const Instance& instance) {
  const ClassDecl* decl = find_class(instance.class_name());
  if (!decl) return fail(ErrorCode::wrong_type, "class " + instance.class_name() + " is not in the schema");
  if (decl->abstract) return fail(ErrorCode::wrong_type, "class " + instance.class_name() + " is abstract");
  for (const PropertyDecl& p : decl->properties)
    if (p.key && instance.get(p.name).null())
      return fail(ErrorCode::invalid_parameter,
                  instance.class_name() + ": key " + std::string(p.name) + " is NULL");
  for (const auto& [name, value] : instance.properties()) {
    const PropertyDecl* p = decl->property(name);
    if (!p) return fail(ErrorCode::invalid_parameter, instance.class_name() + " has no property " + name);
    if (auto status = conforms(*p, value); !status)
      return fail(status.error().context(instance.class_name()));
  }
  return {};
}

}  // namespace understudy::cim
