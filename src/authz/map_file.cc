#include "authz/map_file.h"

#include <optional>

#include "authz/text_file.h"

namespace understudy::authz {
namespace {

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos) return words;
    const size_t end = line.find_first_of(" \t", first);
    words.push_back(line.substr(first, end - first));
    if (end == std::string_view::npos) return words;
    line.remove_prefix(end);
  }
}

std::optional<MapLine> parse_line(std::string_view line) {
  const auto words = words_of(line);
  if (words.size() != 3) return std::nullopt;
  auto roles = parse_roles(words[2]);
  if (!roles) return std::nullopt;
  return MapLine{words[0], std::string(words[1]), std::move(*roles)};
}

}  // namespace

Status read_map(std::string_view text, std::string_view file_name, const char* hint,
                const std::function<bool(const MapLine&)>& take) {
  size_t number = 0;
  size_t entries = 0;
  for (const std::string_view raw : lines_of(text)) {
    ++number;
    const std::string_view line = significant(raw);
    if (line.empty()) continue;
    const auto entry = parse_line(line);
    if (!entry || ++entries > kMostEntries || !take(*entry))
      return fail(ErrorCode::invalid_parameter,
                  std::string(file_name) + " line " + std::to_string(number) + " cannot be used", hint);
  }
  return {};
}

}  // namespace understudy::authz
