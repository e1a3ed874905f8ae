// WQL: an accepted query is within its bounds, and written out again it reads as the same query; an object
// that matches has the values that the query is said to demand.
#include <charconv>

#include "base/limits.h"
#include "cim/typed.h"
#include "cim/wql.h"
#include "fuzz/fuzz.h"

namespace {

using namespace understudy;
using namespace understudy::cim;
using namespace understudy::cim::wql;

constexpr const char* kRelations[] = {"=", "<>", "<", ">", "<=", ">=", "LIKE", "ISA"};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' || c == '\\' ? "\\" : "").append(1, c);
  return out + "\"";
}

struct LiteralText {
  std::string operator()(bool v) const { return v ? "TRUE" : "FALSE"; }
  std::string operator()(uint64_t v) const { return std::to_string(v); }
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const {
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific).ptr};
  }
  std::string operator()(const std::string& v) const { return quoted(v); }
  template <class T>
  std::string operator()(const T&) const {
    US_ASSERT((std::is_same_v<T, bool>));  // a literal is one of the above
    return {};
  }
};

std::string written(const Operand& operand) {
  return operand.property.empty() ? std::visit(LiteralText{}, operand.literal) : operand.property;
}

std::string written(const Expression& e, size_t depth = 0) {
  US_ASSERT(depth <= 4 * limits::kMostWqlDepth);
  switch (e.kind) {
    case Expression::Kind::negation:
      US_ASSERT(e.children.size() == 1);
      return "NOT (" + written(e.children.front(), depth + 1) + ")";
    case Expression::Kind::relation:
      if (e.relation == Relation::is_null) return written(e.left) + " IS NULL";
      return written(e.left) + " " + kRelations[static_cast<size_t>(e.relation)] + " " + written(e.right);
    default:
      break;
  }
  US_ASSERT(e.children.size() >= 2);
  std::string out;
  for (const Expression& child : e.children) {
    if (!out.empty()) out += e.kind == Expression::Kind::conjunction ? " AND " : " OR ";
    out += "(" + written(child, depth + 1) + ")";
  }
  return out;
}

std::string written(const Select& query) {
  std::string columns;
  for (const std::string& column : query.columns) columns += (columns.empty() ? "" : ", ") + column;
  return "SELECT " + (columns.empty() ? "*" : columns) + " FROM " + query.class_name +
         (query.where ? " WHERE " + written(*query.where) : "");
}

std::string written(const Links& query) {
  std::string out = (query.references ? "REFERENCES OF {" : "ASSOCIATORS OF {") + query.object.text() + "}";
  std::string where;
  if (!query.association_class.empty()) where += " AssocClass = " + query.association_class;
  if (!query.result_class.empty()) where += " ResultClass = " + query.result_class;
  if (!query.result_role.empty()) where += " ResultRole = " + query.result_role;
  if (!query.role.empty()) where += " Role = " + query.role;
  if (query.class_definitions_only) where += " ClassDefsOnly";
  return where.empty() ? out : out + " WHERE" + where;
}

std::string written(const Query& query) {
  return std::visit([](const auto& q) { return written(q); }, query);
}

void check_select(const Select& query) {
  const ObjectPath wanted = demanded(query);
  Instance instance("Msvm_ComputerSystem");
  instance.set("CreationClassName", "Msvm_ComputerSystem").set("Name", "A1").set("ElementName", "web1");
  instance.set("EnabledState", uint16_t{2}).set("OperationalStatus", std::vector<Value::Scalar>{uint64_t{2}});
  instance.set("TimeOfLastStateChange", DateTime{false, 1'765'965'322'000'000});
  if (!check(query) || !matches(query, instance, path_of(instance), "hosta.example")) return;
  for (const auto& [name, value] : wanted.keys)
    if (const auto text = instance.get(name).text()) US_ASSERT(same_name(*text, value));
}

}  // namespace

US_FUZZER(wql, input) {
  (void)like(input, input);
  const auto query = parse(input);
  if (!query) {
    US_ASSERT(query.error().code() == ErrorCode::invalid_parameter);
    return;
  }
  const std::string text = written(*query);
  if (text.size() <= limits::kMostWqlLength) {
    const auto again = parse(text);
    US_ASSERT(!again || written(*again) == text);
    // What is written has more brackets, and may be nested too deeply for that alone.
    US_ASSERT(again || again.error().message().find("nesting") != std::string::npos);
  }
  if (const auto* select = std::get_if<Select>(&*query)) check_select(*select);
}
