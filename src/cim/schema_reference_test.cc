// The compiled schema against what Microsoft documents, class by class: tests/conformance/schema.txt, which
// tools/mof/schema_extract.py has made. What the reference has, ours has, and the other way round.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "cim/schema.h"

namespace understudy::cim {
namespace {

// One line: name, type, and words; a value map is there by its text.
struct Row {
  std::string name, type, reference, embedded_class, values;
  std::set<std::string> flags;
  uint32_t max_length = 0;
};
struct Method {
  Row row;
  std::vector<Row> parameters;
};
struct Class {
  std::string superclass;
  std::set<std::string> flags;
  std::map<std::string, Row> properties;  // own and changed ones
  std::map<std::string, Method> methods;
};

class Reference {
 public:
  Reference() {
    std::ifstream file(UNDERSTUDY_SOURCE_DIR "/tests/conformance/schema.txt");
    Class* c = nullptr;
    Method* method = nullptr;
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string kind, name;
      words >> kind >> name;
      if (kind == "values") {
        maps_[name] = line.substr(line.find(' ', 7) + 1);
      } else if (kind == "class") {
        c = &classes[name];
        words >> c->superclass;
        for (std::string flag; words >> flag;) c->flags.insert(flag);
      } else if (kind == "p") {
        c->properties[name] = row(name, words);
      } else if (kind == "m") {
        method = &c->methods[name];
        method->row = row(name, words);
      } else {
        method->parameters.push_back(row(name, words));
      }
    }
  }

  std::map<std::string, Class> classes;

 private:
  Row row(const std::string& name, std::istringstream& words) const {
    Row row;
    row.name = name;
    words >> row.type;
    for (std::string word; words >> word;) {
      const size_t equal = word.find('=');
      const std::string key = word.substr(0, equal), value = word.substr(equal + 1);
      if (key == "ref")
        row.reference = value;
      else if (key == "class")
        row.embedded_class = value;
      else if (key == "max")
        row.max_length = static_cast<uint32_t>(std::stoul(value));
      else if (key == "values")
        row.values = maps_.at(value);
      else
        row.flags.insert(word);
    }
    return row;
  }
  std::map<std::string, std::string> maps_;
};

struct Entry {
  int64_t low, high;
  std::string name;
};
// The numbers of a value map; empty when its codes are texts. "..", all the rest, comes last.
std::vector<Entry> entries(const std::string& text) {
  std::vector<Entry> found, rest;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, '|');) {
    const size_t equal = part.find('=');
    std::string code = part.substr(0, equal);
    const std::string name = part.substr(equal + 1);
    if (const size_t space = code.find(' '); space != std::string::npos) code.replace(space, 1, "..");
    const size_t dots = code.find("..");
    const auto number = [](const std::string& digits) { return std::stoll(digits, nullptr, 0); };
    if (code.starts_with('-'))  // the form of a day of the week, not a code
      continue;
    if (code == "..")
      rest.push_back({std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), name});
    else if (code.find_first_not_of("0123456789xXabcdefABCDEF.-") != std::string::npos)
      return {};
    else if (dots == std::string::npos)
      found.push_back({number(code), number(code), name});
    else
      found.push_back(
          {number(code.substr(0, dots)),
           dots + 2 == code.size() ? std::numeric_limits<int64_t>::max() : number(code.substr(dots + 2)),
           name});
  }
  found.insert(found.end(), rest.begin(), rest.end());
  return found;
}

// Every code that is documented for the class has that name. Where its page lists a part of the ancestor's
// map only, ours may be the ancestor's.
void compare_values(std::span<const ValueName> ours, const std::string& text, const std::string& where) {
  for (const Entry& entry : entries(text)) {
    const auto found = std::ranges::find_if(ours, [&](const ValueName& v) {
      return same_name(v.name, entry.name) && (v.low == entry.low || entry.low < v.low) &&
             (v.high == entry.high || entry.high > v.high);
    });
    EXPECT_TRUE(found != ours.end()) << where << ": " << entry.low << " is not " << entry.name;
  }
}

// A class that nothing here has to do with is not in the schema; one above it stands for it.
void compare_class(std::string_view ours, const std::string& theirs, const std::string& where) {
  const bool stands_for = !theirs.empty() && !find_class(theirs) && ours.starts_with("CIM_");
  EXPECT_TRUE(ours == theirs || stands_for) << where << ": " << ours << ", not " << theirs;
}

