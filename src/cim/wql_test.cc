#include "cim/wql.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "cim/typed.h"

namespace understudy::cim::wql {
namespace {

Instance vm() {
  Instance i("Msvm_ComputerSystem");
  i.set("Name", "A1B2").set("CreationClassName", "Msvm_ComputerSystem").set("ElementName", "web\\01'x");
  i.set("EnabledState", 2u).set("OnTimeInMilliseconds", UINT64_MAX).set("ReplicationState", 0u);
  i.set("LastReplicationTime", DateTime{false, 1'765'965'322'000'000});
  i.set("OperationalStatus", std::vector<Value::Scalar>{uint64_t{2}});
  return i;
}

bool where(const std::string& condition) {
  const auto query = parse("SELECT * FROM Msvm_ComputerSystem WHERE " + condition);
  EXPECT_TRUE(query) << condition << ": " << (query ? "" : query.error().text());
  if (!query) return false;
  const auto& select = std::get<Select>(*query);
  const Status valid = check(select);
  EXPECT_TRUE(valid) << condition << ": " << (valid ? "" : valid.error().text());
  return matches(select, vm(), path_of(vm()), "HOST");
}

std::string error_of(const std::string& text) {
  const auto query = parse(text);
  EXPECT_FALSE(query) << text;
  return query ? "" : query.error().message();
}

TEST(Wql, Comparisons) {
  EXPECT_TRUE(where("EnabledState = 2"));
  EXPECT_TRUE(where("EnabledState = '2'"));
  EXPECT_TRUE(where("2 = EnabledState"));
  EXPECT_TRUE(where("EnabledState <> 3 AND EnabledState != 3"));
  EXPECT_TRUE(where("EnabledState < 3 AND EnabledState <= 2 AND EnabledState > 1 AND EnabledState >= 2"));
  EXPECT_TRUE(where("EnabledState > -1 AND EnabledState < 2.5 AND EnabledState > 1e0"));
  EXPECT_FALSE(where("EnabledState < -1"));
  EXPECT_TRUE(where("OnTimeInMilliseconds = 18446744073709551615"));
  EXPECT_FALSE(where("OnTimeInMilliseconds = -1"));
  EXPECT_FALSE(where("EnabledState = 'two'"));
  EXPECT_FALSE(where("EnabledState <> 'two'"));
  EXPECT_TRUE(where("LastReplicationTime > '20251217000000.000000+000'"));
  EXPECT_TRUE(where("LastReplicationTime < \"2025-12-18T00:00:00Z\""));
  EXPECT_TRUE(where("EnabledState > ReplicationState"));
}

TEST(Wql, TextIsComparedWithoutCaseAndUnescaped) {
  EXPECT_TRUE(where("name = \"a1b2\""));
  EXPECT_TRUE(where("Name > 'A1' AND Name < 'b'"));
  EXPECT_TRUE(where(R"(ElementName = 'web\\01\'x')"));
  EXPECT_TRUE(where(R"(ElementName = "web\\01'x")"));
  EXPECT_TRUE(where(R"(ElementName = "web\01'x")"));
  EXPECT_FALSE(where("Name = 5"));
}

TEST(Wql, PrecedenceIsNotThenAndThenOr) {
  EXPECT_TRUE(where("EnabledState = 2 OR EnabledState = 3 AND Name = 'no'"));
  EXPECT_FALSE(where("(EnabledState = 2 OR EnabledState = 3) AND Name = 'no'"));
  EXPECT_TRUE(where("NOT EnabledState = 3 AND Name = 'A1B2'"));
  EXPECT_FALSE(where("NOT (EnabledState = 3 OR Name = 'A1B2')"));
  EXPECT_TRUE(where("NOT NOT EnabledState = 2"));
}

TEST(Wql, NullIsNeitherTrueNorFalse) {
  EXPECT_FALSE(where("ProcessID = 5"));
  EXPECT_FALSE(where("ProcessID <> 5"));
  EXPECT_FALSE(where("NOT ProcessID = 5"));
  EXPECT_TRUE(where("ProcessID = 5 OR EnabledState = 2"));
  EXPECT_TRUE(where("EnabledState = 2 OR ProcessID = 5"));
  EXPECT_FALSE(where("ProcessID = 5 AND EnabledState = 2"));
  EXPECT_TRUE(where("NOT (ProcessID = 5 AND EnabledState = 3)"));
  EXPECT_FALSE(where("NOT (ProcessID = 5 AND EnabledState = 2)"));
  EXPECT_TRUE(where("ProcessID IS NULL"));
  EXPECT_FALSE(where("ProcessID IS NOT NULL"));
  EXPECT_TRUE(where("ProcessID = NULL AND Name <> NULL"));
  EXPECT_TRUE(where("OperationalStatus IS NOT NULL"));
  EXPECT_TRUE(where("StatusDescriptions IS NULL"));
  EXPECT_FALSE(where("ProcessID LIKE '%'"));
}

TEST(Wql, SystemProperties) {
  EXPECT_TRUE(where("Name != __SERVER "));
  EXPECT_FALSE(where("Name = __SERVER"));
  EXPECT_TRUE(where("__SERVER = 'host'"));
  EXPECT_TRUE(where("__CLASS = 'msvm_computersystem'"));
  EXPECT_TRUE(where("__CLASS ISA 'CIM_System' AND __this ISA \"CIM_ManagedElement\""));
  EXPECT_FALSE(where("__CLASS ISA 'CIM_Service'"));
  EXPECT_TRUE(
      where(R"(__RELPATH = 'Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="A1B2"')"));
  EXPECT_TRUE(where(R"(__PATH LIKE '\\\\HOST\\root\\virtualization\\v2:%')"));
}

TEST(Wql, Like) {
  EXPECT_TRUE(where("Name LIKE 'a1%'"));
  EXPECT_TRUE(like("abc", "a_c"));
  EXPECT_FALSE(like("abc", "a_"));
  EXPECT_TRUE(like("abc", "%"));
  EXPECT_TRUE(like("", "%%"));
  EXPECT_FALSE(like("", "_"));
  EXPECT_TRUE(like("", ""));
  EXPECT_TRUE(like("xabcabd", "%ab[^c]"));
  EXPECT_TRUE(like("B", "[a-c]"));
  EXPECT_TRUE(like("b", "[a=c]"));
  EXPECT_FALSE(like("d", "[a-c]"));
  EXPECT_TRUE(like("100%", "%[%]"));
  EXPECT_FALSE(like("1000", "%[%]"));
  EXPECT_TRUE(like("]", "[]]"));
  EXPECT_TRUE(like("-", "[a-]"));
  EXPECT_TRUE(like("^", "[^]"));
  EXPECT_TRUE(like("M\xC3\xBCller", "m_ller"));
  EXPECT_FALSE(like("M\xC3\xBCller", "m__ller"));
  EXPECT_TRUE(like("M\xC3\xBCller", "M[^x]ller"));
  // The worst case stays small.
  EXPECT_FALSE(like(std::string(4000, 'a'), "%a%a%a%a%a%a%a%a%b"));
}

TEST(Wql, SelectListAndSpace) {
  const auto query = parse(" select Name , EnabledState\tFROM Msvm_ComputerSystem \r\n ");
  ASSERT_TRUE(query) << query.error().text();
  EXPECT_EQ(std::get<Select>(*query).columns, (std::vector<std::string>{"Name", "EnabledState"}));
  EXPECT_FALSE(std::get<Select>(*query).where);
}

TEST(Wql, MatchesSubclassesOnly) {
  const auto query = parse("SELECT * FROM CIM_System");
  EXPECT_TRUE(matches(std::get<Select>(*query), vm(), path_of(vm()), "H"));
  const auto other = parse("SELECT * FROM CIM_Service");
  EXPECT_FALSE(matches(std::get<Select>(*other), vm(), path_of(vm()), "H"));
}

TEST(Wql, ChecksAgainstTheSchema) {
  const auto bad = [](const std::string& text) {
    const auto query = parse(text);
    EXPECT_TRUE(query) << text;
    return !check(std::get<Select>(*query));
  };
  EXPECT_TRUE(bad("SELECT * FROM Nothing"));
  EXPECT_TRUE(bad("SELECT Nope FROM Msvm_ComputerSystem"));
  EXPECT_TRUE(bad("SELECT * FROM Msvm_ComputerSystem WHERE (Name = 'a' OR NOT Nope = 5)"));
  EXPECT_TRUE(bad("SELECT * FROM Msvm_ComputerSystem WHERE OperationalStatus = 2"));
  EXPECT_TRUE(bad("SELECT * FROM Msvm_ComputerSystem WHERE __NOPE = 2"));
  EXPECT_FALSE(
      bad("SELECT OperationalStatus, __PATH FROM Msvm_ComputerSystem WHERE OperationalStatus IS NULL"));
}

TEST(Wql, Associators) {
  const auto query = parse(
      "associators of {Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name=\"a}\\\"b\"} where "
      "AssocClass = Msvm_SettingsDefineState resultclass=\"Msvm_VirtualSystemSettingData\" Role = "
      "ManagedElement "
      "ResultRole = SettingData ");
  ASSERT_TRUE(query) << query.error().text();
  const auto& links = std::get<Links>(*query);
  EXPECT_FALSE(links.references);
  EXPECT_EQ(links.object.keys.at("Name"), "a}\"b");
  EXPECT_EQ(links.association_class, "Msvm_SettingsDefineState");
  EXPECT_EQ(links.result_class, "Msvm_VirtualSystemSettingData");
  EXPECT_EQ(links.role, "ManagedElement");
  EXPECT_EQ(links.result_role, "SettingData");
  EXPECT_TRUE(std::get<Links>(*parse("ASSOCIATORS OF {A.B=1} WHERE ClassDefsOnly")).class_definitions_only);
  EXPECT_TRUE(std::get<Links>(*parse("REFERENCES OF { A.B=1 } WHERE ResultClass=X Role=Y")).references);
  EXPECT_TRUE(parse("REFERENCES OF {A.B=1}"));
}

TEST(Wql, ErrorsSayWhereAndWhatWasExpected) {
  EXPECT_EQ(error_of("SELECT * FORM X"), "WQL: expected 'FROM' at character 10, found 'FORM'");
  EXPECT_EQ(error_of("SELECT * FROM X WHERE a ="),
            "WQL: expected a property or a value at character 26, found the end");
  EXPECT_EQ(error_of("SELECT * FROM X WHERE a # 1"), "WQL: expected a word at character 25, found '#'");
  EXPECT_NE(error_of("ASSOCIATORS OF {A.} WHERE x").find("in the braces at character 17"), std::string::npos);
}

TEST(Wql, RefusesNastyText) {
  for (const char* text : {"",
                           " ",
                           "SELECT",
                           "SELECT *",
                           "SELECT FROM X",
                           "SELECT * FROM",
                           "REFERENCES OF {A.B=1} WHERE ResultClass = ''",
                           "REFERENCES OF {A.B=1} WHERE ResultClass = 'select * from A'",
                           "ASSOCIATORS OF {A.B=1} WHERE ResultRole = '1'",
                           "SELECT a, FROM X",
                           "SELECT * FROM X WHERE",
                           "SELECT * FROM X WHERE a",
                           "SELECT * FROM X WHERE a = 1 b",
                           "SELECT * FROM X WHERE (a = 1",
                           "SELECT * FROM X WHERE a = 1)",
                           "SELECT * FROM X WHERE a = 'x",
                           "SELECT * FROM X WHERE a = 'x\\'",
                           "SELECT * FROM X WHERE a LIKE 5",
                           "SELECT * FROM X WHERE a LIKE b",
                           "SELECT * FROM X WHERE a LIKE '[x'",
                           "SELECT * FROM X WHERE a IS 5",
                           "SELECT * FROM X WHERE a IS NOT",
                           "SELECT * FROM X WHERE a < NULL",
                           "SELECT * FROM X WHERE NOT",
                           "SELECT * FROM X WHERE a = AND",
                           "SELECT * FROM X WHERE a = 99999999999999999999999999999e999",
                           "SELECT * FROM X; DROP TABLE y",
                           "DELETE FROM X",
                           "ASSOCIATORS",
                           "ASSOCIATORS OF",
                           "ASSOCIATORS OF X",
                           "ASSOCIATORS OF {X",
                           "ASSOCIATORS OF {X.a='}",
                           "ASSOCIATORS OF {X.a=1} x",
                           "ASSOCIATORS OF {X.a=1} WHERE",
                           "ASSOCIATORS OF {X.a=1} WHERE Role",
                           "ASSOCIATORS OF {X.a=1} WHERE Role=",
                           "ASSOCIATORS OF {X.a=1} WHERE Role=A Role=B",
                           "ASSOCIATORS OF {X.a=1} WHERE Nope=A",
                           "REFERENCES OF {X.a=1} WHERE AssocClass=A",
                           "ASSOCIATORS OF {}",
                           "SELECT * FROM X\x01",
                           "SELECT * FROM 'X'"})
    EXPECT_FALSE(error_of(text).empty());
}

TEST(Wql, LengthAndDepthAreBounded) {
  const std::string head = "SELECT * FROM X WHERE ";
  const auto nested = [&](size_t n) { return head + std::string(n, '(') + "a=1" + std::string(n, ')'); };
  EXPECT_TRUE(parse(nested(limits::kMostWqlDepth - 1)));
  EXPECT_FALSE(parse(nested(limits::kMostWqlDepth)));
  std::string negations = head;
  for (int i = 0; i < 1000; ++i) negations += "NOT ";
  EXPECT_FALSE(parse(negations + "a=1"));
  std::string chain = head + "a=1";
  while (chain.size() < 8000) chain += " OR a=1";
  EXPECT_TRUE(parse(chain));
  EXPECT_FALSE(parse(head + "a='" + std::string(limits::kMostWqlLength, 'x') + "'"));
}

// Whatever arrives, it is answered: with a query or with an error.
TEST(Wql, SurvivesMutations) {
  const std::string seeds[] = {
      "SELECT Name, EnabledState FROM Msvm_ComputerSystem WHERE NOT (Name LIKE '[a-c]%_' AND EnabledState >= "
      "-2) OR "
      "ProcessID IS NOT NULL",
      R"(ASSOCIATORS OF {\\\\H\root\v2:Msvm_ComputerSystem.CreationClassName="a\\b",Name='x'} WHERE AssocClass = A Role = B)"};
  const std::string alphabet =
      "'\"\\{}()[]%_^-=<>!,. \n\x01\xC3"
      "aZ09NOT";
  uint64_t state = 42;
  const auto next = [&](size_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<size_t>(state >> 33) % below;
  };
  size_t parsed = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seeds[next(2)];
    for (size_t edits = next(4) + 1; edits > 0; --edits) {
      const size_t at = next(text.size());
      if (next(3) == 0)
        text.erase(at, next(5));
      else if (next(2) == 0)
        text.insert(at, 1, alphabet[next(alphabet.size())]);
      else
        text[at] = alphabet[next(alphabet.size())];
      if (text.empty()) text = " ";
    }
    const auto query = parse(text);
    if (!query) continue;
    ++parsed;
    if (const auto* select = std::get_if<Select>(&*query)) matches(*select, vm(), path_of(vm()), "H");
  }
  EXPECT_GT(parsed, 1000u);
  EXPECT_LT(parsed, 19'000u);
}

}  // namespace
}  // namespace understudy::cim::wql
