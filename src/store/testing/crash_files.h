// A disk for tests: files in memory that lose, tear or keep what was not synced when crash() is called,
// chosen from a seed. Writes of one file survive sector by sector, in any combination. Names that were not
// synced survive as far as a journal got, or in any combination; a rename is never half done. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/files.h"

namespace understudy::store {

class CrashFiles final : public Files {
 public:
  enum class Operation : uint8_t { look, read, write, resize, sync, name, sync_names };
  // What is to become of an operation. An error may come instead of the effect or after it; of a write that
  // is refused, the first `done` bytes are there. What a failed sync was to make durable never will be.
  struct Verdict {
    std::optional<Error> error{};
    bool after = false;
    size_t done = 0;
  };
  using Judge = std::function<Verdict(Operation operation, const std::string& path)>;

  CrashFiles();
  // Asked before every operation, from the next one on.
  void judge(Judge judge) { judge_ = std::move(judge); }

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

  // For tests that look, or damage things; what they write is durable at once.
  std::string content(const std::string& path) const;
  const Bytes* bytes(const std::string& path) const;          // null: not there
  const Bytes* durable_bytes(const std::string& path) const;  // what a crash that loses all would leave
  std::vector<std::string> paths() const;
  uint64_t changes_outside(const std::string& directory) const;  // of it; counted over all lives
  void put(const std::string& path, const std::string& content);
  void flip(const std::string& path, uint64_t bit);
  // All files below the directory.
  void replace_all(const std::string& directory, const std::map<std::string, std::string>& contents);

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

  Status step(Operation operation, const std::string& path);
  Status end();  // of an operation that step() let happen
  void changed(const std::string& path);
  void change(NameChange change);
  void sync_all();  // names
  static void apply(Names& names, const NameChange& change);
  template <class Survives>
  static void replay(Bytes& bytes, const Change& change, Survives survives);

  Names now_;
  Names durable_;
  std::vector<NameChange> changes_;
  Judge judge_;
  Verdict verdict_;
  std::map<std::string, uint64_t> changed_;  // directory -> changes in it
  uint64_t operations_ = 0;
  uint64_t die_at_ = 0;
  uint64_t fail_at_ = 0;
  bool dead_ = false;
  uint64_t life_ = 0;  // counts crashes: handles of an earlier life fail
};

}  // namespace understudy::store
