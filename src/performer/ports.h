// The adapters an engine's actions are carried out with. All outlive the core loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/ports/hypervisor.h"
#include "core/ports/state_db.h"
#include "store/files.h"
#include "transfer/block_hash.h"
#include "transfer/peer.h"
#include "transfer/source.h"

namespace understudy::performer {

// A source over the open backup job of this VM: the changes since the checkpoint `from`, or everything.
using OpenSource = std::function<Result<std::unique_ptr<transfer::Source>>(
    const Uuid& vm, const std::vector<DiskGeometry>& disks, const std::optional<std::string>& from)>;

// Makes files writable for the user QEMU runs as. With no path: only whether that user can be told.
using GiveToGuest = std::function<Status(const std::vector<std::string>& paths)>;

struct Ports {
  core::Hypervisor& hypervisor;
  transfer::Connector& connector;
  store::Files& files;
  core::StateDb& state_db;
  Clock& clock;
  core::Ids& ids;
  OpenSource open_source;
  GiveToGuest give_to_guest;
  std::function<transfer::HashSecret()> new_secret = transfer::HashSecret::random;
};

}  // namespace understudy::performer
