// One qcow2 image, read and written by itself: its backing file is a name in the header and is never opened.
//
// Clusters are only ever appended: none is freed or moved, a range written twice is written in place, and a
// range zeroed keeps its cluster, given back to the file system, under the zero flag. So the refcounts of
// what flush() adds are one run of ones at the end, and what a crash can leave is clusters that nothing
// refers to; opening with `resume`, or with `modify` after an unclean end, counts again and leaves no leak.
//
// Lives as long as one staging, merge or check; one thread at a time. Memory: L1, the refcount table when
// writing (both bounded by the format) and at most kMostTableCache of L2 tables. After an error in a writing
// call the object is only good for closing: open it again.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "store/files.h"
#include "store/qcow2_header.h"

namespace understudy::store::qcow2 {

inline constexpr uint64_t kMostTableCache = 16
                                            << 20;  // three transfers and their merges stay far below 256 MiB

enum class Access : uint8_t {
  read,
  resume,  // an unpublished image of our own, after any crash: counts all references first
  modify,  // a published one: marked dirty, durably, until seal(); counts first when it already was
};

// Asked between bounded steps of long work; an error ends it.
using StopCheck = std::function<Status()>;

struct Mapping {
  enum class Kind : uint8_t { hole, zero, data };  // hole: the backing file shows through
  Kind kind = Kind::hole;
  uint64_t length = 0;
  uint64_t host = 0;  // of data: where it is in the file
};

class Image {
 public:
  struct New {
    uint64_t size = 0;
    uint64_t cluster_size = 0;  // a power of two, 4096..2 MiB
    std::string backing;        // a name in the same folder, or empty
    OpenMode mode = OpenMode::create_new;
  };
  static Result<std::unique_ptr<Image>> create(Files& files, const std::string& path, const New& wanted);
  static Result<std::unique_ptr<Image>> open(Files& files, const std::string& path, Access access,
                                             const StopCheck& stop = {});
  ~Image();

  const Header& header() const { return header_; }
  bool was_unclean() const { return unclean_; }  // opened with the dirty mark of somebody who never sealed it

  // Any range of the disk. In an image with a backing file, clusters that are not there yet must be covered
  // whole (or up to the end of the disk).
  Status write(uint64_t offset, ByteView data);
  Status zero(uint64_t offset, uint64_t length);
  // What is in this file alone: holes and zero ranges read as zeroes.
  Status read(uint64_t offset, MutableByteView into);
  // The longest run from `offset` of one kind (and, of data, in one piece in the file), at most `most` bytes.
  Result<Mapping> map(uint64_t offset, uint64_t most);

  // Data and refcounts, sync, then L2 and L1, sync.
  Status flush();
  // flush(), and takes the dirty mark off. The image is complete.
  Status seal();
  // Forgets cached tables; after flush().
  void shrink();
  // Keeps no more than these bytes of L2 tables (but four tables), instead of kMostTableCache.
  void limit_tables(uint64_t bytes) { most_tables_ = bytes; }

 private:
  struct Table {
    uint64_t index = 0;  // in L1
    uint64_t host = 0;
    Bytes bytes;  // as in the file
    std::vector<bool> dirty_pages;
  };
  struct Slot {              // where the entry of a cluster is
    Table* table = nullptr;  // none: the cluster has no table
    uint64_t at = 0;
    uint64_t entry = 0;
  };

  Image(std::unique_ptr<File> file, std::string path, Header header);
  Status load_l1();
  Status load_reftable();
  Status mark(bool dirty);
  Status rebuild_refcounts(const StopCheck& stop);
  Status for_each_reference(const StopCheck& stop, const std::function<Status(uint64_t cluster)>& use);
  Status write_refcounts();
  Status append_refblocks();
  Status write_tables();
  Status write_l1();
  Status write_host(uint64_t offset, ByteView bytes);
  Status read_host(uint64_t offset, MutableByteView into);
  Status check_range(uint64_t offset, uint64_t length) const;
  Result<Table*> table(uint64_t index, bool make);
  Status make_room();
  Result<Slot> slot(uint64_t offset, bool make);
  void put(const Slot& slot, uint64_t entry);
  Result<uint64_t> place(uint64_t offset, uint64_t length);
  Result<uint64_t> allocate();
  Result<uint64_t> zero_table(uint64_t offset, uint64_t length);
  Result<uint64_t> l1_host(uint64_t index);
  Result<uint64_t> entry_host(uint64_t entry);
  Result<bool> inside(uint64_t host);
  tl::unexpected<Error> damaged(const std::string& what) const;

  std::unique_ptr<File> file_;
  std::string path_;
  Header header_;
  uint64_t file_size_ = 0;  // as the file has it
  uint64_t end_ = 0;        // clusters in use or given up; the next one is appended here
  uint64_t counted_ = 0;    // clusters below have their refcount in the file
  bool writable_ = false;
  bool marked_ = false;
  bool unclean_ = false;
  bool unsynced_ = false;
  std::vector<uint64_t> l1_;        // raw entries
  std::set<uint64_t> dirty_l1_;     // pages of it
  std::vector<uint64_t> reftable_;  // offsets of refcount blocks, 0 = none
  std::list<Table> tables_;         // most recently used first
  std::map<uint64_t, std::list<Table>::iterator> by_index_;
  bool dirty_tables_ = false;
  uint64_t most_tables_ = kMostTableCache;
};

}  // namespace understudy::store::qcow2
