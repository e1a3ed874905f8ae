#include <charconv>

#include "base/limits.h"
#include "cim/wql.h"
#include "cim/wql_lexer.h"

namespace understudy::cim::wql {
namespace {

constexpr size_t kMostColumns = 256;

// Recursive descent; `token_` is the next word not yet taken.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Result<Query> parse() {
    US_CHECK(advance());
    if (token_.is("SELECT")) return parse_select();
    if (token_.is("ASSOCIATORS")) return parse_links(false);
    if (token_.is("REFERENCES")) return parse_links(true);
    return unexpected("SELECT, ASSOCIATORS or REFERENCES");
  }

 private:
  Result<Query> parse_select() {
    Select query;
    US_CHECK(advance());
    if (token_.is("*")) {
      US_CHECK(advance());
    } else {
      US_TRY(query.columns, column_list());
    }
    US_CHECK(expect("FROM"));
    US_TRY(query.class_name, name("a class name"));
    if (token_.is("WHERE")) {
      US_CHECK(advance());
      US_TRY(Expression where, disjunction());
      query.where = std::move(where);
    }
    if (token_.kind != Token::Kind::end)
      return unexpected(query.where ? "AND, OR or the end" : "WHERE or the end");
    return Query(std::move(query));
  }

  Result<std::vector<std::string>> column_list() {
    std::vector<std::string> columns;
    for (;;) {
      US_TRY(std::string column, name("* or a property name"));
      columns.push_back(std::move(column));
      if (columns.size() > kMostColumns) return unexpected("at most 256 columns");
      if (!token_.is(",")) return columns;
      US_CHECK(advance());
    }
  }

  Result<Query> parse_links(bool references) {
    Links query;
    query.references = references;
    US_CHECK(advance());
    if (!token_.is("OF")) return unexpected("OF");
    US_TRY(const Token path, lexer_.braced());
    auto object = ObjectPath::parse(path.value);
    if (!object)
      return fail(object.error().context("WQL: in the braces at character " + std::to_string(path.position)));
    query.object = std::move(*object);
    US_CHECK(advance());
    if (token_.is("WHERE")) {
      US_CHECK(advance());
      do US_CHECK(link_clause(query));
      while (token_.kind != Token::Kind::end);
    }
    if (token_.kind != Token::Kind::end) return unexpected("WHERE or the end");
    return Query(std::move(query));
  }

  Status link_clause(Links& query) {
    struct Clause {
      std::string_view word;
      std::string Links::*member;
      bool associators_only;
    };
    static constexpr Clause kClauses[] = {{"AssocClass", &Links::association_class, true},
                                          {"ResultClass", &Links::result_class, false},
                                          {"ResultRole", &Links::result_role, true},
                                          {"Role", &Links::role, false}};
    if (token_.is("ClassDefsOnly")) {
      query.class_definitions_only = true;
      return advance();
    }
    for (const Clause& clause : kClauses) {
      if (!token_.is(clause.word) || (clause.associators_only && query.references)) continue;
      if (!(query.*clause.member).empty()) return unexpected(std::string(clause.word) + " only once");
      US_CHECK(advance());
      US_CHECK(expect("="));
      if (token_.kind == Token::Kind::text && is_name(token_.value)) token_.kind = Token::Kind::name;
      US_TRY(query.*clause.member, name("a name"));
      return {};
    }
    return unexpected(query.references ? "ResultClass, Role or ClassDefsOnly"
                                       : "AssocClass, ResultClass, Role, ResultRole or ClassDefsOnly");
  }

  // --- conditions: OR binds weakest, then AND, then NOT ---

  Result<Expression> disjunction() {
    return chain("OR", Expression::Kind::disjunction, &Parser::conjunction);
  }
  Result<Expression> conjunction() { return chain("AND", Expression::Kind::conjunction, &Parser::negation); }

  Result<Expression> chain(std::string_view word, Expression::Kind kind,
                           Result<Expression> (Parser::*part)()) {
    US_TRY(Expression first, (this->*part)());
    if (!token_.is(word)) return first;
    Expression all;
    all.kind = kind;
    all.children.push_back(std::move(first));
    while (token_.is(word)) {
      US_CHECK(advance());
      US_TRY(Expression next, (this->*part)());
      all.children.push_back(std::move(next));
    }
    return all;
  }

  Result<Expression> negation() {
    if (++depth_ > limits::kMostWqlDepth) return unexpected("no more nesting");
    Result<Expression> result = negation_inside();
    --depth_;
    return result;
  }

  Result<Expression> negation_inside() {
    if (token_.is("NOT")) {
      US_CHECK(advance());
      US_TRY(Expression inner, negation());
      return negated(std::move(inner));
    }
    if (token_.is("(")) {
      US_CHECK(advance());
      US_TRY(Expression inner, disjunction());
      US_CHECK(expect(")"));
      return inner;
    }
    return relation();
  }

