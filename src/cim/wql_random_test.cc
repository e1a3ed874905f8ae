// Conditions made from the grammar, bounded and from a seed, against an evaluator that shares nothing with
// ours: it walks the tree the text was made from, with three truth values as numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <random>

#include "cim/typed.h"
#include "cim/wql.h"

namespace understudy::cim::wql {
namespace {

constexpr size_t kQueries = 6000;
constexpr int kDeepest = 4;
constexpr const char* kServer = "hosta.example";

// --- values as the naive evaluator sees them ---

struct Plain {
  enum class Kind { null, text, number, flag, instant, interval, path, array } kind = Kind::null;
  std::string text;        // of a text, a path
  long double number = 0;  // of a number, an instant, an interval (microseconds), a flag
  std::string as_pattern;  // what LIKE looks at
};
using Kind = Plain::Kind;

std::string lowered(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

// --- conditions ---

struct Side {
  std::string property;  // empty: the literal
  Plain literal;
  std::string written;
};
struct Node {
  enum class Kind { all, any, no, relation, null_test } kind = Kind::relation;
  std::vector<Node> parts;
  Side left, right;
  std::string relation;  // = <> < > <= >= like isa
  bool is_not = false;   // of a test for NULL
  std::string spelling;  // of a test for NULL
};

// False, unknown, true: AND is the least, OR the largest, NOT turns around.
enum Truth : int { kFalse = 0, kUnknown = 1, kTrue = 2 };

struct Naive {
  std::map<std::string, Plain> values;
  std::string class_name;

  Plain of(const Side& side) const {
    if (side.property.empty()) return side.literal;
    const auto found = values.find(lowered(side.property));
    return found == values.end() ? Plain{} : found->second;
  }

  static std::optional<long double> as_number(const std::string& text) {
    const size_t first = text.find_first_not_of(' ');
    if (first == std::string::npos) return {};
    const std::string inner = text.substr(first, text.find_last_not_of(' ') - first + 1);
    if (inner.find_first_not_of("0123456789.-") != std::string::npos || inner.find('.') == 0) return {};
    char* end = nullptr;
    const long double value = std::strtold(inner.c_str(), &end);
    return *end == '\0' ? std::optional(value) : std::nullopt;
  }
  static std::optional<long double> as_flag(const Plain& p) {
    const std::string text = lowered(p.text);
    if (p.kind == Kind::text && (text == "true" || text == "1")) return 1;
    if (p.kind == Kind::text && (text == "false" || text == "0")) return 0;
    if (p.kind == Kind::number && (p.number == 0 || p.number == 1)) return p.number;
    return {};
  }

  // -1, 0, 1; 2: unequal and that is all; nothing: cannot be compared.
  static std::optional<int> order(const Plain& a, const Plain& b) {
    const auto sign = [](long double x, long double y) { return x < y ? -1 : x > y ? 1 : 0; };
    if (a.kind == Kind::text && b.kind == Kind::text) {
      const std::string x = lowered(a.text), y = lowered(b.text);
      return x < y ? -1 : x > y ? 1 : 0;
    }
    if (a.kind == b.kind && (a.kind == Kind::number || a.kind == Kind::flag || a.kind == Kind::instant ||
                             a.kind == Kind::interval))
      return sign(a.number, b.number);
    if (a.kind == Kind::path && b.kind == Kind::path) return lowered(a.text) == lowered(b.text) ? 0 : 2;
    if (a.kind == Kind::flag || b.kind == Kind::flag) {
      const auto x = a.kind == Kind::flag ? std::optional(a.number) : as_flag(a);
      const auto y = b.kind == Kind::flag ? std::optional(b.number) : as_flag(b);
      return x && y ? std::optional(sign(*x, *y)) : std::nullopt;
    }
    if (a.kind == Kind::text || b.kind == Kind::text) {
      const Plain& text = a.kind == Kind::text ? a : b;
      const Plain& other = a.kind == Kind::text ? b : a;
      if (other.kind == Kind::path) return 2;  // none of the texts here is the path of an instance
      if (other.kind != Kind::number) return {};
      const auto value = as_number(text.text);
      if (!value) return {};
      return a.kind == Kind::text ? sign(*value, other.number) : sign(other.number, *value);
    }
    return {};
  }

  static std::vector<std::string> characters(const std::string& text) {
    std::vector<std::string> found;
    for (const char c : text) {
      if ((static_cast<unsigned char>(c) & 0xc0) == 0x80 && !found.empty())
        found.back() += c;
      else
        found.emplace_back(1, c);
    }
    return found;
  }
  static bool in_set(const std::string& character, std::string set) {
    const bool outside = set[0] == '^';
    if (outside) set.erase(0, 1);
    bool inside = false;
    if (set.size() == 3 && (set[1] == '-' || set[1] == '='))
      inside = character.size() == 1 && set[0] <= character[0] && character[0] <= set[2];
    else
      inside = character.size() == 1 && set.find(character[0]) != std::string::npos;
    return inside != outside;
  }
  static bool like(const std::vector<std::string>& text, size_t t, const std::vector<std::string>& p,
                   size_t i) {
    if (i == p.size()) return t == text.size();
    if (p[i] == "%") {
      for (size_t next = t; next <= text.size(); ++next)
        if (like(text, next, p, i + 1)) return true;
      return false;
    }
    if (p[i] == "[") {
      size_t close = i + 2;
      while (p[close] != "]") ++close;
      std::string set;
      for (size_t k = i + 1; k < close; ++k) set += p[k];
      return t < text.size() && in_set(text[t], set) && like(text, t + 1, p, close + 1);
    }
    return t < text.size() && (p[i] == "_" || p[i] == text[t]) && like(text, t + 1, p, i + 1);
  }

  Truth holds(const Node& n) const {
    if (n.kind == Node::Kind::no) return static_cast<Truth>(kTrue - holds(n.parts[0]));
    if (n.kind == Node::Kind::all || n.kind == Node::Kind::any) {
      std::vector<Truth> truths;
      for (const Node& part : n.parts) truths.push_back(holds(part));
      return n.kind == Node::Kind::all ? *std::ranges::min_element(truths)
                                       : *std::ranges::max_element(truths);
    }
    const Plain left = of(n.left);
    if (n.kind == Node::Kind::null_test) return (left.kind == Kind::null) != n.is_not ? kTrue : kFalse;
    const Plain right = of(n.right);
    if (left.kind == Kind::null || right.kind == Kind::null) return kUnknown;
    if (n.relation == "isa") return is_a(left.text, right.text) ? kTrue : kFalse;
    if (n.relation == "like")
      return like(characters(lowered(left.as_pattern)), 0, characters(lowered(right.text)), 0) ? kTrue
                                                                                               : kFalse;
    const auto sign = order(left, right);
    if (!sign) return kUnknown;
    const bool yes = n.relation == "="    ? *sign == 0
                     : n.relation == "<>" ? *sign != 0
                     : n.relation == "<"  ? *sign == -1
                     : n.relation == ">"  ? *sign == 1
                     : n.relation == "<=" ? *sign == -1 || *sign == 0
                                          : *sign == 1 || *sign == 0;
    return yes ? kTrue : kFalse;
  }
};

// --- making rows and conditions ---

struct Property {
  const char* name;
  char kind;  // t text, u unsigned, s signed, f flag, d datetime, p path, a array
};
constexpr Property kProperties[] = {{"Name", 't'},
                                    {"ElementName", 't'},
                                    {"Notes", 't'},
                                    {"EnabledState", 'u'},
                                    {"UpTime", 'u'},
                                    {"MemoryAvailable", 's'},
                                    {"Shielded", 'f'},
                                    {"SwapFilesInUse", 'f'},
                                    {"CreationTime", 'd'},
                                    {"TestReplicaSystem", 'p'},
                                    {"OperationalStatus", 'a'}};
const std::vector<std::string> kTexts = {"",
                                         "alpha",
                                         "Alpha",
                                         "ALPHA2",
                                         "10",
                                         "-3",
                                         "2.5",
                                         "True",
                                         "0",
                                         "a_b",
                                         "50%",
                                         "[x]",
                                         "o'brien",
                                         "a\"b",
                                         "c:\\d",
                                         "\xc3\xbc",
                                         "z\xc3\xbc"
                                         "a",
                                         " 7 ",
                                         "beta",
                                         "zeta",
                                         "abcabc",
                                         "ab"};
const std::vector<long double> kNumbers = {0, 1, 2, 3, 10, 255, 65535};

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed) {}

