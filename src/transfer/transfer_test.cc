// Sender and receiver, and the conversation around them, over pairs of sockets and over bytes in memory.
#include <gtest/gtest.h>

#include "base/thread.h"
#include "transfer/client.h"
#include "transfer/compression.h"
#include "transfer/control.h"
#include "transfer/receiver.h"
#include "transfer/sender.h"
#include "transfer/session.h"
#include "transfer/throttle.h"
#include "transfer/wires_test.h"

namespace understudy::transfer {
namespace {

constexpr uint64_t kMiB = 1 << 20;
const Uuid kVm = *Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab");
const TransferKey kKey{{*Uuid::parse("00112233-4455-6677-8899-aabbccddeeff"), 1, 8}, 7, TransferKind::delta};
const uint64_t kTag = transfer_tag(kVm, kKey);

// Two disks of dull and random data and what is to be sent of them: data of several sizes, zeroes, gaps.
struct Sample {
  Images disks;
  std::vector<Extent> extents;
  Images expected;  // over a replica that was 0xee throughout
};
Sample sample(uint64_t size) {
  Sample made;
  made.disks[0] = dull_bytes(size, 3);
  made.disks[1] = random_bytes(size, 7);
  for (uint32_t disk = 0; disk < 2; ++disk) {
    uint64_t at = 0;
    for (uint64_t length = 4096; at + length * 3 <= size; length = length < kMiB ? length * 2 : length) {
      made.extents.push_back({disk, at, length, false});
      made.extents.push_back({disk, at + length, length, true});
      at += length * 3;
    }
    made.expected[disk] = Bytes(size, std::byte{0xee});
  }
  for (const Extent& e : made.extents) {
    const auto to = made.expected[e.disk].begin() + static_cast<ptrdiff_t>(e.offset);
    const auto from = made.disks[e.disk].begin() + static_cast<ptrdiff_t>(e.offset);
    if (e.zero)
      std::fill_n(to, e.length, std::byte{0});
    else
      std::copy_n(from, e.length, to);
  }
  return made;
}
Images blank(const Sample& made) {
  Images images;
  for (const auto& [disk, bytes] : made.disks) images[disk] = Bytes(bytes.size(), std::byte{0xee});
  return images;
}

// A receiver on its own thread; ends the conversation as a session does.
class FarEnd {
 public:
  FarEnd(std::unique_ptr<Wire> wire, FakeSink& sink, Cursor from = {})
      : wire_(std::move(wire)), thread_("far-end", [this, &sink, from] {
          status = Receiver(*wire_, sink, kTag, 4096, from).run();
          if (!status)
            (void)write_text(*wire_, FrameType::error, refusal_text(0, status.error()), Duration::seconds(5));
          if (!status) part(*wire_);
        }) {}
  const Status& join() {
    thread_.join();
    return status;
  }

