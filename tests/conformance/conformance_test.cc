// Every rule of tests/conformance/rules, as it is written there and in many other forms of the same messages.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "conformance/front.h"
#include "conformance/pairs.h"
#include "conformance/shuffler.h"

namespace understudy::conformance {
namespace {

constexpr size_t kForms = 40;  // of each rule

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = read_rules(UNDERSTUDY_RULES);
  return all;
}

// What the steps are answered; `shuffler` may be null.
std::vector<Reply> run(const Rule& rule, Shuffler* shuffler, std::vector<std::string>& sent) {
  Front front;
  std::vector<Reply> replies;
  std::string context = "none";
  for (const Step& step : rule.steps) {
    std::string envelope = with_context(step.envelope, context);
    if (shuffler) envelope = shuffler->write(*wsman::parse_xml(envelope));
    sent.push_back(envelope);
    replies.push_back(front.ask(envelope));
    if (const std::string next = context_of(replies.back().text); !next.empty()) context = next;
  }
  return replies;
}

TEST(Conformance, EveryRuleHolds) {
  ASSERT_GE(rules().size(), 80U);
  std::set<std::string> names;
  for (const Rule& rule : rules()) {
    SCOPED_TRACE(rule.file + ": " + rule.name);
    EXPECT_TRUE(names.insert(rule.name).second) << "this name is there twice";
    std::vector<std::string> sent;
    const auto replies = run(rule, nullptr, sent);
    ASSERT_FALSE(replies.empty());
    for (size_t i = 0; i < replies.size(); ++i) {
      EXPECT_FALSE(rule.steps[i].expected.empty()) << "step " << i << " expects nothing";
      for (const std::string& expected : rule.steps[i].expected)
        EXPECT_EQ(judge(replies[i], expected), "") << "> " << expected << "\n"
                                                   << sent[i] << "\n"
                                                   << replies[i].text;
    }
  }
}

// UNDERSTUDY_SEED=N runs other forms than those of every day.
TEST(Conformance, TheFormOfAMessageDoesNotMatter) {
  const char* given = std::getenv("UNDERSTUDY_SEED");
  const uint64_t first = given ? std::strtoull(given, nullptr, 10) : 20260101;
  for (const Rule& rule : rules()) {
    std::vector<std::string> plain;
    const auto wanted = run(rule, nullptr, plain);
    for (uint64_t seed = first; seed < first + kForms; ++seed) {
      SCOPED_TRACE(rule.file + ": " + rule.name + ", seed " + std::to_string(seed));
      Shuffler shuffler(seed);
      std::vector<std::string> sent;
      const auto replies = run(rule, &shuffler, sent);
      for (size_t i = 0; i < replies.size(); ++i) {
        ASSERT_EQ(replies[i].status, wanted[i].status) << sent[i] << "\n" << replies[i].text;
        ASSERT_EQ(normal(*wsman::parse_xml(replies[i].text)), normal(*wsman::parse_xml(wanted[i].text)))
            << sent[i];
      }
    }
  }
}

TEST(Conformance, TheShufflerChangesWhatItSays) {
  const auto tree = wsman::parse_xml(rules().front().steps.front().envelope);
  std::set<std::string> forms;
  for (uint64_t seed = 0; seed < 20; ++seed) forms.insert(Shuffler(seed).write(*tree));
  EXPECT_EQ(forms.size(), 20U);
  EXPECT_EQ(Shuffler(3).write(*tree), Shuffler(3).write(*tree));
}

}  // namespace
}  // namespace understudy::conformance
