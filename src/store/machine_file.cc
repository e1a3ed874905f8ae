#include "store/machine_file.h"

#include <charconv>

#include "base/limits.h"
#include "store/durable_file.h"
#include "store/seal.h"

namespace understudy::store {
namespace {

constexpr std::string_view kFirstLine = "understudy-machine 1\n";
constexpr size_t kMostOverhead = 256;

// A decimal number and the character after it.
bool take_number(std::string_view& text, char after, size_t most, size_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const size_t digits = static_cast<size_t>(end - text.data());
  if (error != std::errc() || number > most || digits == text.size() || *end != after) return false;
  text.remove_prefix(digits + 1);
  return true;
}

}  // namespace

Status check_machine(const Machine& machine) {
  if (machine.definition.size() > limits::kMostDefinition)
    return fail(ErrorCode::invalid_parameter,
                "a definition of more than " + std::to_string(limits::kMostDefinition) + " bytes");
  if (machine.nvram.size() > limits::kMostNvram)
    return fail(ErrorCode::invalid_parameter,
                "firmware variables of more than " + std::to_string(limits::kMostNvram) + " bytes");
  return {};
}

std::string encode_machine(const Machine& machine) {
  std::string text(kFirstLine);
  text += std::to_string(machine.definition.size()) + " " + std::to_string(machine.nvram.size()) + "\n";
  text += machine.definition;
  text += as_text(machine.nvram);
  return sealed(text + "\n");
}

Result<Machine> decode_machine(std::string_view text) {
  US_TRY(std::string_view rest, unsealed(text));
  if (!rest.starts_with("understudy-machine ")) return fail(ErrorCode::corrupt, "is no machine of a replica");
  if (!rest.starts_with(kFirstLine))
    return fail(ErrorCode::not_supported, "is of another version than 1",
                "use the version of the product that wrote it, or a newer one");
  rest.remove_prefix(kFirstLine.size());
  size_t definition = 0;
  size_t nvram = 0;
  if (!take_number(rest, ' ', limits::kMostDefinition, definition) ||
      !take_number(rest, '\n', limits::kMostNvram, nvram) || rest.size() != definition + nvram + 1 ||
      rest.back() != '\n')
    return fail(ErrorCode::corrupt, "has lengths that do not fit");
  const ByteView variables = as_bytes(rest.substr(definition, nvram));
  return Machine{std::string(rest.substr(0, definition)), Bytes(variables.begin(), variables.end())};
}

Result<Machine> read_machine(Files& files, const std::string& path) {
  US_TRY(const std::string text,
         read_small_file(files, path, limits::kMostDefinition + limits::kMostNvram + kMostOverhead));
  auto machine = decode_machine(text);
  if (!machine) return fail(machine.error().context(path));
  return machine;
}

}  // namespace understudy::store