 private:
  std::unique_ptr<Wire> wire_;
  Status status;
  Thread thread_;
};

TEST(Transfer, ArrivesByteForByte) {
  for (const bool compress : {false, true}) {
    const Sample made = sample(12 * kMiB);
    auto [near, far] = SocketWire::pair();
    FakeSink sink(blank(made));
    FarEnd far_end(std::move(far), sink);
    FakeSource source(made.disks, made.extents);
    uint64_t done = 0;
    uint64_t total = 0;
    const Progress progress = [&](uint64_t d, uint64_t t) {
      EXPECT_GT(d, done);
      done = d;
      total = t;
    };
    Sender sender(*near, {kTag, {}, compress, nullptr});
    const auto summary = sender.run(source, progress, {});
    ASSERT_TRUE(summary) << summary.error().text();
    ASSERT_TRUE(far_end.join());
    EXPECT_EQ(sink.images, made.expected);
    EXPECT_EQ(summary->data_bytes, *source.bytes_to_send({}));
    EXPECT_EQ(summary->zero_bytes, summary->data_bytes);
    EXPECT_EQ(summary->wire_bytes, near->written);
    EXPECT_EQ(done, summary->data_bytes);
    EXPECT_EQ(total, summary->data_bytes);
    EXPECT_LE(sender.peak_window(), limits::kWindow);
    EXPECT_LE(sender.peak_queued(), kMostQueued);
    EXPECT_EQ(sink.cursors.back(), (Cursor{1, made.extents.back().offset + made.extents.back().length}));
    if (compress) {
      EXPECT_LT(summary->wire_bytes, summary->data_bytes * 6 / 10);
    } else {
      EXPECT_GT(summary->wire_bytes, summary->data_bytes);
    }
  }
}

TEST(Transfer, WithNothingToSendEndsAtItsStart) {
  auto [near, far] = SocketWire::pair();
  FakeSink sink({});
  FarEnd far_end(std::move(far), sink, {1, 8192});
  FakeSource source({}, {});
  const auto summary = Sender(*near, {kTag, {1, 8192}, true, nullptr}).run(source, {}, {});
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_TRUE(far_end.join());
  EXPECT_EQ(sink.cursors, (std::vector<Cursor>{{1, 8192}}));
}

TEST(Transfer, GoesOnFromTheCursorWhereverTheLinkWasCut) {
  const Sample made = sample(48 * kMiB);
  std::mt19937 random(11);
  for (int round = 0; round < 6; ++round) {
    FakeSink sink(blank(made));
    FakeSource source(made.disks, made.extents);
    Cursor from;
    size_t cuts = 0;
    for (bool done = false; !done; ++cuts) {
      ASSERT_LT(cuts, 10u);
      auto [near, far] = SocketWire::pair();
      if (cuts < 4) near->cut_after = random() % (cuts == 0 ? 200 : 60 * kMiB);
      FarEnd far_end(std::move(far), sink, from);
      done = Sender(*near, {kTag, from, round % 2 == 0, nullptr}).run(source, {}, {}).has_value();
      EXPECT_EQ(far_end.join().has_value(), done);
      // What was not durable is gone.
      if (!sink.cursors.empty()) from = sink.cursors.back();
      if (!done)
        for (const Extent& e : made.extents)
          if (Cursor{e.disk, e.offset} >= from)
            std::fill_n(sink.images[e.disk].begin() + static_cast<ptrdiff_t>(e.offset), e.length,
                        std::byte{0xee});
    }
    EXPECT_EQ(sink.images, made.expected);
  }
}

TEST(Transfer, ASlowSinkBoundsWhatIsInMemory) {
  const Sample made = sample(64 * kMiB);
  auto [near, far] = SocketWire::pair();
  FakeSink sink(blank(made));
  FakeSource source(made.disks, made.extents);
  Gate ahead;
  std::atomic<uint64_t> read = 0;
  source.before = [&](const Extent& e) -> Status {
    read += e.zero ? 0 : e.length;
    if (read >= kMostQueued) ahead.open();
    return {};
  };
  sink.before_write = [&]() -> Status {
    EXPECT_TRUE(ahead.wait());
    EXPECT_LE(read - sink.received, limits::kWindow + kMostQueued + 2 * limits::kMostExtentData);
    return {};
  };
  FarEnd far_end(std::move(far), sink);
  Sender sender(*near, {kTag, {}, false, nullptr});
  const auto summary = sender.run(source, {}, {});
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_TRUE(far_end.join());
  EXPECT_EQ(sink.images, made.expected);
  EXPECT_LE(sender.peak_queued(), kMostQueued);
  EXPECT_GT(sender.peak_queued(), kMostQueued - 2 * limits::kMostExtentData);
}

// A replica that acknowledges only when nothing more comes: the window is exactly full then.
TEST(Transfer, StopsAtTheWindow) {
  auto [near, far] = SocketWire::pair();
  Thread replica("replica", [&far = far] {
    uint64_t received = 0;
    uint64_t applied = 0;
    while (true) {
      const auto frame = read_frame(*far, Duration::seconds(60));
      ASSERT_TRUE(frame) << frame.error().text();
      if (frame->type == FrameType::end) break;
      ASSERT_EQ(frame->type, FrameType::extent_data);
      received += kMiB;
      ASSERT_LE(received - applied, limits::kWindow);
      if (received - applied < limits::kWindow) continue;
      Bytes more(1);
      EXPECT_EQ(far->read(more, Duration::millis(100)).error().code(), ErrorCode::timeout);
      applied = received;
      ASSERT_TRUE(far->write(encode_applied({applied}, kTag), Duration::seconds(60)));
    }
    ASSERT_TRUE(far->write(encode_cursor({{0, 40 * kMiB}, true, received}, kTag), Duration::seconds(60)));
  });
  FakeSource source({{0, random_bytes(40 * kMiB, 1)}}, {});
  for (uint64_t at = 0; at < 40 * kMiB; at += kMiB) source.list.push_back({0, at, kMiB, false});
  Sender sender(*near, {kTag, {}, false, nullptr});
  const auto summary = sender.run(source, {}, {});
  ASSERT_TRUE(summary) << summary.error().text();
  EXPECT_EQ(sender.peak_window(), limits::kWindow);
}

TEST(Transfer, IsCancelledInTheMiddleWhileTheSinkIsStuck) {
  const Sample made = sample(48 * kMiB);
  auto [near, far] = SocketWire::pair();
  FakeSink sink(blank(made));
  Gate stuck;
  Gate gate;
  sink.before_write = [&]() -> Status {
    stuck.open();
    EXPECT_TRUE(gate.wait());
    return {};
  };
  FarEnd far_end(std::move(far), sink);
  FakeSource source(made.disks, made.extents);
  CancelToken cancel;
  Thread canceller("canceller", [&] {
    EXPECT_TRUE(stuck.wait());
    cancel.cancel();
  });
  const auto summary = Sender(*near, {kTag, {}, true, nullptr}).run(source, {}, cancel);
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code(), ErrorCode::cancelled);
  gate.open();
  EXPECT_FALSE(far_end.join());
}

TEST(Transfer, IsCancelledWhileItWaitsForTheThrottle) {
  const Sample made = sample(4 * kMiB);
  auto [near, far] = SocketWire::pair();
  FakeSink sink(blank(made));
  FarEnd far_end(std::move(far), sink);
  FakeSource source(made.disks, made.extents);
  Throttle throttle(64 << 10);
  CancelToken cancel;
  Gate begun;
  sink.before_write = [&]() -> Status {
    begun.open();
    return {};
  };
  Thread canceller("canceller", [&] {
    EXPECT_TRUE(begun.wait());
    cancel.cancel();
  });
  const auto summary = Sender(*near, {kTag, {}, false, &throttle}).run(source, {}, cancel);
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code(), ErrorCode::cancelled);
  EXPECT_FALSE(far_end.join());
}

