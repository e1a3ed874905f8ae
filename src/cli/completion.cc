#include "cli/completion.h"

#include <algorithm>
#include <set>
#include <sstream>

namespace understudy::cli {
namespace {

std::vector<std::string> split(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

struct Candidates {
  std::string begun;  // what the word begins with
  std::set<std::string> found;

  void add(const std::string& word) {
    if (word.starts_with(begun)) found.insert(word);
  }
  void add_all(const std::vector<std::string>& words) {
    for (const std::string& word : words) add(word);
  }
};

// What stands in the place of an argument, or of an option's value.
void add_values(Candidates& to, std::string_view what, std::string_view option, const Names& names) {
  if (option == "role") return to.add_all({"reader", "operator", "administrator"});
  if (option == "interval") return to.add_all({"30", "300", "900"});
  if (what.starts_with('[')) what = what.substr(1, what.size() - 2);
  if (what == "FILE" || what == "DIR" || what == "PATH" || what == "SOCKET")
    to.found.emplace(kCompleteFiles);
  else if (option.empty() || option == "from")
    to.add_all(names(what));
}

}  // namespace

std::vector<std::string> complete(std::span<const Command> commands, std::span<const Option> global_options,
                                  const std::vector<std::string>& words, const Names& names) {
  Candidates candidates;
  if (!words.empty()) candidates.begun = words.back();
  const auto option_of = [&](std::string_view name) -> const Option* {
    for (const Option& o : global_options)
      if (o.name == name) return &o;
    for (const Command& command : commands)
      for (const Option& o : command.options)
        if (o.name == name) return &o;
    return nullptr;
  };

  std::vector<std::string> given;  // no options, without the word to complete
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const Option* option =
        words[i].starts_with("--") ? option_of(std::string_view(words[i]).substr(2)) : nullptr;
    if (option && !option->value.empty()) {
      if (++i + 1 < words.size()) continue;
      add_values(candidates, option->value, option->name, names);
      return {candidates.found.begin(), candidates.found.end()};
    }
    if (!words[i].starts_with("-")) given.push_back(words[i]);
  }

  const Command* command = nullptr;
  size_t length = 0;  // words of it
  for (const Command& one : commands) {
    const auto verb = split(one.words);
    const size_t common = std::min(verb.size(), given.size());
    if (!std::equal(verb.begin(), verb.begin() + static_cast<std::ptrdiff_t>(common), given.begin()))
      continue;
    if (common < verb.size()) {
      candidates.add(verb[common]);
    } else if (!command || verb.size() > length) {
      command = &one;
      length = verb.size();
    }
  }
  if (candidates.begun.starts_with('-')) {
    candidates.found.clear();
    if (!command || !command->local)
      for (const Option& o : global_options) candidates.add("--" + std::string(o.name));
    for (const Option& o : command ? command->options : std::span<const Option>())
      candidates.add("--" + std::string(o.name));
  } else if (command) {
    const auto arguments = split(command->arguments);
    const size_t at = given.size() - length;
    if (at < arguments.size()) add_values(candidates, arguments[at], "", names);
  }
  return {candidates.found.begin(), candidates.found.end()};
}

}  // namespace understudy::cli
