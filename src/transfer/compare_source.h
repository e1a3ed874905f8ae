// A resync's source: of a full export only what the replica does not hold already. Both sides hash blocks of
// the granule (block_hash.h); what is equal is passed over, with a mark after every limits::kComparedEvery.
#pragma once

#include "transfer/block_hash.h"
#include "transfer/peer.h"
#include "transfer/source.h"

namespace understudy::transfer {

// The replica's hashes of a range of one disk. Called by one thread at a time, for ranges in order, at most
// limits::kMostHashRange each.
using AskHashes =
    std::function<Result<std::vector<HashRun>>(uint32_t disk, uint64_t offset, uint64_t length)>;

struct Compared {          // bytes
  uint64_t compared = 0;   // of all disks; what lies before the cursor was compared earlier and counts
  uint64_t total = 0;      // of all disks
  uint64_t differing = 0;  // found since the stream began
};

// Takes `all`, which yields every byte of `disks` from a cursor on, as data or zero; a gap is an error and
// not taken as equal. bytes_to_send() is what is still to compare. While it streams, a thread of its own asks
// ahead; on cancel the stream ends when the `ask` under way does. `progress` (may be empty) is called by the
// streaming thread, for every range compared.
std::unique_ptr<Source> compare_source(std::unique_ptr<Source> all, std::vector<DiskGeometry> disks,
                                       HashSecret secret, AskHashes ask,
                                       std::function<void(const Compared&)> progress);

// Asks over a connection of its own: `about` with the range filled in. `connect` is called when there is none
// yet, and again when the replica has closed one that was idle because the sending was slow. What cancels its
// connections ends an `ask` under way.
AskHashes ask_over(std::function<Result<std::unique_ptr<Peer>>()> connect, HashesRequest about);

}  // namespace understudy::transfer
