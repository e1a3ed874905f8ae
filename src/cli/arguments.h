// The command line as tables: every command says in one place its words, its arguments, its options and its
// help. Parsing and help text are functions of these tables. Values; tables live as long as the program.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace understudy::cli {

struct Session;
class Arguments;

struct Option {
  std::string_view name;   // without the dashes; of one arity in all commands
  std::string_view value;  // what to call its value; empty: a switch
  std::string_view help;
};

struct Command {
  std::string_view words;      // "vm start"
  std::string_view arguments;  // names, "VM"; "[VM]" may be left out, and stands last
  std::string_view summary;
  std::span<const Option> options;
  std::string_view details;  // may be empty
  Status (*run)(Session& session, const Arguments& arguments);
  bool local = false;  // works on files here, without the daemon
};

class Arguments {
 public:
  const std::string& argument(size_t index) const;
  size_t count() const { return arguments_.size(); }
  bool has(std::string_view option) const { return options_.find(option) != options_.end(); }
  std::string text(std::string_view option, std::string fallback = {}) const;
  Result<uint64_t> number(std::string_view option, uint64_t least, uint64_t most) const;

 private:
  friend struct Parser;
  std::vector<std::string> arguments_;
  std::map<std::string, std::string, std::less<>> options_;
};

struct Parsed {
  const Command* command = nullptr;  // null: only help or version was asked for
  Arguments arguments;
  std::string help;  // not empty: print this and do nothing
};

// Errors are ErrorCode::invalid_parameter with the help to read as the hint.
Result<Parsed> parse_arguments(std::span<const Command> commands, std::span<const Option> global_options,
                               const std::vector<std::string>& words);

// "vda,vdb": nothing empty, at least one.
Result<std::vector<std::string>> comma_list(std::string_view option, const std::string& text);

}  // namespace understudy::cli
