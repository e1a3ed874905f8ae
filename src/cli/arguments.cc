#include "cli/arguments.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "cli/exit_codes.h"

namespace understudy::cli {
namespace {

constexpr size_t kHelpColumn = 34;

tl::unexpected<Error> usage(std::string message, const std::string& words = {}) {
  return fail(ErrorCode::invalid_parameter, std::move(message),
              "understudy " + (words.empty() ? "" : words + " ") + "--help");
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    if (space != 0) words.push_back(text.substr(0, space));
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  return words;
}

const Option* find_option(std::span<const Option> options, std::string_view name) {
  const auto found = std::ranges::find(options, name, &Option::name);
  return found == options.end() ? nullptr : &*found;
}

std::string line(const std::string& left, std::string_view right) {
  std::string text = "  " + left;
  text.append(text.size() + 2 > kHelpColumn ? 2 : kHelpColumn - text.size(), ' ');
  return text + std::string(right) + "\n";
}

std::string option_lines(std::span<const Option> options) {
  std::string text;
  for (const Option& o : options)
    text += line("--" + std::string(o.name) + (o.value.empty() ? "" : " " + std::string(o.value)), o.help);
  return text;
}

std::string exit_code_lines() {
  std::string text = "\nExit codes:\n";
  for (const ExitCode& e : kExitCodes)
    text += "  " + std::to_string(e.code) + "  " + std::string(e.meaning) + "\n";
  return text;
}

std::string help_of(const Command& command, std::span<const Option> global_options) {
  std::string text = "Usage: understudy " + std::string(command.words);
  for (const std::string_view argument : split(command.arguments)) text += " " + std::string(argument);
  if (!command.options.empty()) text += " [options]";
  text += "\n\n" + std::string(command.summary) + ".\n";
  if (!command.details.empty()) text += "\n" + std::string(command.details) + "\n";
  if (!command.options.empty()) text += "\nOptions:\n" + option_lines(command.options);
  if (!command.local) text += "\nFor every command:\n" + option_lines(global_options);
  return text + exit_code_lines();
}

// Of the whole program, or of the commands that begin with `group`.
std::string help_of(std::span<const Command> commands, std::span<const Option> global_options,
                    std::string_view group) {
  std::string text =
      "Usage: understudy " + (group.empty() ? std::string() : std::string(group) + " ") +
      "COMMAND [options]\n\nKeeps standby copies of libvirt VMs on another host and fails over to "
      "them.\n\nCommands:\n";
  for (const Command& c : commands)
    if (group.empty() || split(c.words).front() == group)
      text +=
          line(std::string(c.words) + (c.arguments.empty() ? "" : " " + std::string(c.arguments)), c.summary);
  text += "\nFor every command:\n" + option_lines(global_options);
  return text + "\nunderstudy COMMAND --help says more about one.\n" + exit_code_lines();
}

}  // namespace

struct Parser {
  std::span<const Command> commands;
  std::span<const Option> global_options;
  std::vector<std::string> words;
  std::vector<std::string> names;  // of the options given, as they came
  Parsed parsed;

  const Option* any_option(std::string_view name) const {
    if (const Option* option = find_option(global_options, name)) return option;
    for (const Command& command : commands)
      if (const Option* option = find_option(command.options, name)) return option;
    return nullptr;
  }

  // Options from words; which command they belong to is not known yet.
  Status sort(const std::vector<std::string>& given) {
    bool only_words = false;
    for (size_t i = 0; i < given.size(); ++i) {
      const std::string& word = given[i];
      if (only_words || word.size() < 2 || word[0] != '-') {
        words.push_back(word);
      } else if (word == "--") {
        only_words = true;
      } else {
        US_CHECK(take_option(word == "-h" ? "--help" : word, given, i));
      }
    }
    return {};
  }

