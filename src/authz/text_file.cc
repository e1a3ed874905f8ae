#include "authz/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>

namespace understudy::authz {
namespace {

struct File {
  int fd;
  ~File() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

Result<std::string> read_text_file(const std::string& path, size_t most) {
  const File file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return fail_errno(errno, "cannot read " + path);
  std::string text(most + 1, '\0');
  size_t used = 0;
  while (used < text.size()) {
    const ssize_t n = read(file.fd, text.data() + used, text.size() - used);
    if (n < 0) return fail_errno(errno, "cannot read " + path);
    if (n == 0) break;
    used += static_cast<size_t>(n);
  }
  if (used > most)
    return fail(ErrorCode::too_large, path + " has more than " + std::to_string(most) + " bytes");
  text.resize(used);
  return text;
}

Status replace_text_file(const std::string& path, const std::string& content) {
  const std::string fresh = path + ".new";
  const auto give_up = [&](const char* step) {
    const int error_number = errno;
    unlink(fresh.c_str());
    return fail_errno(error_number, std::string(step) + " " + fresh);
  };
  unlink(fresh.c_str());
  {
    const File file{open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (file.fd < 0) return fail_errno(errno, "cannot make " + fresh);
    errno = ENOSPC;  // what a short write without an error means
    if (write(file.fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()))
      return give_up("cannot write");
    if (fsync(file.fd) != 0) return give_up("cannot sync");
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return give_up("cannot rename");
  const auto folder = std::filesystem::path(path).parent_path().string();
  const File dir{open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd >= 0) fsync(dir.fd);
  return {};
}

FileStamp FileStamp::of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return {true, info.st_ino, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
}

std::optional<std::string> parse_thumbprint(std::string_view text) {
  std::string plain;
  for (const char c : text)
    if (c != ':') plain += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const bool hex =
      std::all_of(plain.begin(), plain.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (plain.size() != 64 || !hex) return std::nullopt;
  return plain;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string_view significant(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  line = line.substr(0, line.find('#'));
  const size_t first = line.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kSpace) - first + 1);
}

}  // namespace understudy::authz
