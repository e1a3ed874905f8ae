#include "cli/arguments.h"

#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <map>
#include <set>

#include "cli/commands.h"
#include "cli/exit_codes.h"

namespace understudy::cli {
namespace {

Result<Parsed> parse(const std::vector<std::string>& words) {
  return parse_arguments(all_commands(), global_options(), words);
}
std::string refusal(const std::vector<std::string>& words) {
  const auto parsed = parse(words);
  EXPECT_FALSE(parsed);
  if (parsed) return {};
  EXPECT_EQ(parsed.error().code(), ErrorCode::invalid_parameter);
  EXPECT_NE(parsed.error().hint().find("--help"), std::string::npos);
  return parsed.error().message();
}

TEST(Arguments, OptionsMayStandAnywhere) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"enable", "db", "--to", "hostb:8443", "--start", "--json"},
        {"--json", "--to=hostb:8443", "enable", "--start", "db"},
        {"--to", "hostb:8443", "--start", "--json", "enable", "--", "db"}}) {
    const auto parsed = parse(words);
    ASSERT_TRUE(parsed) << parsed.error().text();
    EXPECT_EQ(parsed->command->words, "enable");
    EXPECT_EQ(parsed->arguments.argument(0), "db");
    EXPECT_EQ(parsed->arguments.text("to"), "hostb:8443");
    EXPECT_TRUE(parsed->arguments.has("start"));
    EXPECT_TRUE(parsed->arguments.has("json"));
    EXPECT_FALSE(parsed->arguments.has("disks"));
  }
}

TEST(Arguments, TheLongerCommandWins) {
  EXPECT_EQ(parse({"start", "vm"})->command->words, "start");
  EXPECT_EQ(parse({"vm", "start", "db"})->command->words, "vm start");
}

TEST(Arguments, AWordAfterTwoDashesIsNoOption) {
  EXPECT_EQ(parse({"show", "--", "--odd"})->arguments.argument(0), "--odd");
  EXPECT_EQ(parse({"show", "-"})->arguments.argument(0), "-");
}

TEST(Arguments, UsageErrorsSayWhatIsWrong) {
  EXPECT_EQ(refusal({}), "no command given");
  EXPECT_EQ(refusal({"frobnicate"}), "unknown command 'frobnicate'");
  EXPECT_EQ(refusal({"server"}), "'server' needs one more word: server enable, server show");
  EXPECT_EQ(refusal({"show"}), "'understudy show' needs VM");
  EXPECT_EQ(refusal({"show", "a", "b"}), "unexpected argument 'b'");
  EXPECT_EQ(refusal({"show", "a", "--frob"}), "unknown option --frob");
  EXPECT_EQ(refusal({"show", "a", "-x"}), "unknown option -x");
  EXPECT_EQ(refusal({"show", "a", "--yes"}), "'understudy show' has no option --yes");
  EXPECT_EQ(refusal({"enable", "a", "--to"}), "option --to needs a value: HOST[:PORT]");
  EXPECT_EQ(refusal({"list", "--json=1"}), "option --json takes no value");
  EXPECT_EQ(refusal({"list", "--json", "--json"}), "option --json is given twice");
  EXPECT_EQ(refusal({"frobnicate", "--help"}), "unknown command 'frobnicate'");
}

TEST(Arguments, NumbersAreWholeAndInRange) {
  const auto number = [](const std::string& text) {
    return parse({"server", "enable", "--port", text})->arguments.number("port", 1, 65535);
  };
  EXPECT_EQ(number("1"), 1U);
  EXPECT_EQ(number("65535"), 65535U);
  for (const char* bad : {"", "0", "65536", "-1", "+1", "0x10", "1 ", "99999999999999999999"})
    EXPECT_FALSE(number(bad)) << bad;
}

TEST(Arguments, ListsHaveNoEmptyElements) {
  EXPECT_EQ(comma_list("--disks", "vda,vdb"), (std::vector<std::string>{"vda", "vdb"}));
  for (const char* bad : {"", ",", "vda,", ",vda", "a,,b"}) EXPECT_FALSE(comma_list("--disks", bad)) << bad;
}

TEST(Arguments, EveryCommandHasHelp) {
  for (const Command& command : all_commands()) {
    std::vector<std::string> words{"--help"};
    const std::string text(command.words);
    const size_t space = text.find(' ');
    words.push_back(text.substr(0, space));
    if (space != std::string::npos) words.push_back(text.substr(space + 1));
    const auto parsed = parse(words);
    ASSERT_TRUE(parsed) << text;
    EXPECT_NE(parsed->help.find(command.summary), std::string::npos) << text;
    EXPECT_NE(parsed->help.find("Exit codes"), std::string::npos) << text;
    for (const Option& option : command.options)
      EXPECT_NE(parsed->help.find("--" + std::string(option.name)), std::string::npos) << text;
  }
  const std::string all = parse({"-h"})->help;
  for (const Command& command : all_commands()) EXPECT_NE(all.find(command.summary), std::string::npos);
  const std::string group = parse({"job", "--help"})->help;
  EXPECT_NE(group.find("job list"), std::string::npos);
  EXPECT_EQ(group.find("server show"), std::string::npos);
}

TEST(Arguments, AnOptionHasOneArityEverywhere) {
  std::map<std::string_view, bool> takes_value;
  const auto note = [&](std::span<const Option> options) {
    std::set<std::string_view> here;
    for (const Option& o : options) {
      EXPECT_TRUE(here.insert(o.name).second) << o.name;
      EXPECT_EQ(takes_value.emplace(o.name, !o.value.empty()).first->second, !o.value.empty()) << o.name;
    }
  };
  note(global_options());
  for (const Command& command : all_commands()) note(command.options);
}

TEST(Arguments, EveryExitCodeIsDocumented) {
  const std::string help = parse({"--help"})->help;
  std::ifstream file(UNDERSTUDY_SOURCE "/docs/reference/exit-codes.md");
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| ") && std::isdigit(line[2])) rows.push_back(line);
  ASSERT_EQ(rows.size(), kExitCodes.size());
  for (size_t i = 0; i < rows.size(); ++i)
    EXPECT_EQ(rows[i],
              "| " + std::to_string(kExitCodes[i].code) + " | " + std::string(kExitCodes[i].meaning) + " |");
  for (const int code : {
#define US_ERROR(name, cim, fault, http, exit_code, retry, text) exit_code,
#include "base/errors.def"
#undef US_ERROR
       })
    EXPECT_NE(help.find("\n  " + std::to_string(code) + "  "), std::string::npos) << code;
}

TEST(Hosts, NamesAddressesAndPorts) {
  const auto expect = [](const char* text, const char* host, uint16_t port) {
    const auto parsed = parse_host(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
  };
  expect("hostb", "hostb", 0);
  expect("hostb:8443", "hostb", 8443);
  expect("10.0.0.2:1", "10.0.0.2", 1);
  expect("fe80::1", "fe80::1", 0);
  expect("[fe80::1]", "fe80::1", 0);
  expect("[fe80::1]:443", "fe80::1", 443);
  for (const char* bad : {"", ":1", "hostb:", "hostb:0", "hostb:65536", "hostb:x", "[::1]443", "[]:443"})
    EXPECT_FALSE(parse_host(bad)) << bad;
}

}  // namespace
}  // namespace understudy::cli