  // The same row twice: for us, and for the naive evaluator.
  void row(Instance& ours, Naive& naive) {
    ours = Instance("Msvm_SummaryInformation");
    naive = {};
    naive.class_name = ours.class_name();
    const auto text = [](std::string value) { return Plain{Kind::text, value, 0, value}; };
    naive.values["__class"] = naive.values["__this"] = text(ours.class_name());
    naive.values["__server"] = text(kServer);
    for (const Property& p : kProperties) {
      if (chance(25)) continue;
      const auto [value, plain] = value_of(p.kind);
      ours.set(p.name, value);
      naive.values[lowered(p.name)] = plain;
    }
  }

  Node condition(int depth = 0) {
    Node n;
    if (depth < kDeepest && chance(60)) {
      n.kind = chance(25) ? Node::Kind::no : chance(50) ? Node::Kind::all : Node::Kind::any;
      const size_t parts = n.kind == Node::Kind::no ? 1 : 2 + pick(3);
      for (size_t i = 0; i < parts; ++i) n.parts.push_back(condition(depth + 1));
      return n;
    }
    if (chance(15)) return null_test();
    if (chance(5)) return isa();
    if (chance(20)) return like();
    static const std::vector<std::string> kRelations = {"=", "<>", "<", ">", "<=", ">="};
    n.relation = kRelations[pick(kRelations.size())];
    n.left = chance(85) ? property() : literal();
    n.right = chance(80) ? literal() : property();
    if (chance(30)) std::swap(n.left, n.right);
    return n;
  }

