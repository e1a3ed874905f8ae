#include "transfer/sender.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>

#include "base/assert.h"
#include "base/thread.h"
#include "base/waiting.h"
#include "transfer/compression.h"
#include "transfer/control.h"
#include "transfer/frame_io.h"

namespace understudy::transfer {
namespace {

// Where a failure was seen. What the replica says is the cause of what the connection did, not of what
// happened here.
enum class Cause : uint8_t { here, connection, replica };

// One extent on its way through the queue.
struct Chunk {
  ExtentHead head;
  bool zero = false;
  std::array<std::byte, kHeaderSize + kExtentHeadSize> front;  // once ready
  Bytes body;                                                  // raw, then as it goes over the wire
  bool ready = false;
  uint64_t raw() const { return zero ? 0 : head.length; }
  uint64_t cost() const { return kChunkCost + raw(); }
  void make_front() {
    encode_extent(zero ? FrameType::extent_zero : FrameType::extent_data, head,
                  static_cast<uint32_t>(body.size()), front);
    ready = true;
  }
};
using ChunkPtr = std::shared_ptr<Chunk>;

// Calls `then` when `cancel` is cancelled, from its own thread; not any more once destroyed.
class CancelWatch {
 public:
  CancelWatch(const CancelToken& cancel, std::function<void()> then)
      : thread_("link-cancel", [cancel, done = done_, then = std::move(then)] {
          (void)CancelToken::wait({cancel, done}, Condition::kForever);
          if (cancel.cancelled()) then();
        }) {}
  ~CancelWatch() { done_.cancel(); }

 private:
  CancelToken done_;
  Thread thread_;  // joined first
};

}  // namespace

struct Sender::State {
  State(Wire& to, const SendPlan& with) : wire(to), plan(with), at(with.from) {}

  // --- the calling thread ---
  Result<SendSummary> run(Source& source, const Progress& report, const CancelToken& cancel);
  Status pump(Source& source, const CancelToken& cancel);
  Status push(ExtentData extent);
  Status check_extent(const ExtentData& extent) const;
  Status wait_complete();
  void report_progress(std::unique_lock<std::mutex>& lock);
  void end_threads();

  // --- the others ---
  void compress_loop();
  void write_loop();
  Status write_next(std::unique_lock<std::mutex>& lock);
  Status write_throttled(ByteView bytes);
  void read_loop();
  Status take(const Frame& frame);
  Status take_applied(uint64_t bytes);  // with mutex
  void fail_with(Error error, Cause cause);
  bool writable() const {
    return !queue.empty() && queue.front()->ready && sent - applied + queue.front()->raw() <= limits::kWindow;
  }

  Wire& wire;
  const SendPlan plan;
  CancelToken stop;  // ends waits for the throttle
  CompressionPolicy policy;

  // Of the calling thread.
  Cursor at;
  SendSummary summary;
  const Progress* progress = nullptr;
  uint64_t total = 0;
  uint64_t reported = 0;

  std::mutex mutex;                  // for all below
  Condition changed;                 // any of it
  std::deque<ChunkPtr> queue;        // in order, until its writing begins
  std::deque<ChunkPtr> to_compress;  // those of them nobody has taken yet
  uint64_t queued = 0;               // cost of what is not yet written
  uint64_t sent = 0;                 // raw bytes of data
  uint64_t applied = 0;              // of them
  std::optional<EndFrame> end;       // the source is at its end
  bool end_sent = false;
  bool complete = false;
  std::optional<Error> failure;
  Cause failure_cause = Cause::here;
  bool stopping = false;
  bool reader_done = false;
  bool writer_done = false;
  bool torn = false;    // a frame is only partly written
  bool broken = false;  // a write failed: the cause may be on its way from the other side
  uint64_t wire_bytes = 0;
  uint64_t peak_window = 0;
  uint64_t peak_queued = 0;