TEST(Transfer, TellsTheReplicasReasonNotTheBrokenPipe) {
  const Sample made = sample(48 * kMiB);
  for (int round = 0; round < 5; ++round) {
    auto [near, far] = SocketWire::pair();
    FakeSink sink(blank(made));
    int writes = 0;
    sink.before_write = [&]() -> Status {
      if (++writes < 5) return {};
      return fail(ErrorCode::no_space, "the store is full", "make room in /srv");
    };
    FarEnd far_end(std::move(far), sink);
    FakeSource source(made.disks, made.extents);
    const auto summary = Sender(*near, {kTag, {}, false, nullptr}).run(source, {}, {});
    ASSERT_FALSE(summary);
    EXPECT_EQ(summary.error(), Error(ErrorCode::no_space, "the store is full", "make room in /srv"));
    near->interrupt();
    far_end.join();
  }
}

TEST(Transfer, TellsTheReplicaWhyThePrimaryGaveUp) {
  // So little that the replica has nothing to acknowledge yet: a failed acknowledgement would hide the
  // reason.
  const Sample made = sample(kMiB);
  auto [near, far] = SocketWire::pair();
  FakeSink sink(blank(made));
  FarEnd far_end(std::move(far), sink);
  FakeSource source(made.disks, made.extents);
  source.before = [](const Extent& e) -> Status {
    if (e.disk == 0) return {};
    return fail(ErrorCode::failed, "vdb cannot be read");
  };
  const auto summary = Sender(*near, {kTag, {}, true, nullptr}).run(source, {}, {});
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().message(), "vdb cannot be read");
  const Status status = far_end.join();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message(), "the primary gave up: vdb cannot be read");
}

TEST(Transfer, RefusesASourceThatGoesBackOrYieldsNonsense) {
  for (const auto& extents : std::vector<std::vector<Extent>>{{{0, 4096, 4096, false}, {0, 0, 4096, false}},
                                                              {{0, 0, 8192, false}, {0, 4096, 4096, false}},
                                                              {{40, 0, 4096, true}},
                                                              {{0, 4096, UINT64_MAX, true}},
                                                              {{0, 0, 0, false}},
                                                              {{0, 8192, 0, true}, {0, 4096, 0, true}}}) {
    auto [near, far] = SocketWire::pair();
    FakeSink sink({{0, Bytes(65536)}});
    FarEnd far_end(std::move(far), sink);
    FakeSource source({{0, Bytes(65536)}}, extents);
    EXPECT_FALSE(Sender(*near, {kTag, {}, false, nullptr}).run(source, {}, {}));
    EXPECT_FALSE(far_end.join());
  }
}