template <class Decl>
void compare_element(const Decl& ours, const Row& row, const std::string& where) {
  EXPECT_EQ(type_name(ours.type), row.type) << where;
  EXPECT_EQ(ours.array, row.flags.contains("array")) << where;
  compare_class(ours.reference, row.reference, where);
  if (!row.embedded_class.empty()) compare_class(ours.embedded_class, row.embedded_class, where);
  EXPECT_EQ(ours.max_length, row.max_length) << where;
  EXPECT_TRUE(row.values.empty() || row.type == "string" || !ours.values.empty())
      << where << ": " << row.values;
  if (!ours.values.empty()) compare_values(ours.values, row.values, where);
}

void compare_method(const MethodDecl& ours, const Method& theirs, const std::string& where) {
  EXPECT_EQ(type_name(ours.return_type), theirs.row.type) << where;
  EXPECT_EQ(ours.parameters.size(), theirs.parameters.size()) << where;
  for (const Row& row : theirs.parameters) {
    const ParameterDecl* parameter = ours.parameter(row.name);
    ASSERT_TRUE(parameter) << where << " " << row.name;
    EXPECT_EQ(parameter->name, row.name) << where;
    EXPECT_EQ(parameter->in, row.flags.contains("in")) << where << " " << row.name;
    EXPECT_EQ(parameter->out, row.flags.contains("out")) << where << " " << row.name;
    compare_element(*parameter, row, where + " " + row.name);
  }
}

class SchemaReference : public testing::Test {
 protected:
  // With what the ancestors have; what is nearest stands.
  Class whole(const std::string& name) const {
    const auto found = reference_.classes.find(name);
    if (found == reference_.classes.end()) return {};
    Class c = found->second;
    Class above = whole(c.superclass);
    for (auto& [property, row] : c.properties)
      if (const auto inherited = above.properties.find(property); inherited != above.properties.end()) {
        if (row.max_length == 0) row.max_length = inherited->second.max_length;
        if (row.values.empty()) row.values = inherited->second.values;
      }
    c.properties.merge(above.properties);
    c.methods.merge(above.methods);
    return c;
  }
  const Reference reference_;
};

TEST_F(SchemaReference, HasEveryClass) {
  ASSERT_GE(reference_.classes.size(), 80U);
  for (const auto& [name, theirs] : reference_.classes) {
    const ClassDecl* ours = find_class(name);
    ASSERT_TRUE(ours) << name;
    EXPECT_EQ(ours->name, name);
    EXPECT_EQ(ours->superclass, theirs.superclass == "-" ? "" : theirs.superclass) << name;
    EXPECT_EQ(ours->abstract, theirs.flags.contains("abstract")) << name;
    EXPECT_EQ(ours->association, theirs.flags.contains("association")) << name;
  }
  for (const ClassDecl& ours : all_classes()) {
    EXPECT_TRUE(reference_.classes.contains(std::string(ours.name)) || ours.name.starts_with("Understudy_"))
        << ours.name;
  }
}

TEST_F(SchemaReference, EveryPropertyIsAsDocumented) {
  for (const auto& [name, own] : reference_.classes) {
    const Class theirs = whole(name);
    const ClassDecl& ours = *find_class(name);
    for (const auto& [property, row] : theirs.properties) {
      const PropertyDecl* decl = ours.property(property);
      ASSERT_TRUE(decl) << name << "." << property;
      EXPECT_EQ(decl->name, property) << name;
      EXPECT_EQ(decl->key, row.flags.contains("key")) << name << "." << property;
      compare_element(*decl, row, name + "." + property);
    }
    for (const PropertyDecl& decl : ours.properties)
      EXPECT_TRUE(theirs.properties.contains(std::string(decl.name))) << name << "." << decl.name;
  }
}

TEST_F(SchemaReference, EveryMethodIsAsDocumented) {
  for (const auto& [name, own] : reference_.classes) {
    const Class theirs = whole(name);
    const ClassDecl& ours = *find_class(name);
    for (const auto& [method, row] : theirs.methods) {
      const MethodDecl* decl = ours.method(method);
      ASSERT_TRUE(decl) << name << "." << method;
      EXPECT_EQ(decl->name, method) << name;
      compare_method(*decl, row, name + "." + method);
    }
    for (const MethodDecl& decl : ours.methods)
      EXPECT_TRUE(theirs.methods.contains(std::string(decl.name))) << name << "." << decl.name;
  }
}

}  // namespace
}  // namespace understudy::cim