  std::vector<Thread> threads;
};

Sender::Sender(Wire& wire, const SendPlan& plan) : state_(std::make_unique<State>(wire, plan)) {}
Sender::~Sender() = default;
uint64_t Sender::peak_window() const {
  return state_->peak_window;
}
uint64_t Sender::peak_queued() const {
  return state_->peak_queued;
}
Result<SendSummary> Sender::run(Source& source, const Progress& progress, const CancelToken& cancel) {
  return state_->run(source, progress, cancel);
}

void Sender::State::fail_with(Error error, Cause cause) {
  {
    const std::lock_guard lock(mutex);
    if (failure && !(failure_cause == Cause::connection && cause == Cause::replica)) return;
    failure = std::move(error);
    failure_cause = cause;
  }
  stop.cancel();
  changed.notify_all();
}

// --- the calling thread ---

Result<SendSummary> Sender::State::run(Source& source, const Progress& report, const CancelToken& cancel) {
  US_CHECK(cancel.check());
  progress = &report;
  for (size_t i = 0; plan.compress && i < kCompressors; ++i)
    threads.emplace_back("link-compress", [this] { compress_loop(); });
  threads.emplace_back("link-write", [this] { write_loop(); });
  threads.emplace_back("link-ack", [this] { read_loop(); });
  {
    const CancelWatch watch(cancel, [this] {
      fail_with(Error(ErrorCode::cancelled, "the transfer was cancelled"), Cause::here);
    });
    if (const Status status = pump(source, cancel); !status) fail_with(status.error(), Cause::here);
  }
  end_threads();
  if (failure) return fail(*failure);
  summary.wire_bytes = wire_bytes;
  return summary;
}

Status Sender::State::pump(Source& source, const CancelToken& cancel) {
  US_TRY(total, source.bytes_to_send(plan.from));
  const auto deliver = [this](ExtentData extent) { return push(std::move(extent)); };
  US_CHECK(source.stream(plan.from, kMostReadAhead, deliver, cancel));
  return wait_complete();
}

// A failed write has a reason, which may still be on its way; a reason that came from here is told if it can
// be.
void Sender::State::end_threads() {
  std::unique_lock lock(mutex);
  if (failure) {
    changed.wait_for(lock, kCauseWait, [this] {
      return failure_cause == Cause::replica || (broken ? reader_done : writer_done);
    });
    if (failure_cause != Cause::replica && writer_done && !torn) {
      const std::string text = refusal_text(0, *failure);
      lock.unlock();
      (void)write_text(wire, FrameType::error, text, kCauseWait);
      lock.lock();
    }
  }
  stopping = true;
  const bool failed = failure.has_value();
  lock.unlock();
  changed.notify_all();
  if (failed) wire.interrupt();
  threads.clear();
}

Status Sender::State::check_extent(const ExtentData& extent) const {
  const Extent& e = extent.extent;
  const bool good =
      Cursor{e.disk, e.offset} >= at && e.disk < limits::kMostDisks && (e.length > 0 || e.zero) &&
      e.offset <= limits::kMostDiskSize && e.length <= limits::kMostDiskSize - e.offset &&
      (e.zero ? extent.data.empty() : e.length <= limits::kMostExtentData && extent.data.size() == e.length);
  if (good) return {};
  return fail(ErrorCode::failed, "the source of the transfer yields disk " + std::to_string(e.disk) +
                                     " from " + std::to_string(e.offset) + ", " + std::to_string(e.length) +
                                     " bytes, which cannot come now");
}

Status Sender::State::push(ExtentData extent) {
  US_CHECK(check_extent(extent));
  auto chunk = std::make_shared<Chunk>();
  chunk->head = {extent.extent.disk, Codec::none, extent.extent.offset, extent.extent.length, {}};
  chunk->head.check = extent_check(chunk->head, extent.data, plan.tag);
  chunk->zero = extent.extent.zero;
  chunk->body = std::move(extent.data);
  const bool compress = plan.compress && !chunk->zero && policy.worth_trying();
  if (!compress) chunk->make_front();
  at = chunk->head.end();
  (chunk->zero ? summary.zero_bytes : summary.data_bytes) += chunk->head.length;

  std::unique_lock lock(mutex);
  while (!failure && queued + chunk->cost() > kMostQueued) {
    changed.wait_for(lock, limits::kLinkIdle);
    report_progress(lock);
  }
  if (failure) return fail(*failure);
  queued += chunk->cost();
  peak_queued = std::max(peak_queued, queued);
  if (compress) to_compress.push_back(chunk);
  queue.push_back(std::move(chunk));
  report_progress(lock);
  changed.notify_all();
  return {};
}

Status Sender::State::wait_complete() {
  std::unique_lock lock(mutex);
  end = EndFrame{at, summary.data_bytes, summary.zero_bytes};
  changed.notify_all();
  while (!failure && !complete) {
    changed.wait_for(lock, limits::kLinkIdle);
    report_progress(lock);
  }
  if (failure) return fail(*failure);
  return {};
}

void Sender::State::report_progress(std::unique_lock<std::mutex>& lock) {
  if (!*progress || applied == reported) return;
  reported = applied;
  lock.unlock();
  (*progress)(reported, total);
  lock.lock();
}

// --- compressing ---

void Sender::State::compress_loop() {
  Compressor compressor;
  Bytes scratch(limits::kMostExtentData);
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [this] { return stopping || failure || !to_compress.empty(); });
    if (stopping || failure) return;
    const ChunkPtr chunk = to_compress.front();
    to_compress.pop_front();
    lock.unlock();
    const size_t size = compressor.compress(chunk->body, scratch);
    policy.tried(size != 0);
    if (size != 0) {
      chunk->head.codec = Codec::zstd;
      chunk->body.assign(scratch.begin(), scratch.begin() + static_cast<ptrdiff_t>(size));
    }
    lock.lock();
    chunk->make_front();
    changed.notify_all();
  }
}

