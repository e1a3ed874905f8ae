#include "cim/value.h"

#include <algorithm>

#include "base/limits.h"
#include "cim/schema.h"

namespace understudy::cim {
namespace {

constexpr size_t kMostPathLength = limits::kMostWqlLength;
constexpr size_t kMostPathKeys = 32;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool name_char(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// Reads Class.Key="v",Key2='w',Key3=5 from the left.
class PathReader {
 public:
  explicit PathReader(std::string_view text) : all_(text), rest_(text) {}

  Result<ObjectPath> read() {
    if (all_.size() > kMostPathLength)
      return fail(ErrorCode::invalid_parameter,
                  "an object path is longer than " + std::to_string(kMostPathLength));
    skip_namespace();
    ObjectPath path;
    US_TRY(path.class_name, name("a class name"));
    if (rest_.empty()) return path;
    if (rest_ == "=@") return path;  // the one instance of a class without keys
    if (rest_.front() == '=') return read_single_key(std::move(path));
    if (!skip('.')) return bad("expected '.' after the class name");
    do {
      US_TRY(const std::string key, name("a key name"));
      if (!skip('=')) return bad("expected '=' after key " + key);
      US_TRY(std::string value, key_value());
      if (path.keys.size() >= kMostPathKeys) return bad("too many keys");
      if (!path.keys.emplace(key, std::move(value)).second) return bad("key " + key + " stands twice");
    } while (skip(','));
    if (!rest_.empty()) return bad("expected ',' or the end");
    return path;
  }

 private:
  // Class="v", allowed for a class with one key.
  Result<ObjectPath> read_single_key(ObjectPath path) {
    rest_.remove_prefix(1);
    US_TRY(std::string value, key_value());
    if (!rest_.empty()) return bad("expected the end");
    const ClassDecl* decl = find_class(path.class_name);
    const PropertyDecl* key = nullptr;
    if (decl)
      for (const PropertyDecl& p : decl->properties)
        if (p.key) key = std::exchange(key, &p) ? nullptr : &p;
    if (!key) return bad("the class does not have exactly one key, name it");
    path.keys.emplace(key->name, std::move(value));
    return path;
  }

  // \\HOST\NAMESPACE: or NAMESPACE: in front.
  void skip_namespace() {
    const bool host = rest_.starts_with("\\\\") || rest_.starts_with("//");
    const size_t end = host ? rest_.find(':') : rest_.find_first_of(":.=\"'");
    if (end != std::string_view::npos && rest_[end] == ':') rest_.remove_prefix(end + 1);
  }

  Result<std::string> name(const char* what) {
    size_t n = 0;
    while (n < rest_.size() && name_char(rest_[n])) ++n;
    if (n == 0) return bad(std::string("expected ") + what);
    std::string result(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return result;
  }

  Result<std::string> key_value() {
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\'')) return quoted();
    const size_t end = std::min(rest_.find(','), rest_.size());
    std::string value(rest_.substr(0, end));
    if (value.empty() ||
        !std::ranges::all_of(value, [](char c) { return name_char(c) || c == '-' || c == '+' || c == '.'; }))
      return bad("expected a quoted text, a number or a boolean");
    rest_.remove_prefix(end);
    return value;
  }

  Result<std::string> quoted() {
    const char quote = rest_.front();
    std::string value;
    for (size_t i = 1; i < rest_.size(); ++i) {
      char c = rest_[i];
      if (c == quote) {
        rest_.remove_prefix(i + 1);
        return value;
      }
      if (c == '\\') {
        if (++i == rest_.size()) break;
        c = rest_[i];
      }
      value += c;
    }
    return bad("a quoted text does not end");
  }

  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  tl::unexpected<Error> bad(const std::string& what) const {
    return fail(ErrorCode::invalid_parameter,
                "object path: " + what + " at character " + std::to_string(all_.size() - rest_.size() + 1));
  }

  std::string_view all_, rest_;
};

bool same_key_value(const std::string& a, const std::string& b) {
  if (same_name(a, b)) return true;
  // A reference as a key: the same path may be written with or without its namespace. Only a path has a
  // quoted key.
  const auto may_be_path = [](const std::string& s) {
    return s.find("=\"") != s.npos || s.find("='") != s.npos;
  };
  if (!may_be_path(a) || !may_be_path(b)) return false;
  const auto left = ObjectPath::parse(a), right = ObjectPath::parse(b);
  return left && right && left->same(*right);
}

}  // namespace

bool NameLess::operator()(std::string_view a, std::string_view b) const {
  // As bytes: what is not ASCII comes after what is, as its code points do.
  const auto byte = [](char c) { return static_cast<unsigned char>(lower(c)); };
  return std::ranges::lexicographical_compare(a, b, {}, byte, byte);
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string ObjectPath::text() const {
  std::string out = class_name;
  char separator = '.';
  for (const auto& [key, value] : keys) {
    out += separator;
    out += key + "=\"";
    for (const char c : value) {
      if (c == '\\' || c == '"') out += '\\';
      out += c;
    }
    out += '"';
    separator = ',';
  }
  return out;
}

Result<ObjectPath> ObjectPath::parse(std::string_view text) {
  return PathReader(text).read();
}

bool ObjectPath::same(const ObjectPath& other) const {
  return same_name(class_name, other.class_name) && keys.size() == other.keys.size() &&
         std::ranges::equal(keys, other.keys, [](const auto& a, const auto& b) {
           return same_name(a.first, b.first) && same_key_value(a.second, b.second);
         });
}

namespace {
template <class T, class Variant>
std::optional<T> held(const Variant* scalar) {
  const T* value = scalar ? std::get_if<T>(scalar) : nullptr;
  return value ? std::optional<T>(*value) : std::nullopt;
}
}  // namespace

std::optional<std::string> Value::text() const {
  return held<std::string>(scalar());
}
std::optional<bool> Value::boolean() const {
  return held<bool>(scalar());
}
std::optional<ObjectPath> Value::path() const {
  return held<ObjectPath>(scalar());
}
std::optional<DateTime> Value::datetime() const {
  return held<DateTime>(scalar());
}
std::optional<uint64_t> Value::number() const {
  if (const auto value = held<int64_t>(scalar()))
    return *value >= 0 ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
  return held<uint64_t>(scalar());
}

Instance& Instance::set(std::string_view name, Value value) {
  const auto found = properties_.find(name);
  if (found != properties_.end())
    found->second = std::move(value);
  else
    properties_.emplace(name, std::move(value));
  return *this;
}

const Value& Instance::get(std::string_view name) const {
  static const Value kNull;
  const auto found = properties_.find(name);
  return found == properties_.end() ? kNull : found->second;
}

}  // namespace understudy::cim
