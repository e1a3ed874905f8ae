#include "files/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace understudy::files {

struct Archive::State {
  ~State() {
    archive_write_free(writer);
    if (fd >= 0) ::close(fd);
  }
  tl::unexpected<Error> error(const std::string& what) const {
    const char* why = archive_error_string(writer);
    return fail(archive_errno(writer) == ENOSPC ? ErrorCode::no_space : ErrorCode::failed,
                path + ": cannot write " + what + ": " + (why ? why : "unknown error"));
  }

  std::string path;
  int fd = -1;
  archive* writer = nullptr;
};

Archive::Archive(std::unique_ptr<State> state) : state_(std::move(state)) {}
Archive::Archive(Archive&&) noexcept = default;
Archive::~Archive() = default;

Result<Archive> Archive::create(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (state->fd < 0 && errno == EEXIST)
    return fail(ErrorCode::invalid_parameter, path + " is there already", "name another file");
  if (state->fd < 0) return fail_errno(errno, path);
  state->writer = archive_write_new();
  if (archive_write_add_filter_gzip(state->writer) != ARCHIVE_OK ||
      archive_write_set_format_pax_restricted(state->writer) != ARCHIVE_OK ||
      archive_write_open_fd(state->writer, state->fd) != ARCHIVE_OK)
    return state->error("its beginning");
  return Archive(std::move(state));
}

Status Archive::add(const std::string& name, std::string_view content, Wall modified) {
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                            archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_mtime(entry.get(), Duration{modified.us}.whole_seconds(), 0);
  if (archive_write_header(state_->writer, entry.get()) != ARCHIVE_OK ||
      archive_write_data(state_->writer, content.data(), content.size()) !=
          static_cast<la_ssize_t>(content.size()))
    return state_->error(name);
  return {};
}

Status Archive::close() {
  if (archive_write_close(state_->writer) != ARCHIVE_OK) return state_->error("its end");
  if (fsync(state_->fd) != 0) return fail_errno(errno, state_->path);
  return {};
}

}  // namespace understudy::files