// --- writing ---

void Sender::State::write_loop() {
  std::unique_lock lock(mutex);
  Status status;
  while (status && !failure && !end_sent) {
    const bool due = changed.wait_for(lock, kPingAfter,
                                      [this] { return failure || writable() || (end && queue.empty()); });
    if (failure) break;
    torn = true;
    if (due) {
      status = write_next(lock);
    } else {
      lock.unlock();
      status = write_throttled(encode_frame(FrameType::ping, {}));
      lock.lock();
    }
    if (status) torn = false;
  }
  broken = !status && !failure;
  lock.unlock();
  if (!status) fail_with(status.error(), Cause::connection);
  lock.lock();
  writer_done = true;
  changed.notify_all();
}

Status Sender::State::write_next(std::unique_lock<std::mutex>& lock) {
  if (queue.empty()) {
    end_sent = true;
    const Bytes frame = encode_end(*end, plan.tag);
    lock.unlock();
    const Status status = write_throttled(frame);
    lock.lock();
    return status;
  }
  const ChunkPtr chunk = queue.front();
  queue.pop_front();
  sent += chunk->raw();
  peak_window = std::max(peak_window, sent - applied);
  lock.unlock();
  Status status = write_throttled(chunk->front);
  if (status) status = write_throttled(chunk->body);
  lock.lock();
  queued -= chunk->cost();
  changed.notify_all();
  return status;
}

Status Sender::State::write_throttled(ByteView bytes) {
  while (!bytes.empty()) {
    size_t piece = bytes.size();
    if (plan.throttle && plan.throttle->limited()) {
      piece = std::min<size_t>(piece, kThrottledPiece);
      US_CHECK(plan.throttle->take(piece, limits::kLinkIdle, stop));
    }
    US_CHECK(wire.write(bytes.first(piece), limits::kLinkIdle));
    wire_bytes += piece;
    bytes = bytes.subspan(piece);
  }
  return {};
}

// --- reading ---

void Sender::State::read_loop() {
  Monotonic until_complete{INT64_MAX};
  Status status;
  while (status) {
    const auto frame = read_frame(wire, limits::kLinkIdle);
    const Monotonic now = waiting_now();
    std::unique_lock lock(mutex);
    if (complete || stopping) break;
    if (end_sent && until_complete.us == INT64_MAX) until_complete = now + limits::kLinkFinish;
    if (!frame && frame.error().code() == ErrorCode::timeout && end_sent && now < until_complete) continue;
    if (!frame) {
      status = fail(frame.error());
    } else if (frame->type == FrameType::error) {
      lock.unlock();
      const auto refusal = read_refusal(frame->payload);
      fail_with(refusal ? refusal->error : refusal.error(), refusal ? Cause::replica : Cause::here);
      break;
    } else {
      status = take(*frame);
      changed.notify_all();
      if (complete) break;
    }
  }
  if (!status) fail_with(status.error(), Cause::connection);
  const std::lock_guard lock(mutex);
  reader_done = true;
  changed.notify_all();
}

Status Sender::State::take(const Frame& frame) {
  if (frame.type == FrameType::applied) {
    US_TRY(const AppliedFrame said, decode_applied(frame.payload, plan.tag));
    return take_applied(said.applied);
  }
  if (frame.type != FrameType::cursor)
    return fail(ErrorCode::protocol, "the replica sent a frame of type " +
                                         std::to_string(static_cast<unsigned>(frame.type)) +
                                         " during a transfer");
  US_TRY(const CursorFrame said, decode_cursor(frame.payload, plan.tag));
  US_CHECK(take_applied(said.applied));
  if (!said.complete) return {};
  if (!end_sent || said.cursor != end->cursor || applied != sent)
    return fail(ErrorCode::protocol, "the replica says that the transfer is complete, which it is not");
  complete = true;
  return {};
}

Status Sender::State::take_applied(uint64_t bytes) {
  if (bytes < applied || bytes > sent)
    return fail(ErrorCode::protocol, "the replica says that it applied " + std::to_string(bytes) +
                                         " bytes of " + std::to_string(sent) + " sent");
  applied = bytes;
  return {};
}

}  // namespace understudy::transfer
