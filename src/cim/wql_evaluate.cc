#include <compare>
#include <utility>

#include "cim/schema.h"
#include "cim/typed.h"
#include "cim/wql.h"

namespace understudy::cim::wql {
namespace {

constexpr std::string_view kNamespace = "root\\virtualization\\v2";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// --- comparing two values; nothing when they cannot be compared ---

using Order = std::optional<std::partial_ordering>;

Order compare_text(std::string_view a, std::string_view b) {
  const NameLess less;
  return less(a, b)   ? std::partial_ordering::less
         : less(b, a) ? std::partial_ordering::greater
                      : std::partial_ordering::equivalent;
}

bool is_number(const Value::Scalar& s) {
  return std::holds_alternative<uint64_t>(s) || std::holds_alternative<int64_t>(s) ||
         std::holds_alternative<double>(s);
}

struct CompareNumbers {
  template <class A, class B>
  Order operator()(A a, B b) const {
    if constexpr (std::is_same_v<A, double> || std::is_same_v<B, double>)
      return static_cast<double>(a) <=> static_cast<double>(b);
    else
      return std::cmp_less(a, b)      ? std::partial_ordering::less
             : std::cmp_greater(a, b) ? std::partial_ordering::greater
                                      : std::partial_ordering::equivalent;
  }
};

Order compare_numbers(const Value::Scalar& a, const Value::Scalar& b) {
  const auto as_variant = [](const Value::Scalar& s) -> std::variant<uint64_t, int64_t, double> {
    if (const auto* u = std::get_if<uint64_t>(&s)) return *u;
    if (const auto* i = std::get_if<int64_t>(&s)) return *i;
    return std::get<double>(s);
  };
  return std::visit(CompareNumbers{}, as_variant(a), as_variant(b));
}

// A text read as a value of the same kind as `like_this`.
std::optional<Value::Scalar> converted(const Value::Scalar& value, const Value::Scalar& like_this) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) {
    // 1 and 0 stand for TRUE and FALSE.
    if (!std::holds_alternative<bool>(like_this) || !is_number(value)) return {};
    for (const bool flag : {false, true})
      if (compare_numbers(value, Value::Scalar(uint64_t{flag})) == std::partial_ordering::equivalent)
        return Value::Scalar(flag);
    return {};
  }
  Type type = Type::string;
  if (std::holds_alternative<bool>(like_this))
    type = Type::boolean;
  else if (std::holds_alternative<DateTime>(like_this))
    type = Type::datetime;
  else if (std::holds_alternative<ObjectPath>(like_this))
    type = Type::reference;
  else if (is_number(like_this)) {
    for (const Type number : {Type::uint64, Type::sint64, Type::real64})
      if (auto scalar = scalar_from_text(number, *text)) return *scalar;
    return {};
  } else
    return {};
  auto scalar = scalar_from_text(type, *text);
  return scalar ? std::optional(*scalar) : std::nullopt;
}

// A reference beside a text that is no path: not the same, and that is all.
bool refers(const Value::Scalar& a, const Value::Scalar& b) {
  return std::holds_alternative<ObjectPath>(a) && std::holds_alternative<std::string>(b);
}

Order compare(const Value::Scalar& a, const Value::Scalar& b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b);
  if (a.index() != b.index()) {
    if (const auto left = converted(a, b)) return compare(*left, b);
    if (const auto right = converted(b, a)) return compare(a, *right);
    return refers(a, b) || refers(b, a) ? Order(std::partial_ordering::unordered) : Order();
  }
  if (const auto* text = std::get_if<std::string>(&a)) return compare_text(*text, std::get<std::string>(b));
  if (const auto* flag = std::get_if<bool>(&a)) return *flag <=> std::get<bool>(b);
  if (const auto* time = std::get_if<DateTime>(&a)) {
    const DateTime& other = std::get<DateTime>(b);
    if (time->interval != other.interval) return {};
    return time->us <=> other.us;
  }
  if (const auto* path = std::get_if<ObjectPath>(&a))
    return path->same(std::get<ObjectPath>(b)) ? std::partial_ordering::equivalent
                                               : std::partial_ordering::unordered;
  return {};
}

