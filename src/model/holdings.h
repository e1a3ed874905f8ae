// What the two sides tell each other about a replica when they reconcile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/disk.h"
#include "model/finding.h"
#include "model/lineage.h"
#include "model/states.h"

namespace understudy {

enum class TransferKind : uint8_t {
  pass,   // a fuzzy pass of the first copy into the base that is being made; no point comes of it
  delta,  // all changes up to one cut: `finish` makes it a recovery point
};

// Names one transfer; begin with an equal key continues where the replica's cursor stands.
struct TransferKey {
  Lineage lineage;    // sequence = of the cut (delta) or of the pass's checkpoint
  uint64_t from = 0;  // delta: the sequence it continues (0 = closing increment of the first copy); pass: its
                      // number from 0
  TransferKind kind = TransferKind::pass;
  bool operator==(const TransferKey&) const = default;
};

struct Staging {
  TransferKey key;
  Cursor cursor;
  bool operator==(const Staging&) const = default;
};

// Another host of the trust group than the one that asks.
struct OtherSender {
  std::string name;  // in its certificate
  bool operator==(const OtherSender&) const = default;
};

// The replica's answer to "what do you hold of this VM?".
struct Holdings {
  ReplicationMode mode = ReplicationMode::none;
  ReplicationState state = ReplicationState::disabled;
  Lineage lineage;                 // of the newest published point; sequence 0 = none yet
  std::optional<Staging> staging;  // what is half received
  std::optional<HostState> host = std::nullopt;
  // Who sent what is held, when it was not who asks: whatever record of changes the asking host has does not
  // continue it.
  std::optional<OtherSender> sender = std::nullopt;
  bool operator==(const Holdings&) const = default;
};

}  // namespace understudy
