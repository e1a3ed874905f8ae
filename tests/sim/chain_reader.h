// The smallest reader of qcow2 chains: the public format, read from the bytes of the simulated disk.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/testing/crash_files.h"

namespace understudy::sim {

struct BlockFound {
  bool good = false;
  std::string what;
};

// What a word may be instead of the one that was asked for: at which offset, and which.
using Excuse = std::function<bool(uint64_t offset, uint64_t value, uint64_t found)>;

class ChainReader {
 public:
  ChainReader(const store::CrashFiles& files, const std::string& directory, const std::string& top);
  // Does every sector of the range hold this value, zeroes when it is 0? `wholly`: every word of it.
  BlockFound block(uint64_t offset, uint64_t length, uint64_t value, bool wholly,
                   const Excuse& excuse = {}) const;
  uint64_t word(uint64_t offset) const;
  struct Place {
    std::string path;
    uint64_t byte = 0;
  };
  std::optional<Place> place(uint64_t offset) const;  // of data; none: it reads as zeroes

 private:
  struct Image {
    const Bytes* bytes = nullptr;
    unsigned cluster_bits = 0;
    uint64_t l1 = 0;
    uint64_t l1_entries = 0;
    std::string path;
  };
  struct Found {
    const Image* image = nullptr;
    uint64_t at = 0;
  };
  // Where the bytes at `offset` are, or nowhere: zeroes. Never more than a cluster.
  std::optional<Found> find(uint64_t offset) const;

  std::vector<Image> images_;  // top first
  std::string broken_;
};

}  // namespace understudy::sim
