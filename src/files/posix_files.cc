#include "files/posix_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace understudy::files {
namespace {

using store::File;
using store::OpenMode;

constexpr size_t kMostNames = 100'000;  // of one directory of ours
constexpr size_t kZeroes = 1 << 16;     // written at once where the file system cannot punch

// The error of a system call on a path, with what to do where we know it.
tl::unexpected<Error> failed(const std::string& what, const std::string& path, int error_number = errno) {
  Error error = fail_errno(error_number, what + " " + path).value();
  switch (error_number) {
    case ENOSPC:
      return fail(error.with_hint("make room: df -h " + path));
    case EDQUOT:
      return fail(error.with_hint("raise the quota of the file system that holds " + path));
    case ELOOP:
      return fail(error.with_hint("a symbolic link is not followed here: remove it"));
    case EACCES:
    case EPERM:
      return fail(error.with_hint("ls -ld " + path));
    default:
      return fail(error);
  }
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { close(fd_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Status read_at(uint64_t offset, MutableByteView into) override {
    while (!into.empty()) {
      const ssize_t n = pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("cannot read", path_);
      if (n == 0)
        return fail(ErrorCode::corrupt, path_ + " ends before byte " + std::to_string(offset + into.size()));
      offset += static_cast<uint64_t>(n);
      into = into.subspan(static_cast<size_t>(n));
    }
    return {};
  }

  Status write_at(uint64_t offset, ByteView from) override {
    while (!from.empty()) {
      const ssize_t n = pwrite(fd_, from.data(), from.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return failed("cannot write", path_, n == 0 ? ENOSPC : errno);
      offset += static_cast<uint64_t>(n);
      from = from.subspan(static_cast<size_t>(n));
    }
    return {};
  }

  Result<uint64_t> size() override {
    struct stat info {};
    if (fstat(fd_, &info) != 0) return failed("cannot look at", path_);
    return static_cast<uint64_t>(info.st_size);
  }

  Status truncate(uint64_t size) override {
    int rc = 0;
    do rc = ftruncate(fd_, static_cast<off_t>(size));
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? Status() : failed("cannot set the size of", path_);
  }

  Status punch(uint64_t offset, uint64_t length) override {
    US_TRY(const uint64_t end, size());
    if (offset >= end) return {};
    length = std::min(length, end - offset);
    int rc = 0;
    do
      rc = fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                     static_cast<off_t>(length));
    while (rc != 0 && errno == EINTR);
    if (rc == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return failed("cannot give back a part of", path_);
    static const Bytes zeroes(kZeroes);
    while (length > 0) {
      const uint64_t n = std::min<uint64_t>(length, kZeroes);
      US_CHECK(write_at(offset, ByteView(zeroes).first(n)));
      offset += n;
      length -= n;
    }
    return {};
  }

  Status sync() override {
    // fdatasync writes the size too, where data depends on it.
    return fdatasync(fd_) == 0 ? Status() : failed("cannot sync", path_);
  }

 private:
  int fd_;
  std::string path_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::write_existing:
      return O_RDWR;
    case OpenMode::create_new:
    case OpenMode::create_for_guest:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

gid_t find_group(const std::string& name) {
  char buffer[16 << 10];
  group entry{};
  group* found = nullptr;
  if (name.empty() || getgrnam_r(name.c_str(), &entry, buffer, sizeof buffer, &found) != 0 || !found)
    return static_cast<gid_t>(-1);
  return found->gr_gid;
}

}  // namespace

PosixFiles::PosixFiles(const std::string& group) : group_(find_group(group)) {}

Result<std::unique_ptr<File>> PosixFiles::open(const std::string& path, OpenMode mode) {
  // O_NONBLOCK: a fifo in the place of a file must not hold us; it means nothing for a file.
  const int fd = ::open(path.c_str(), flags_of(mode) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (fd < 0) return failed("cannot open", path);
  auto file = std::make_unique<PosixFile>(fd, path);
  struct stat info {};
  if (fstat(fd, &info) != 0) return failed("cannot look at", path);
  if (!S_ISREG(info.st_mode))
    return fail(ErrorCode::corrupt, path + " is not a regular file", "ls -l " + path);
  if (mode == OpenMode::create_new || mode == OpenMode::create_for_guest) {
    if (group_ != static_cast<gid_t>(-1) && fchown(fd, static_cast<uid_t>(-1), group_) != 0 && errno != EPERM)
      return failed("cannot set the group of", path);
    if (fchmod(fd, mode == OpenMode::create_for_guest ? 0660 : 0640) != 0)
      return failed("cannot set the mode of", path);
  }
  return file;
}

Result<bool> PosixFiles::exists(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return failed("cannot look at", path);
}

Status PosixFiles::rename(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? Status() : failed("cannot rename " + from + " to", to);
}

Status PosixFiles::remove(const std::string& path) {
  // std::remove: a file or an empty directory.
  return std::remove(path.c_str()) == 0 || errno == ENOENT ? Status() : failed("cannot remove", path);
}

Status PosixFiles::make_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0) {
    if (errno != EEXIST) return failed("cannot make the directory", path);
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) return failed("cannot look at", path);
    if (S_ISDIR(info.st_mode)) return {};
    return fail(ErrorCode::corrupt, path + " is not a directory", "ls -ld " + path);
  }
  // QEMU has to reach the images below; nobody but us may list them.
  return chmod(path.c_str(), 0711) == 0 ? Status() : failed("cannot set the mode of", path);
}

Status PosixFiles::sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return failed("cannot open the directory", path);
  const int rc = fsync(fd);
  const int error_number = errno;
  close(fd);
  return rc == 0 ? Status() : failed("cannot sync the directory", path, error_number);
}

Result<std::vector<std::string>> PosixFiles::list(const std::string& directory) {
  DIR* handle = opendir(directory.c_str());
  if (!handle) return failed("cannot list", directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> closer(handle, closedir);
  std::vector<std::string> names;
  errno = 0;
  for (const dirent* entry = readdir(handle); entry; entry = readdir(handle)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    if (names.size() > kMostNames)
      return fail(ErrorCode::too_large,
                  directory + " has more than " + std::to_string(kMostNames) + " entries");
    errno = 0;
  }
  if (errno != 0) return failed("cannot list", directory);
  std::sort(names.begin(), names.end());
  return names;
}

Result<uint64_t> PosixFiles::free_space(const std::string& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) return failed("cannot look at the file system of", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace understudy::files
