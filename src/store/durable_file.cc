#include "store/durable_file.h"

namespace understudy::store {

Status prepare_file(Files& files, const std::string& path, std::string_view content) {
  const std::string draft = path + ".tmp";
  US_CHECK(files.remove(draft));
  US_TRY(const auto file, files.open(draft, OpenMode::create_new));
  US_CHECK(file->write_at(0, as_bytes(content)));
  return file->sync();
}

Status commit_file(Files& files, const std::string& path) {
  US_CHECK(files.rename(path + ".tmp", path));
  return files.sync_directory(path.substr(0, path.rfind('/')));
}

Status replace_file(Files& files, const std::string& path, std::string_view content) {
  US_CHECK(prepare_file(files, path, content));
  return commit_file(files, path);
}

Result<std::string> read_small_file(Files& files, const std::string& path, size_t most) {
  US_TRY(const auto file, files.open(path, OpenMode::read));
  US_TRY(const uint64_t size, file->size());
  if (size > most) return fail(ErrorCode::corrupt, path + " is longer than any that is written here");
  std::string content(size, '\0');
  US_CHECK(file->read_at(0, {reinterpret_cast<std::byte*>(content.data()), content.size()}));
  return content;
}

}  // namespace understudy::store
