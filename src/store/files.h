// The file system behind one seam: everything the store does on disk goes through here, so that the simulator
// can forget what was not synced, tear writes and run out of space. files/ is the real one. Any thread; a
// File is used by one thread at a time unless said otherwise. Paths are absolute.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy::store {

class File {
 public:
  virtual ~File() = default;
  // Fills all of `into`; a short file is an error (corrupt), never a short read.
  virtual Status read_at(uint64_t offset, MutableByteView into) = 0;
  virtual Status write_at(uint64_t offset, ByteView from) = 0;
  virtual Result<uint64_t> size() = 0;
  virtual Status truncate(uint64_t size) = 0;
  // Gives the range back to the file system; it reads as zeroes. A file system that cannot: no error, zeroes
  // written.
  virtual Status punch(uint64_t offset, uint64_t length) = 0;
  virtual Status sync() = 0;  // data and size are durable when it returns
};

enum class OpenMode : uint8_t {
  read,
  write_existing,
  create_new,        // refuses what is there; 0640
  create_for_guest,  // the same with 0660: QEMU's group may write it
};

class Files {
 public:
  virtual ~Files() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Status rename(const std::string& from,
                        const std::string& to) = 0;    // replaces; durable after sync_directory
  virtual Status remove(const std::string& path) = 0;  // or an empty directory; no error when it is not there
  virtual Status make_directory(const std::string& path) = 0;  // 0711; no error when it is there
  virtual Status sync_directory(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;  // names, sorted
  virtual Result<uint64_t> free_space(const std::string& path) = 0;                 // bytes
};

}  // namespace understudy::store