  static Expression negated(Expression inner) {
    Expression result;
    result.kind = Expression::Kind::negation;
    result.children.push_back(std::move(inner));
    return result;
  }

  Result<Expression> relation() {
    Expression result;
    US_TRY(result.left, operand("a property, a value, NOT or '('"));
    if (token_.is("IS")) return is_null(std::move(result));
    US_TRY(result.relation, relation_word());
    // As WMI has it: = NULL and <> NULL mean IS NULL and IS NOT NULL.
    if (token_.is("NULL")) {
      const bool equal = result.relation == Relation::equal;
      if (!equal && result.relation != Relation::not_equal) return unexpected("a property or a value");
      US_CHECK(advance());
      result.relation = Relation::is_null;
      return equal ? std::move(result) : negated(std::move(result));
    }
    const Token right = token_;
    US_TRY(result.right, operand("a property or a value"));
    if (result.relation == Relation::like || result.relation == Relation::isa) {
      const auto* text = std::get_if<std::string>(&result.right.literal);
      if (!result.right.property.empty() || !text)
        return syntax_error(right.position, "a quoted text", right.shown());
      if (result.relation == Relation::like && !valid_like(*text))
        return syntax_error(right.position, "a pattern in which each [ is closed", right.shown());
    }
    return result;
  }

  Result<Expression> is_null(Expression result) {
    US_CHECK(advance());
    const bool negate = token_.is("NOT");
    if (negate) US_CHECK(advance());
    US_CHECK(expect("NULL"));
    result.relation = Relation::is_null;
    return negate ? negated(std::move(result)) : std::move(result);
  }

  Result<Relation> relation_word() {
    struct Word {
      std::string_view word;
      Relation relation;
    };
    static constexpr Word kWords[] = {
        {"=", Relation::equal},          {"<>", Relation::not_equal}, {"!=", Relation::not_equal},
        {"<", Relation::less},           {">", Relation::greater},    {"<=", Relation::less_equal},
        {">=", Relation::greater_equal}, {"LIKE", Relation::like},    {"ISA", Relation::isa}};
    for (const Word& w : kWords) {
      if (!token_.is(w.word)) continue;
      US_CHECK(advance());
      return w.relation;
    }
    return unexpected("=, <>, <, >, <=, >=, LIKE, ISA or IS");
  }

  Result<Operand> operand(std::string_view expected) {
    Operand result;
    const bool word = token_.kind == Token::Kind::name;
    if (token_.kind == Token::Kind::text) {
      result.literal = token_.value;
    } else if (token_.kind == Token::Kind::number) {
      US_TRY(result.literal, number());
    } else if (token_.is("TRUE") || token_.is("FALSE")) {
      result.literal = token_.is("TRUE");
    } else if (word && !reserved()) {
      result.property = token_.value;
    } else {
      return unexpected(expected);
    }
    US_CHECK(advance());
    return result;
  }

  Result<Value::Scalar> number() const {
    std::string_view text = token_.value;
    if (text.starts_with('+')) text.remove_prefix(1);
    const char* end = text.data() + text.size();
    uint64_t whole = 0;
    if (const auto r = std::from_chars(text.data(), end, whole); r.ec == std::errc() && r.ptr == end)
      return Value::Scalar(whole);
    int64_t negative = 0;
    if (const auto r = std::from_chars(text.data(), end, negative); r.ec == std::errc() && r.ptr == end)
      return Value::Scalar(negative);
    double real = 0;
    if (const auto r = std::from_chars(text.data(), end, real); r.ec == std::errc() && r.ptr == end)
      return Value::Scalar(real);
    return unexpected("a number in range");
  }

  bool reserved() const {
    for (const std::string_view word : {"AND", "OR", "NOT", "IS", "NULL", "LIKE", "ISA", "WHERE", "FROM"})
      if (token_.is(word)) return true;
    return false;
  }

  Result<std::string> name(std::string_view expected) {
    if (token_.kind != Token::Kind::name || reserved()) return unexpected(expected);
    std::string result = token_.value;
    US_CHECK(advance());
    return result;
  }

  Status expect(std::string_view word) {
    if (!token_.is(word)) return unexpected("'" + std::string(word) + "'");
    return advance();
  }

  Status advance() {
    US_TRY(token_, lexer_.next());
    return {};
  }

  tl::unexpected<Error> unexpected(std::string_view expected) const {
    return syntax_error(token_.position, expected, token_.shown());
  }

  Lexer lexer_;
  Token token_;
  size_t depth_ = 0;
};

}  // namespace

Result<Query> parse(std::string_view text) {
  if (text.size() > limits::kMostWqlLength)
    return fail(ErrorCode::invalid_parameter,
                "WQL: a query is at most " + std::to_string(limits::kMostWqlLength) + " characters long");
  return Parser(text).parse();
}

}  // namespace understudy::cim::wql
