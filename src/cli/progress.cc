#include "cli/progress.h"

#include <algorithm>
#include <ostream>

#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr uint64_t kBarWidth = 24;
constexpr const char* kClearLine = "\r\033[K";

std::string bar(uint64_t percent) {
  const uint64_t full = std::min<uint64_t>(percent, 100) * kBarWidth / 100;
  return "[" + std::string(full, '#') + std::string(kBarWidth - full, '.') + "]";
}

}  // namespace

// "25 %, 300.0 MiB of 1.2 GiB, 30.0 MiB/s, 30 s left"
std::string Progress::amounts(const ProgressState& state, Monotonic now) {
  std::string text = std::to_string(state.percent) + " %";
  if (state.bytes_total == 0) return text;
  text += ", " + bytes_text(state.bytes_done) + " of " + bytes_text(state.bytes_total);
  if (!first_ || state.bytes_done < first_->bytes) first_ = First{now, state.bytes_done};
  const auto millis = static_cast<uint64_t>((now - first_->at).whole_millis());
  const uint64_t moved = state.bytes_done - first_->bytes;
  if (millis < 1000 || moved < 1000) return text;
  const uint64_t rate = std::max<uint64_t>(moved / 1000 * 1'000'000 / millis, 1);
  text += ", " + bytes_text(rate) + "/s";
  if (state.bytes_total > state.bytes_done)
    text += ", " +
            age_text(Duration::seconds(static_cast<int64_t>((state.bytes_total - state.bytes_done) / rate))) +
            " left";
  return text;
}

void Progress::show(const ProgressState& state, Monotonic now) {
  if (!first_ && state.bytes_total > 0) first_ = First{now, state.bytes_done};
  if (now - start_ < kProgressAfter) return;
  const std::string title = printable(state.title);
  if (draws_) {
    out_ << kClearLine << bar(state.percent) << ' ' << title << ": " << amounts(state, now) << std::flush;
    drawn_ = true;
    return;
  }
  if (last_line_ && now - *last_line_ < kProgressLineEvery) return;
  std::string text = title + ": " + amounts(state, now);
  if (text == last_text_) return;
  out_ << text << std::endl;
  last_line_ = now;
  last_text_ = std::move(text);
}

void Progress::clear() {
  if (drawn_) out_ << kClearLine << std::flush;
  drawn_ = false;
}

}  // namespace understudy::cli
