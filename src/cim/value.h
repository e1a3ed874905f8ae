// CIM values, instances and object paths as plain values: what providers give and the front writes out. They
// own all they hold and may cross threads (and, later, a process boundary) freely.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"

namespace understudy::cim {

enum class Type : uint8_t {
  boolean,
  uint8,
  uint16,
  uint32,
  uint64,
  sint8,
  sint16,
  sint32,
  sint64,
  real32,
  real64,
  char16,
  string,
  datetime,
  reference,
  instance,  // an embedded object that is typed as an object (element content), not as a string
};

// CIM names compare without case.
struct NameLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};
bool same_name(std::string_view a, std::string_view b);

class Instance;
class ObjectPath;

// An instant (UTC) or an interval.
struct DateTime {
  bool interval = false;
  int64_t us = 0;              // instant: microseconds since 1970; interval: microseconds
  static DateTime at(Wall t);  // never() becomes 1601-01-01T00:00:00Z
  static DateTime length(Duration d) { return {true, d.us}; }
  bool operator==(const DateTime&) const = default;
};
template <class F>
void fields(F& f, DateTime& time) {
  f(time.interval, time.us);
}

// Identity of an instance: class and keys. Values of keys are text, as selectors carry them; a key that is
// itself a reference holds the path in object path text form.
class ObjectPath {
 public:
  std::string class_name;
  std::map<std::string, std::string, NameLess> keys;

  // Class.Key="v",Key2="w" with \ and " escaped, keys in alphabetical order.
  std::string text() const;
  // Reads that form, with or without \\HOST\NAMESPACE: before it, single or double quotes. Bounded.
  static Result<ObjectPath> parse(std::string_view text);
  // Same class and keys, names without case, values without case (clients send GUIDs in either).
  bool same(const ObjectPath& other) const;
};
template <class F>
void fields(F& f, ObjectPath& path) {
  f(path.class_name, path.keys);
}

// NULL, a scalar, or an array of one type. Integers of every width are held in 64 bits.
class Value {
 public:
  using Scalar = std::variant<bool, uint64_t, int64_t, double, std::string, DateTime, ObjectPath,
                              std::shared_ptr<const Instance>>;
  Value() = default;  // NULL
  Value(bool v) : data_(Scalar(v)) {}
  Value(const char* v) : data_(Scalar(std::string(v))) {}
  Value(std::string v) : data_(std::in_place_type<Scalar>, std::move(v)) {}
  Value(DateTime v) : data_(Scalar(v)) {}
  Value(ObjectPath v) : data_(std::in_place_type<Scalar>, std::move(v)) {}
  Value(std::shared_ptr<const Instance> v) : data_(std::in_place_type<Scalar>, std::move(v)) {}
  Value(double v) : data_(Scalar(v)) {}
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) Value(T v)
      : data_(std::is_unsigned_v<T> ? Scalar(static_cast<uint64_t>(v)) : Scalar(static_cast<int64_t>(v))) {}
  Value(std::vector<Scalar> array) : data_(std::move(array)) {}

  bool null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_array() const { return std::holds_alternative<std::vector<Scalar>>(data_); }
  const Scalar* scalar() const { return std::get_if<Scalar>(&data_); }
  const std::vector<Scalar>* array() const { return std::get_if<std::vector<Scalar>>(&data_); }
  // The scalar as the wanted type, or nothing when it is NULL or of another type.
  std::optional<std::string> text() const;
  std::optional<uint64_t> number() const;  // uint64 or non-negative int64
  std::optional<bool> boolean() const;
  std::optional<ObjectPath> path() const;
  std::optional<DateTime> datetime() const;

 private:
  template <class F>
  friend void fields(F& f, Value& value) {
    f(value.data_);
  }
  std::variant<std::monostate, Scalar, std::vector<Scalar>> data_;
};

// The values of one instance by property name; what is not there is NULL. Which properties there are, and of
// which type, is the schema's to say (schema.h): the front writes every property of the class.
class Instance {
 public:
  Instance() = default;
  explicit Instance(std::string class_name) : class_name_(std::move(class_name)) {}
  const std::string& class_name() const { return class_name_; }
  Instance& set(std::string_view name, Value value);
  const Value& get(std::string_view name) const;  // NULL when not there
  bool has(std::string_view name) const { return properties_.find(name) != properties_.end(); }
  const std::map<std::string, Value, NameLess>& properties() const { return properties_; }

 private:
  template <class F>
  friend void fields(F& f, Instance& instance) {
    f(instance.class_name_, instance.properties_);
  }
  std::string class_name_;
  std::map<std::string, Value, NameLess> properties_;
};

}  // namespace understudy::cim