// Every byte of a recorded transfer damaged, one at a time: the sink never holds a byte that was not sent
// there.
TEST(Transfer, NeverGivesADamagedByteToTheSink) {
  const Images disks{{0, dull_bytes(9216, 1)}, {1, random_bytes(4608, 2)}};
  const std::vector<Extent> extents = {
      {0, 0, 512, false}, {0, 4096, 1024, true}, {0, 8192, 1024, false}, {1, 4096, 512, false}};
  Bytes stream;
  {
    auto [near, far] = SocketWire::pair();
    near->record = &stream;
    FakeSink sink({{0, Bytes(9216)}, {1, Bytes(4608)}});
    FarEnd far_end(std::move(far), sink);
    FakeSource source(disks, extents);
    ASSERT_TRUE(Sender(*near, {kTag, {}, true, nullptr}).run(source, {}, {}));
  }
  const Images before{{0, Bytes(9216, std::byte{0xee})}, {1, Bytes(4608, std::byte{0xee})}};
  const auto receive = [&](Bytes bytes, FakeSink& sink) {
    MemoryWire wire(std::move(bytes));
    return Receiver(wire, sink, kTag, 4096, {}).run();
  };
  FakeSink whole(before);
  ASSERT_TRUE(receive(stream, whole));
  const auto expect_clean = [&](const FakeSink& sink, size_t at) {
    if (sink.images == before) return;
    for (const auto& [disk, image] : sink.images)
      for (size_t i = 0; i < image.size(); ++i)
        if (image[i] != whole.images[disk][i] && image[i] != before.at(disk)[i]) {
          ADD_FAILURE() << "byte " << at << " damaged: disk " << disk << " at " << i;
          return;
        }
  };
  for (size_t at = 0; at < stream.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes damaged = stream;
      damaged[at] ^= static_cast<std::byte>(flip);
      FakeSink sink(before);
      // zstd has bits that mean nothing: what is accepted is the same to the last byte.
      if (receive(std::move(damaged), sink))
        EXPECT_EQ(sink.images, whole.images) << at;
      else
        expect_clean(sink, at);
    }
    FakeSink sink(before);
    EXPECT_FALSE(receive(Bytes(stream.begin(), stream.begin() + static_cast<ptrdiff_t>(at)), sink)) << at;
    expect_clean(sink, at);
  }
}

TEST(Receiver, RefusesWhatIsOutOfTurn) {
  FakeSink sink({{0, Bytes(65536)}});
  const auto zero = [](uint64_t offset, uint64_t length) {
    ExtentHead head{0, Codec::none, offset, length, {}};
    head.check = extent_check(head, {}, kTag);
    Bytes frame(kHeaderSize + kExtentHeadSize);
    encode_extent(FrameType::extent_zero, head, 0, frame);
    return frame;
  };
  const auto run = [&](const std::vector<Bytes>& frames) {
    Bytes all;
    for (const Bytes& frame : frames) all.insert(all.end(), frame.begin(), frame.end());
    MemoryWire wire(std::move(all));
    const Status status = Receiver(wire, sink, kTag, 4096, {0, 8192}).run();
    return status ? std::string() : status.error().message();
  };
  const auto end = [](Cursor at, uint64_t data, uint64_t zeroes) {
    return encode_end({at, data, zeroes}, kTag);
  };
  EXPECT_EQ(run({zero(8192, 4096), zero(12288, 4096), end({0, 16384}, 0, 8192)}), "");
  EXPECT_EQ(run({zero(8192, 4096), zero(16384, 0), end({0, 16384}, 0, 4096)}), "");
  EXPECT_EQ(sink.cursors, (std::vector<Cursor>{{0, 16384}, {0, 16384}, {0, 16384}}));  // one at the mark
  EXPECT_EQ(run({zero(8192, 8192), zero(12288, 0)}), "an extent out of order");
  EXPECT_EQ(run({zero(8704, 0)}), "an extent that is not aligned to the granule");
  EXPECT_EQ(run({zero(4096, 4096)}), "an extent out of order");
  EXPECT_EQ(run({zero(8192, 8192), zero(12288, 4096)}), "an extent out of order");
  EXPECT_EQ(run({zero(8704, 4096)}), "an extent that is not aligned to the granule");
  EXPECT_NE(run({zero(8192, 4096), end({0, 12288}, 0, 8192)}), "");
  EXPECT_NE(run({zero(8192, 4096), end({0, 16384}, 0, 4096)}), "");
  EXPECT_NE(run({end({0, 0}, 0, 0)}), "");
  for (const FrameType type : {FrameType::hello, FrameType::request, FrameType::answer})
    EXPECT_NE(run({encode_frame(type, as_bytes("{}"))}).find("in the middle of a transfer"),
              std::string::npos);
  EXPECT_NE(run({encode_applied({0}, kTag)}), "");
}

