#include "source/extent_merger.h"

#include "base/assert.h"
#include "model/extent_math.h"

namespace understudy::source {

ExtentMerger::ExtentMerger(uint32_t disk, uint64_t from, uint64_t size, uint32_t granule, Emit emit)
    : disk_(disk), size_(size), granule_(granule), emit_(std::move(emit)), at_(from) {
  US_ASSERT(granule > 0 && from % granule == 0 && from <= size);
}

void ExtentMerger::add(Fragment fragment) {
  uint64_t left = least(fragment.length, size_ - at_);
  while (left > 0) {
    const uint64_t granule_start = align_down(at_, granule_);
    const uint64_t granule_end = least(granule_start + granule_, size_);
    const uint64_t whole = align_down(left, granule_);
    if (at_ == granule_start && whole > 0) {
      add_granules(at_, whole, kind_of(fragment.changed, fragment.zero));
      at_ += whole;
      left -= whole;
    } else {
      const uint64_t part = least(left, granule_end - at_);
      changed_ = changed_ || fragment.changed;
      zero_ = zero_ && fragment.zero;
      at_ += part;
      left -= part;
      if (at_ != granule_end) continue;
      add_granules(granule_start, granule_end - granule_start, kind_of(changed_, zero_));
      changed_ = false;
      zero_ = true;
    }
  }
  if (at_ == size_) emit_run();
}

void ExtentMerger::add_granules(uint64_t offset, uint64_t length, Kind kind) {
  if (kind != run_kind_) {
    emit_run();
    run_kind_ = kind;
  }
  if (run_length_ == 0) run_offset_ = offset;
  run_length_ += length;
  while (run_kind_ == Kind::data && run_length_ >= limits::kMostExtentData) {
    emit_({disk_, run_offset_, limits::kMostExtentData, false});
    run_offset_ += limits::kMostExtentData;
    run_length_ -= limits::kMostExtentData;
  }
}

void ExtentMerger::emit_run() {
  if (run_length_ > 0 && run_kind_ != Kind::clean)
    emit_({disk_, run_offset_, run_length_, run_kind_ == Kind::zero});
  run_length_ = 0;
}

}  // namespace understudy::source