  // The condition as text; `strength` of what is around: 0 nothing, 1 OR, 2 AND, 3 NOT.
  std::string write(const Node& n, int strength = 0) {
    std::string text;
    int own = 4;
    switch (n.kind) {
      case Node::Kind::no:
        own = 3;
        text = word("not") + space() + write(n.parts[0], 3);
        break;
      case Node::Kind::all:
      case Node::Kind::any:
        own = n.kind == Node::Kind::all ? 2 : 1;
        for (const Node& part : n.parts)
          text += (text.empty() ? "" : space() + word(own == 2 ? "and" : "or") + space()) + write(part, own);
        break;
      case Node::Kind::null_test:
        text = n.left.written + space() + n.spelling;
        break;
      case Node::Kind::relation:
        text = n.left.written + space() + (n.relation == "<>" && chance(50) ? "!=" : word(n.relation)) +
               space() + n.right.written;
    }
    return own < strength || chance(10) ? "(" + maybe() + text + maybe() + ")" : text;
  }

 private:
  bool chance(unsigned percent) { return random_() % 100 < percent; }
  size_t pick(size_t n) { return random_() % n; }
  std::string space() { return chance(80) ? " " : "\n  "; }
  std::string maybe() { return chance(30) ? " " : ""; }
  std::string word(std::string text) {
    for (char& c : text)
      if (chance(50)) c = static_cast<char>(std::toupper(c));
    return text;
  }

  std::pair<Value, Plain> value_of(char kind) {
    const auto number = [](long double n) { return std::to_string(static_cast<long long>(n)); };
    switch (kind) {
      case 't': {
        const std::string text = kTexts[pick(kTexts.size())];
        return {text, {Kind::text, text, 0, text}};
      }
      case 'u': {
        const long double n = kNumbers[pick(kNumbers.size())];
        return {static_cast<uint64_t>(n), {Kind::number, "", n, number(n)}};
      }
      case 's': {
        const long double n = kNumbers[pick(kNumbers.size())] * (chance(50) ? -1 : 1);
        return {static_cast<int64_t>(n), {Kind::number, "", n, number(n)}};
      }
      case 'f': {
        const bool flag = chance(50);
        return {flag, {Kind::flag, "", flag ? 1.0L : 0.0L, flag ? "TRUE" : "FALSE"}};
      }
      case 'd': {
        const bool interval = chance(30);
        const int64_t us = static_cast<int64_t>(pick(4)) * 1'000'000;
        return {DateTime{interval, us},
                {interval ? Kind::interval : Kind::instant, "", static_cast<long double>(us), ""}};
      }
      case 'p': {
        const ObjectPath path{"Msvm_ComputerSystem", {{"Name", chance(50) ? "A" : "b"}}};
        return {path, {Kind::path, path.text(), 0, ""}};
      }
      default:
        return {std::vector<Value::Scalar>{uint64_t{2}}, {Kind::array, "", 0, ""}};
    }
  }

  Side property(bool may_be_array = false, bool for_like = false) {
    for (;;) {
      const Property& p = kProperties[pick(std::size(kProperties))];
      if (p.kind == 'a' && !may_be_array) continue;
      if (for_like && p.kind != 't' && p.kind != 'u' && p.kind != 's' && p.kind != 'f') continue;
      if (!for_like && !may_be_array && chance(5)) return {"__server", {}, "__SERVER"};
      return {p.name, {}, word(p.name)};
    }
  }

