// The smallest reader of qcow2 chains: the public format, read from the bytes of the simulated disk.
#pragma once

#include <string>
#include <vector>

#include "store/testing/crash_files.h"

namespace understudy::sim {

struct BlockFound {
  bool good = false;
  std::string what;
};

class ChainReader {
 public:
  ChainReader(const store::CrashFiles& files, const std::string& directory, const std::string& top);
  // Does every sector of the range hold this value, zeroes when it is 0? `wholly`: every word of it.
  BlockFound block(uint64_t offset, uint64_t length, uint64_t value, bool wholly) const;

 private:
  struct Image {
    const Bytes* bytes = nullptr;
    unsigned cluster_bits = 0;
    uint64_t l1 = 0;
    uint64_t l1_entries = 0;
  };
  // The bytes at `offset`, or null: zeroes. Never more than a cluster.
  const std::byte* find(uint64_t offset) const;

  std::vector<Image> images_;  // top first
  std::string broken_;
};

}  // namespace understudy::sim