TEST(Sender, RefusesAReplicaThatSaysTooMuch) {
  const std::vector<Bytes> lies = {encode_applied({UINT64_MAX}, kTag),
                                   encode_applied({0}, kTag + 1),
                                   encode_cursor({{0, 4096}, true, 0}, kTag),
                                   encode_frame(FrameType::answer, as_bytes("{}")),
                                   encode_frame(FrameType::error, as_bytes("{}")),
                                   Bytes(64, std::byte{'x'})};
  for (const Bytes& lie : lies) {
    auto [near, far] = SocketWire::pair();
    ASSERT_TRUE(far->write(lie, Duration::seconds(5)));
    FakeSource source({{0, Bytes(65536)}}, {{0, 0, 65536, false}});
    const auto summary = Sender(*near, {kTag, {}, false, nullptr}).run(source, {}, {});
    ASSERT_FALSE(summary);
    EXPECT_TRUE(summary.error().code() == ErrorCode::protocol || summary.error().code() == ErrorCode::corrupt)
        << summary.error().text();
  }
}

// --- the parts ---

TEST(Compression, RoundTripsAndKnowsWhatDoesNotPay) {
  Compressor compressor;
  Decompressor decompressor;
  const Bytes dull = dull_bytes(kMiB, 1);
  Bytes into(kMiB);
  const size_t size = compressor.compress(dull, into);
  ASSERT_GT(size, 0u);
  Bytes back(dull.size());
  ASSERT_TRUE(decompressor.decompress(ByteView(into).first(size), back));
  EXPECT_EQ(back, dull);
  Bytes longer(dull.size() + 1);
  EXPECT_FALSE(decompressor.decompress(ByteView(into).first(size), longer));
  Bytes shorter(dull.size() - 1);
  EXPECT_FALSE(decompressor.decompress(ByteView(into).first(size), shorter));
  EXPECT_EQ(compressor.compress(random_bytes(kMiB, 1), into), 0u);
  EXPECT_EQ(compressor.compress(Bytes(1), into), 0u);
}

TEST(Compression, BacksOffAndComesBack) {
  CompressionPolicy policy;
  size_t tries = 0;
  for (int i = 0; i < 1000; ++i)
    if (policy.worth_trying()) {
      ++tries;
      policy.tried(false);
    }
  EXPECT_LT(tries, 40u);
  EXPECT_GT(tries, 25u);
  while (!policy.worth_trying()) {
  }
  policy.tried(true);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(policy.worth_trying());
}

TEST(Throttle, GrantsTheRateInOrderAndRefusesWhatIsTooFarAway) {
  const Monotonic now{1'000'000'000};
  const Duration most = Duration::seconds(10);
  Throttle throttle(1'000'000);
  EXPECT_EQ(throttle.reserve(100'000, now, most), now);  // the burst
  EXPECT_EQ(throttle.reserve(1'000'000, now, most), now);
  EXPECT_EQ(throttle.reserve(1'000'000, now, most), now + Duration::seconds(1));
  EXPECT_EQ(throttle.reserve(9'000'000, now, most), now + Duration::seconds(2));
  const auto refused = throttle.reserve(1, now, most);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::timeout);
  EXPECT_EQ(throttle.reserve(1, now + Duration::seconds(20), most), now + Duration::seconds(20));
  throttle.set_rate(0);
  EXPECT_EQ(throttle.reserve(UINT64_MAX, now, most), now);
  EXPECT_FALSE(throttle.limited());
}

}  // namespace
}  // namespace understudy::transfer
