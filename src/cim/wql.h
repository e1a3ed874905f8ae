// WQL, the query language of filters: SELECT over the instances of one class, ASSOCIATORS OF and REFERENCES
// OF over the links of one object. Text in, a bounded tree out; names and texts compare without case; a
// comparison with NULL is neither true nor false. Values; pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cim/value.h"

namespace understudy::cim::wql {

// One side of a comparison: a property (also a system property such as __SERVER) or a literal.
struct Operand {
  std::string property;   // not empty: a property
  Value::Scalar literal;  // bool, uint64, int64, double or string
};

enum class Relation : uint8_t {
  equal,
  not_equal,
  less,
  greater,
  less_equal,
  greater_equal,
  like,
  isa,
  is_null
};

struct Expression {
  enum class Kind : uint8_t { relation, conjunction, disjunction, negation };
  Kind kind = Kind::relation;
  Relation relation = Relation::equal;  // of left and right; is_null has no right
  Operand left, right;
  std::vector<Expression> children;  // two or more; one of a negation
};

struct Select {
  std::vector<std::string> columns;  // empty: all
  std::string class_name;
  std::optional<Expression> where;
};

// ASSOCIATORS OF (the objects at the far ends) or REFERENCES OF (the links themselves; result_class is their
// class).
struct Links {
  bool references = false;
  ObjectPath object;
  std::string association_class, role, result_class, result_role;
  bool class_definitions_only = false;
};

using Query = std::variant<Select, Links>;

template <class F>
void fields(F& f, Operand& operand) {
  f(operand.property, operand.literal);
}
template <class F>
void fields(F& f, Expression& expression) {
  f.choice(expression.kind, Expression::Kind::negation);
  f.choice(expression.relation, Relation::is_null);
  f(expression.left, expression.right, expression.children);
}
template <class F>
void fields(F& f, Select& select) {
  f(select.columns, select.class_name, select.where);
}
template <class F>
void fields(F& f, Links& links) {
  f(links.references, links.object, links.association_class, links.role, links.result_class,
    links.result_role, links.class_definitions_only);
}

// ErrorCode::invalid_parameter, saying at which character what was expected.
Result<Query> parse(std::string_view text);

// Against the schema: the class exists, and every property is one of its own and no array. What evaluate()
// then cannot compare is not an error but never true.
Status check(const Select& query);

// The values that properties must have for the condition to be true: those compared for equality with a text
// in its outermost conjunction. Only the class's own; the result names the class.
ObjectPath demanded(const Select& query);

// Whether the instance is of the class (or below it) and the condition is true. `path` is the instance's own.
bool matches(const Select& query, const Instance& instance, const ObjectPath& path,
             std::string_view server_name);

// % any text, _ one character, [abc] [a-z] [^a] one of a set; without case. `valid_like` is false when a [ is
// not closed.
bool like(std::string_view text, std::string_view pattern);
bool valid_like(std::string_view pattern);

}  // namespace understudy::cim::wql