// --- conditions: true, false or unknown ---

using Truth = std::optional<bool>;

struct Row {
  const Instance& instance;
  const ObjectPath& path;
  std::string_view server_name;

  // Nothing for NULL and for arrays.
  std::optional<Value::Scalar> value(const Operand& operand) const {
    if (operand.property.empty()) return operand.literal;
    if (operand.property.starts_with("__")) return system_value(operand.property);
    const Value::Scalar* scalar = instance.get(operand.property).scalar();
    return scalar ? std::optional(*scalar) : std::nullopt;
  }

  std::optional<Value::Scalar> system_value(const std::string& name) const {
    if (same_name(name, "__SERVER")) return Value::Scalar(std::string(server_name));
    if (same_name(name, "__CLASS") || same_name(name, "__THIS")) return Value::Scalar(instance.class_name());
    if (same_name(name, "__NAMESPACE")) return Value::Scalar(std::string(kNamespace));
    if (same_name(name, "__RELPATH")) return Value::Scalar(path.text());
    if (same_name(name, "__PATH"))
      return Value::Scalar("\\\\" + std::string(server_name) + "\\" + std::string(kNamespace) + ":" +
                           path.text());
    return {};
  }
};

Truth isa(const Value::Scalar& value, const std::string& class_name) {
  if (const auto* text = std::get_if<std::string>(&value)) return is_a(*text, class_name);
  if (const auto* path = std::get_if<ObjectPath>(&value)) return is_a(path->class_name, class_name);
  const auto* embedded = std::get_if<std::shared_ptr<const Instance>>(&value);
  return embedded && *embedded ? Truth(is_a((*embedded)->class_name(), class_name)) : Truth();
}

Truth holds(const Expression& e, const Row& row) {
  const auto left = row.value(e.left);
  if (e.relation == Relation::is_null)
    return e.left.property.starts_with("__") || e.left.property.empty()
               ? !left
               : row.instance.get(e.left.property).null();
  const auto right = row.value(e.right);
  if (!left || !right) return {};
  if (e.relation == Relation::like) return like(scalar_text(*left), std::get<std::string>(*right));
  if (e.relation == Relation::isa) return isa(*left, std::get<std::string>(*right));
  const Order order = compare(*left, *right);
  if (!order) return {};
  switch (e.relation) {
    case Relation::equal:
      return *order == 0;
    case Relation::not_equal:
      return *order != 0;
    case Relation::less:
      return *order < 0;
    case Relation::greater:
      return *order > 0;
    case Relation::less_equal:
      return *order <= 0;
    default:
      return *order >= 0;
  }
}

Truth evaluate(const Expression& e, const Row& row) {
  if (e.kind == Expression::Kind::relation) return holds(e, row);
  if (e.kind == Expression::Kind::negation) {
    const Truth inner = evaluate(e.children.front(), row);
    return inner ? Truth(!*inner) : inner;
  }
  // One false decides a conjunction, one true a disjunction; else an unknown makes it unknown.
  const bool deciding = e.kind == Expression::Kind::disjunction;
  Truth result = !deciding;
  for (const Expression& child : e.children) {
    const Truth part = evaluate(child, row);
    if (part == deciding) return part;
    if (!part) result = part;
  }
  return result;
}

// --- the schema ---

bool known_system_property(std::string_view name) {
  for (const std::string_view known : {"__SERVER", "__CLASS", "__THIS", "__NAMESPACE", "__RELPATH", "__PATH"})
    if (same_name(name, known)) return true;
  return false;
}

Status check_property(const ClassDecl& decl, const std::string& name, bool may_be_array) {
  if (name.empty() || known_system_property(name)) return {};
  const PropertyDecl* p = decl.property(name);
  if (!p)
    return fail(ErrorCode::invalid_parameter,
                "WQL: class " + std::string(decl.name) + " has no property " + name.substr(0, 64));
  if (p->array && !may_be_array)
    return fail(ErrorCode::invalid_parameter, "WQL: " + name + " is an array and cannot be compared");
  return {};
}