  std::string quoted(const std::string& text) {
    const char quote = chance(50) ? '\'' : '"';
    std::string out(1, quote);
    for (const char c : text) {
      const bool must = c == quote || c == '\\';
      if (must || ((c == '\'' || c == '"') && chance(30))) out += '\\';
      out += c;
    }
    return out + quote;
  }
  static std::string digits(long double n) {
    std::string text = std::to_string(static_cast<double>(n));
    while (text.ends_with('0')) text.pop_back();
    return text.ends_with('.') ? text + "0" : text;
  }

  Side literal() {
    switch (pick(7)) {
      case 0: {
        const bool flag = chance(50);
        return {"", {Kind::flag, "", flag ? 1.0L : 0.0L, ""}, word(flag ? "true" : "false")};
      }
      case 1:
      case 2: {
        const long double n = kNumbers[pick(kNumbers.size())] * (chance(30) ? -1 : 1);
        return {"", {Kind::number, "", n, ""}, std::to_string(static_cast<long long>(n))};
      }
      case 3: {
        const long double n = kNumbers[pick(kNumbers.size())] + (chance(50) ? 0.5L : 0.0L);
        return {"", {Kind::number, "", n, ""}, digits(n)};
      }
      default: {
        const std::string text = kTexts[pick(kTexts.size())];
        return {"", {Kind::text, text, 0, text}, quoted(text)};
      }
    }
  }

  Node null_test() {
    Node n;
    n.kind = Node::Kind::null_test;
    n.left = chance(90) ? property(true) : literal();
    n.is_not = chance(50);
    n.spelling = chance(70) ? word("is") + " " + (n.is_not ? word("not") + " " : "") + word("null")
                            : (n.is_not ? (chance(50) ? "<> " : "!= ") : "= ") + word("null");
    return n;
  }
  Node isa() {
    static const std::vector<std::string> kClasses = {"Msvm_SummaryInformation", "CIM_View",
                                                      "cim_managedelement", "Msvm_ComputerSystem", "No_Such"};
    Node n;
    n.relation = "isa";
    n.left = chance(50) ? Side{"__class", {}, "__CLASS"} : Side{"__this", {}, "__this"};
    const std::string name = kClasses[pick(kClasses.size())];
    n.right = {"", {Kind::text, name, 0, ""}, quoted(name)};
    return n;
  }
  Node like() {
    static const std::vector<std::string> kParts = {"%",     "_",     "a",      "B",     "al",     "0",
                                                    "[abc]", "[a-f]", "[^a-f]", "[a=f]", "[^xyz]", "\xc3\xbc",
                                                    "2",     "%",     "A2",     "."};
    Node n;
    n.relation = "like";
    n.left = property(false, true);
    std::string pattern;
    for (size_t i = pick(5); i > 0; --i) pattern += kParts[pick(kParts.size())];
    n.right = {"", {Kind::text, pattern, 0, ""}, quoted(pattern)};
    return n;
  }

  std::mt19937_64 random_;
};

// UNDERSTUDY_SEED=N makes others than those of every day.
TEST(WqlRandom, AgreesWithANaiveEvaluator) {
  const char* given = std::getenv("UNDERSTUDY_SEED");
  Maker maker(given ? std::strtoull(given, nullptr, 10) : 20260101);
  size_t truths[3] = {};
  for (size_t q = 0; q < kQueries; ++q) {
    const Node condition = maker.condition();
    const std::string text = "SELECT * FROM Msvm_SummaryInformation WHERE " + maker.write(condition);
    const auto parsed = parse(text);
    ASSERT_TRUE(parsed) << text << "\n" << parsed.error().text();
    const auto& select = std::get<Select>(*parsed);
    const Status valid = check(select);
    ASSERT_TRUE(valid) << text << "\n" << valid.error().text();
    for (size_t r = 0; r < 8; ++r) {
      Instance row;
      Naive naive;
      maker.row(row, naive);
      const Truth wanted = naive.holds(condition);
      ++truths[wanted];
      const bool found = matches(select, row, {"Msvm_SummaryInformation", {}}, kServer);
      std::string shown;
      for (const auto& [name, value] : row.properties())
        if (value.scalar()) shown += name + "=" + scalar_text(*value.scalar()) + " ";
      ASSERT_EQ(found, wanted == kTrue) << text << "\n" << shown;
      if (wanted != kTrue) continue;
      for (const auto& [property, value] : demanded(select).keys)
        if (const auto has = row.get(property).text()) {
          ASSERT_TRUE(same_name(*has, value)) << property << " in " << text;
        }
    }
  }
  for (const size_t many : truths) EXPECT_GT(many, kQueries / 4);  // each of the three comes up
}

}  // namespace
}  // namespace understudy::cim::wql
