#include "source/disk_stream.h"

#include "base/limits.h"

namespace understudy::source {
namespace {
constexpr size_t kMostReads = 32;     // on their way; QEMU works on 16 of a connection
constexpr size_t kEnoughWanted = 64;  // asks on while so many extents are known
}  // namespace

DiskStream::DiskStream(std::vector<std::unique_ptr<NbdConnection>> connections, uint32_t disk,
                       std::string target, uint64_t from, uint32_t granule, uint64_t most_in_flight,
                       const CancelToken& cancel)
    : target_(std::move(target)),
      size_(connections.front()->size()),
      most_in_flight_(most_in_flight),
      cancel_(cancel),
      merger_(disk, from, size_, granule, [this](const Extent& extent) { wanted_.push_back(extent); }),
      asked_(from),
      connections_(std::move(connections)) {}

bool DiskStream::finished() const {
  return asked_ == size_ && !asking_ && wanted_.empty() && slots_.empty();
}

Status DiskStream::run(const Deliver& deliver) {
  std::vector<NbdConnection*> connections;
  for (const auto& c : connections_) connections.push_back(c.get());
  while (!finished()) {
    if (!asking_ && asked_ < size_ && wanted_.size() < kEnoughWanted) US_CHECK(ask());
    if (asking_ && answer_.pending.done) US_CHECK(take_answer());
    US_CHECK(begin_reads());
    const bool ready = !slots_.empty() && (slots_.front()->data.extent.zero || slots_.front()->pending.done);
    if (ready) US_CHECK(deliver_first(deliver));
    const bool waiting = asking_ || !slots_.empty();
    if (waiting) US_CHECK(NbdConnection::wait(connections, ready ? Duration{} : kNbdStall, cancel_));
    US_CHECK(cancel_.check());
  }
  return {};
}

Status DiskStream::ask() {
  asking_ = true;
  return connections_.front()->status(asked_, size_ - asked_, answer_);
}

Status DiskStream::take_answer() {
  asking_ = false;
  if (Status status = answer_.feed(merger_); !status) return fail(status.error().context("disk " + target_));
  asked_ = merger_.position();
  return {};
}

Status DiskStream::begin_reads() {
  while (!wanted_.empty() && slots_.size() < kMostReads) {
    const Extent extent = wanted_.front();
    const uint64_t bytes = extent.zero ? 0 : extent.length;
    if (in_flight_ > 0 && in_flight_ + bytes > most_in_flight_) break;
    wanted_.pop_front();
    Slot& slot = *slots_.emplace_back(std::make_unique<Slot>());
    slot.data.extent = extent;
    slot.data.data.resize(bytes);
    in_flight_ += bytes;
    if (extent.zero) continue;
    US_CHECK(connections_[turn_++ % connections_.size()]->read(extent.offset, slot.data.data, slot.pending));
  }
  return {};
}

Status DiskStream::deliver_first(const Deliver& deliver) {
  const std::unique_ptr<Slot> slot = std::move(slots_.front());
  slots_.pop_front();
  const Extent extent = slot->data.extent;
  if (slot->pending.error != 0) {
    return fail_errno(slot->pending.error, "disk " + target_ + ": reading " + std::to_string(extent.length) +
                                               " bytes at " + std::to_string(extent.offset) + " of the backup");
  }
  in_flight_ -= slot->data.data.size();
  return deliver(std::move(slot->data));
}

}  // namespace understudy::source