Status check_expression(const ClassDecl& decl, const Expression& e) {
  US_CHECK(check_property(decl, e.left.property, e.relation == Relation::is_null));
  US_CHECK(check_property(decl, e.right.property, false));
  for (const Expression& child : e.children) US_CHECK(check_expression(decl, child));
  return {};
}

void add_demanded(const Expression& e, ObjectPath& path) {
  if (e.kind == Expression::Kind::conjunction)
    for (const Expression& child : e.children) add_demanded(child, path);
  if (e.kind != Expression::Kind::relation || e.relation != Relation::equal) return;
  const bool turned = e.left.property.empty();
  const std::string& property = turned ? e.right.property : e.left.property;
  const auto* text = std::get_if<std::string>(turned ? &e.left.literal : &e.right.literal);
  const bool other_is_literal = (turned ? e.left.property : e.right.property).empty();
  if (!property.empty() && other_is_literal && text) path.keys.emplace(property, *text);
}

// --- LIKE ---

// A byte of UTF-8 that belongs to the character before it.
bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// One element of a pattern against one character. `length` becomes the element's length.
bool like_one(std::string_view pattern, char c, size_t& length) {
  length = 1;
  if (pattern.front() == '_') return true;
  const size_t close = pattern.front() == '[' ? pattern.find(']', 2) : std::string_view::npos;
  if (close == std::string_view::npos) return lower(pattern.front()) == lower(c);
  length = close + 1;
  std::string_view set = pattern.substr(1, close - 1);
  const bool negate = set.size() > 1 && set.front() == '^';
  if (negate) set.remove_prefix(1);
  bool found = false;
  while (!set.empty()) {
    const bool range = set.size() >= 3 && (set[1] == '-' || set[1] == '=');
    const char low = lower(set.front()), high = lower(range ? set[2] : set.front());
    if (low <= lower(c) && lower(c) <= high) found = true;
    set.remove_prefix(range ? 3 : 1);
  }
  return found != negate;
}

}  // namespace

bool like(std::string_view text, std::string_view pattern) {
  size_t t = 0, p = 0;
  size_t star = std::string_view::npos,
         resume = 0;  // after the last %: where to try again, one character further
  while (t < text.size()) {
    size_t length = 0;
    if (p < pattern.size() && pattern[p] == '%') {
      star = ++p;
      resume = t;
    } else if (p < pattern.size() && like_one(pattern.substr(p), text[t], length)) {
      const bool any_character = pattern[p] == '_' || pattern[p] == '[';
      p += length;
      ++t;
      while (any_character && t < text.size() && continues(text[t])) ++t;
    } else if (star != std::string_view::npos) {
      p = star;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('%', p) == std::string_view::npos;
}

bool valid_like(std::string_view pattern) {
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '[') continue;
    i = pattern.find(']', i + 2);
    if (i == std::string_view::npos) return false;
  }
  return true;
}

Status check(const Select& query) {
  const ClassDecl* decl = find_class(query.class_name);
  if (!decl) return fail(ErrorCode::not_found, "class " + query.class_name.substr(0, 128) + " is not known");
  for (const std::string& column : query.columns) US_CHECK(check_property(*decl, column, true));
  if (query.where) US_CHECK(check_expression(*decl, *query.where));
  return {};
}

ObjectPath demanded(const Select& query) {
  ObjectPath path{query.class_name, {}};
  if (query.where) add_demanded(*query.where, path);
  return path;
}

bool matches(const Select& query, const Instance& instance, const ObjectPath& path,
             std::string_view server_name) {
  if (!is_a(instance.class_name(), query.class_name)) return false;
  return !query.where || evaluate(*query.where, Row{instance, path, server_name}) == true;
}

}  // namespace understudy::cim::wql
