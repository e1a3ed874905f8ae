#include "authz/revoked.h"

namespace understudy::authz {
namespace {

constexpr size_t kMostFile = 1 << 20;
constexpr std::string_view kPrefix = "sha256:";

using Thumbprints = std::set<std::string, std::less<>>;

Result<Thumbprints> read_list(const std::string& path, const std::string& text) {
  Thumbprints thumbprints;
  size_t number = 0;
  for (const std::string_view raw : lines_of(text)) {
    ++number;
    const std::string_view line = significant(raw);
    if (line.empty()) continue;
    const auto thumbprint =
        line.starts_with(kPrefix) ? parse_thumbprint(line.substr(kPrefix.size())) : std::nullopt;
    if (!thumbprint)
      return fail(ErrorCode::corrupt,
                  path + " line " + std::to_string(number) +
                      " is not sha256:THUMBPRINT; until it is, no certificate is accepted",
                  "repair the line, or take it out");
    thumbprints.insert(*thumbprint);
  }
  return thumbprints;
}

}  // namespace

void RevokedCertificates::refresh() const {
  const FileStamp now = FileStamp::of(path_);
  if (now == stamp_) return;
  stamp_ = now;
  thumbprints_.clear();
  readable_ = {};
  if (!now.there) return;
  auto text = read_text_file(path_, kMostFile);
  auto list = text ? read_list(path_, *text) : fail(text.error());
  if (list)
    thumbprints_ = std::move(*list);
  else
    readable_ = fail(list.error());
}

Status RevokedCertificates::check(std::string_view thumbprint, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  refresh();
  if (!readable_)
    return fail(ErrorCode::access_denied, readable_.error().message(), readable_.error().hint());
  const auto plain = parse_thumbprint(thumbprint);
  if (!plain)
    return fail(ErrorCode::access_denied,
                "'" + std::string(name) + "' has shown no certificate that can be told apart");
  if (!thumbprints_.contains(*plain)) return {};
  return fail(
      ErrorCode::access_denied,
      "the certificate of '" + std::string(name) + "' (" + std::string(thumbprint) + ") is revoked by " +
          path_,
      "give it another: understudy certificate host " + std::string(name) + " --authority DIR --out DIR");
}

Status revoke(const std::string& path, std::string_view thumbprint, std::string_view remark) {
  const auto plain = parse_thumbprint(thumbprint);
  if (!plain || remark.find('\n') != std::string_view::npos)
    return fail(ErrorCode::invalid_parameter,
                "'" + std::string(thumbprint.substr(0, 100)) + "' is no SHA-256 of a certificate",
                "understudy certificate show FILE");
  std::string text;
  if (FileStamp::of(path).there) {
    US_TRY(text, read_text_file(path, kMostFile));
    US_TRY(const Thumbprints known, read_list(path, text));
    if (known.contains(*plain)) return {};
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += std::string(kPrefix) + *plain + (remark.empty() ? "" : "  # " + std::string(remark)) + "\n";
  return replace_text_file(path, text);
}

}  // namespace understudy::authz