  Status take_option(const std::string& word, const std::vector<std::string>& given, size_t& i) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(std::min<size_t>(2, word.size()), equals - 2);
    const Option* option = word.starts_with("--") ? any_option(name) : nullptr;
    if (!option) return usage("unknown option " + word.substr(0, equals));
    std::string value;
    if (equals != std::string::npos) {
      value = word.substr(equals + 1);
      if (option->value.empty()) return usage("option --" + name + " takes no value");
    } else if (!option->value.empty()) {
      if (++i == given.size())
        return usage("option --" + name + " needs a value: " + std::string(option->value));
      value = given[i];
    }
    if (!parsed.arguments.options_.emplace(name, value).second)
      return usage("option --" + name + " is given twice");
    names.push_back(name);
    return {};
  }

  Status find_command() {
    for (const Command& command : commands) {
      const auto wanted = split(command.words);
      const bool longer = !parsed.command || wanted.size() > split(parsed.command->words).size();
      if (longer && wanted.size() <= words.size() &&
          std::ranges::equal(wanted, std::span(words).first(wanted.size())))
        parsed.command = &command;
    }
    if (parsed.command) return {};
    std::string known;
    for (const Command& command : commands)
      if (!words.empty() && split(command.words).front() == words.front())
        known += (known.empty() ? "" : ", ") + std::string(command.words);
    if (words.empty()) return usage("no command given");
    if (!known.empty()) return usage("'" + words.front() + "' needs one more word: " + known, words.front());
    return usage("unknown command '" + words.front() + "'");
  }

  Status check() {
    const Command& command = *parsed.command;
    const std::string name(command.words);
    for (const std::string& option : names)
      if (!find_option(command.options, option) && !find_option(global_options, option))
        return usage("'understudy " + name + "' has no option --" + option, name);
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(split(command.words).size()));
    const auto wanted = split(command.arguments);
    if (words.size() < wanted.size() && !wanted[words.size()].starts_with('['))
      return usage("'understudy " + name + "' needs " + std::string(wanted[words.size()]), name);
    if (words.size() > wanted.size())
      return usage("unexpected argument '" + words[wanted.size()] + "'", name);
    parsed.arguments.arguments_ = std::move(words);
    return {};
  }

  Result<Parsed> parse(const std::vector<std::string>& given) {
    US_CHECK(sort(given));
    const bool help = parsed.arguments.has("help");
    auto found = find_command();
    if (help) {
      const std::string_view group = parsed.command || words.empty() ? std::string_view() : words.front();
      const bool known = found || group.empty() || std::ranges::any_of(commands, [&](const Command& c) {
                           return split(c.words).front() == group;
                         });
      if (!known) return fail(found.error());
      parsed.help = parsed.command ? help_of(*parsed.command, global_options)
                                   : help_of(commands, global_options, group);
      return std::move(parsed);
    }
    US_CHECK(found);
    US_CHECK(check());
    return std::move(parsed);
  }
};

const std::string& Arguments::argument(size_t index) const {
  US_ASSERT(index < arguments_.size());
  return arguments_[index];
}

std::string Arguments::text(std::string_view option, std::string fallback) const {
  const auto found = options_.find(option);
  return found == options_.end() ? std::move(fallback) : found->second;
}

Result<uint64_t> Arguments::number(std::string_view option, uint64_t least, uint64_t most) const {
  const std::string value = text(option);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < least || number > most)
    return usage("--" + std::string(option) + " '" + value + "' is no number from " + std::to_string(least) +
                 " to " + std::to_string(most));
  return number;
}

Result<Parsed> parse_arguments(std::span<const Command> commands, std::span<const Option> global_options,
                               const std::vector<std::string>& words) {
  Parser parser{commands, global_options, {}, {}, {}};
  return parser.parse(words);
}

Result<std::vector<std::string>> comma_list(std::string_view option, const std::string& text) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (comma == begin) return usage(std::string(option) + " '" + text + "' has an empty element");
    items.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return items;
}

}  // namespace understudy::cli
