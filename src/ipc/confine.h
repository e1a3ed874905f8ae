// Takes from this process whatever it does not need, for good: before it has read a byte that is not the
// daemon's. Linux only; called once, before the second thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace understudy::ipc {

struct Confinement {
  uid_t user = 0;  // not root
  gid_t group = 0;
  std::string root;  // a folder, which is all of the file system from then on
  size_t most_descriptors = 1024;
  size_t most_memory = 2ULL << 30;  // of address space, bytes
  // It may open what its root holds and its user may, and write so many bytes into a file; 0: it opens none.
  size_t most_file = 0;
};

// User, group and root as words on a command line, and back; none: they are something else.
std::vector<std::string> words_of(const Confinement& confinement);
std::optional<Confinement> confinement_of(int argc, char** argv);

// What is left afterwards: the descriptors that are open, memory, threads, clocks, and sockets that are given
// to it. No file can be opened (but see most_file), nothing connected to (the network is an empty one;
// accept(2) on a listener that was handed over still works), no program run, no other process seen by a
// signal; no core is dumped. An error leaves a process that must end.
Status confine(const Confinement& confinement);

}  // namespace understudy::ipc
