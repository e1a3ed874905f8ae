// A disk for tests: files in memory that lose, tear or keep what was not synced when crash() is called,
// chosen from a seed. Writes of one file survive sector by sector, in any combination. Names that were not
// synced survive as far as a journal got, or in any combination; a rename is never half done. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "store/files.h"

namespace understudy::store {

class CrashFiles final : public Files {
 public:
  CrashFiles();

  // From the n-th operation on (counted from 1, since the last call) everything fails, as for a killed
  // process.
  void die_at(uint64_t n);
  // The n-th operation alone fails, with no space left.
  void fail_at(uint64_t n);
  uint64_t operations() const { return operations_; }
  bool dead() const { return dead_; }
  // The process alone restarts: nothing is lost, and nothing is more durable than it was.
  void restart_process();
  // The machine restarts: unsynced writes and names are lost or kept by the seed. Open files are of the past.
  void crash(uint64_t seed);
  static uint64_t seed_that_loses_all();

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<uint64_t> free_space(const std::string& path) override;

  // For tests that damage things; durable at once.
  std::string content(const std::string& path) const;
  void put(const std::string& path, const std::string& content);

 private:
  struct Change {  // of one file, not synced
    uint64_t offset = 0;
    Bytes bytes;
    bool resize = false;  // to `offset`
  };
  struct Inode {
    Bytes now;
    Bytes durable;
    std::vector<Change> changes;
  };
  struct NameChange {
    std::string from;              // empty: nothing disappears
    std::string to;                // empty: nothing appears
    std::shared_ptr<Inode> inode;  // of `to`; none: a directory
  };
  class MemoryFile;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;  // no inode: a directory

  Status step();
  void change(NameChange change);
  static void apply(Names& names, const NameChange& change);
  template <class Survives>
  static void replay(Bytes& bytes, const Change& change, Survives survives);

  Names now_;
  Names durable_;
  std::vector<NameChange> changes_;
  uint64_t operations_ = 0;
  uint64_t die_at_ = 0;
  uint64_t fail_at_ = 0;
  bool dead_ = false;
  uint64_t life_ = 0;  // counts crashes: handles of an earlier life fail
};

}  // namespace understudy::store
