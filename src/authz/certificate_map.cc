#include "authz/certificate_map.h"

#include "authz/text_file.h"

namespace understudy::authz {
namespace {

constexpr size_t kMostMapFile = 1 << 20;
constexpr size_t kMostEntries = 1000;

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

std::optional<CertificateMap::Entry> parse_entry(std::string_view line) {
  const auto words = words_of(line);
  if (words.size() != 3) return std::nullopt;
  const auto role = parse_role(words[2]);
  if (!role) return std::nullopt;
  CertificateMap::Entry entry{{}, {}, std::string(words[1]), *role};
  if (words[0].substr(0, 7) == "sha256:") {
    const auto thumbprint = parse_thumbprint(words[0].substr(7));
    if (!thumbprint) return std::nullopt;
    entry.thumbprint = *thumbprint;
  } else if (words[0].substr(0, 3) == "cn:" && words[0].size() > 3) {
    entry.common_name = words[0].substr(3);
  } else {
    return std::nullopt;
  }
  return entry;
}

}  // namespace

Result<CertificateMap> CertificateMap::parse(std::string_view text, std::string_view file_name) {
  CertificateMap map;
  size_t number = 0;
  for (const std::string_view raw : lines_of(text)) {
    ++number;
    const std::string_view line = significant(raw);
    if (line.empty()) continue;
    auto entry = parse_entry(line);
    if (!entry || map.entries_.size() == kMostEntries)
      return fail(ErrorCode::invalid_parameter,
                  std::string(file_name) + " line " + std::to_string(number) + " cannot be used",
                  "write 'sha256:HEX name role' or 'cn:NAME name role'; the thumbprint is in: understudy "
                  "certificate show FILE");
    map.entries_.push_back(std::move(*entry));
  }
  return map;
}

Result<CertificateMap> CertificateMap::load(const std::string& path) {
  US_TRY(const std::string text, read_text_file(path, kMostMapFile));
  return parse(text, path);
}

std::optional<CertificateMap::Entry> CertificateMap::find(std::string_view thumbprint,
                                                          std::string_view common_name) const {
  const auto wanted = parse_thumbprint(thumbprint);
  for (const Entry& entry : entries_)
    if (wanted && entry.thumbprint == *wanted) return entry;
  for (const Entry& entry : entries_)
    if (!entry.common_name.empty() && entry.common_name == common_name) return entry;
  return std::nullopt;
}

}  // namespace understudy::authz
