// A comparison, from the hashes to the bytes on the other side: sources and hashes in memory, and whole
// conversations over pairs of sockets.
#include "transfer/compare_source.h"

#include <gtest/gtest.h>

#include "base/thread.h"
#include "transfer/client.h"
#include "transfer/control.h"
#include "transfer/hash_blocks.h"
#include "transfer/session.h"
#include "transfer/wires_test.h"

namespace understudy::transfer {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kBlock = 4096;  // of FakeSource
constexpr Duration kLong = Duration::seconds(60);
const Uuid kVm = *Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab");
const Lineage kNewest{kVm, 1, 7};
const TransferKey kKey{{kVm, 1, 9}, 0, TransferKind::pass};
const PeerIdentity kPrimary{"primary.example", {"primary.example"}, "AA", "192.0.2.1:1"};

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// All of the images: zero extents of any length, data of 1 MiB at most, in pieces that differ by `seed`.
std::vector<Extent> whole(const Images& images, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Extent> list;
  for (const auto& [disk, image] : images) {
    const Bytes& bytes = image;
    for (uint64_t at = 0; at < bytes.size();) {
      const auto block_is_zero = [&](uint64_t o) {
        return is_zero(ByteView(bytes).subspan(o, std::min(kBlock, bytes.size() - o)));
      };
      const bool zero = block_is_zero(at);
      uint64_t end = at;
      const uint64_t most = zero ? UINT64_MAX : (random() % 256 + 1) * kBlock;
      while (end < bytes.size() && end - at < most && block_is_zero(end) == zero)
        end = std::min(end + kBlock, bytes.size());
      list.push_back({disk, at, end - at, zero});
      at = end;
    }
  }
  return list;
}

// Two disks with data, zeroes and an odd size.
Images sample() {
  Images images{{0, random_bytes(6 * kMiB, 1)}, {1, dull_bytes(3 * kMiB + 512, 2)}};
  std::fill_n(images[0].begin() + kMiB, 2 * kMiB, std::byte{0});
  std::fill_n(images[1].begin(), kMiB / 2, std::byte{0});
  return images;
}

// One comparison without a wire: what is delivered, and the replica with that applied.
struct Walk {
  Images replica;
  Status status;
  std::vector<ExtentData> extents;
  std::vector<Cursor> marks;
  Compared compared;
};

AskHashes ask_images(const Images& images, const HashSecret& secret, uint32_t block = kBlock) {
  return [&images, secret, block](uint32_t disk, uint64_t offset,
                                  uint64_t length) -> Result<std::vector<HashRun>> {
    ImageReader reader(images);
    const Bytes key(secret.bytes.begin(), secret.bytes.end());
    US_TRY(HashesAnswer answer,
           hash_blocks(reader, reader.disks(), {kVm, kNewest, disk, offset, length, block, key}));
    return std::move(answer.runs);
  };
}

Walk compare(const Images& primary, Images replica, Cursor from = {}, uint32_t seed = 1) {
  Walk walk{std::move(replica), {}, {}, {}, {}};
  const HashSecret secret = HashSecret::random();
  const Images held = walk.replica;
  const auto source = compare_source(std::make_unique<FakeSource>(primary, whole(primary, seed)),
                                     ImageReader(primary).disks(), secret, ask_images(held, secret),
                                     [&](const Compared& c) { walk.compared = c; });
  FakeSink sink(std::move(walk.replica));
  walk.status = source->stream(from, kMiB,
                               [&](ExtentData e) -> Status {
                                 if (e.extent.length == 0)
                                   walk.marks.push_back({e.extent.disk, e.extent.offset});
                                 else if (e.extent.zero)
                                   US_CHECK(sink.zero(e.extent.disk, e.extent.offset, e.extent.length));
                                 else
                                   US_CHECK(sink.write(e.extent.disk, e.extent.offset, e.data));
                                 if (e.extent.length > 0) walk.extents.push_back(std::move(e));
                                 return {};
                               },
                               {});
  walk.replica = std::move(sink.images);
  return walk;
}

TEST(CompareSource, YieldsNothingOfWhatIsTheSame) {
  const Images images = sample();
  const Walk walk = compare(images, images);
  ASSERT_TRUE(walk.status) << walk.status.error().text();
  EXPECT_TRUE(walk.extents.empty());
  EXPECT_EQ(walk.compared.compared, 9 * kMiB + 512);
  EXPECT_EQ(walk.compared.total, 9 * kMiB + 512);
  EXPECT_EQ(walk.compared.differing, 0u);
}

TEST(CompareSource, FindsExactlyTheBlocksThatDiffer) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    const Images primary = sample();
    Images replica = primary;
    std::mt19937 random(seed);
    std::map<Cursor, uint64_t> differing;  // block, length
    for (int i = 0; i < 60; ++i) {
      const uint32_t disk = random() % 2;
      Bytes& bytes = replica[disk];
      const uint64_t at = i == 0 ? bytes.size() - 1 : random() % bytes.size();
      // One bit; or all zeroes; or a run of blocks.
      const uint64_t count = std::min<uint64_t>(i % 3 == 2 ? random() % 50 * kBlock : 1, bytes.size() - at);
      for (uint64_t k = at; k < at + count; ++k)
        if (i % 3 == 0)
          bytes[k] ^= std::byte{0x80};
        else
          bytes[k] = std::byte{0};
    }
    for (const auto& [disk, bytes] : primary)
      for (uint64_t at = 0; at < bytes.size(); at += kBlock) {
        const uint64_t n = std::min(kBlock, bytes.size() - at);
        if (!std::equal(bytes.begin() + at, bytes.begin() + at + n, replica[disk].begin() + at))
          differing[{disk, at}] = n;
      }
    const Walk walk = compare(primary, replica, {}, seed);
    ASSERT_TRUE(walk.status) << walk.status.error().text();
    EXPECT_EQ(walk.replica, primary);
    std::map<Cursor, uint64_t> found;
    for (const ExtentData& e : walk.extents) {
      EXPECT_TRUE(e.extent.zero || e.extent.length <= limits::kMostExtentData);
      for (uint64_t at = 0; at < e.extent.length; at += kBlock)
        found[{e.extent.disk, e.extent.offset + at}] = std::min(kBlock, e.extent.length - at);
    }
    EXPECT_EQ(found, differing);
  }
}

TEST(CompareSource, ZeroesGoBothWaysAsRanges) {
  const uint64_t size = 5 * kMiB + 1536;
  const Images empty{{0, Bytes(size)}};
  const Images full{{0, random_bytes(size, 4)}};
  const Walk wiped = compare(empty, full);
  ASSERT_TRUE(wiped.status);
  ASSERT_EQ(wiped.extents.size(), 1u);
  EXPECT_EQ(wiped.extents[0].extent, (Extent{0, 0, size, true}));
  EXPECT_EQ(wiped.replica, empty);
  const Walk filled = compare(full, empty);
  ASSERT_TRUE(filled.status);
  EXPECT_EQ(filled.extents.size(), 6u);
  EXPECT_EQ(filled.replica, full);
  EXPECT_EQ(filled.compared.differing, size);
}

TEST(CompareSource, GoesOnFromACursorAlsoAtAnOddEnd) {
  const Images primary{{0, random_bytes(kMiB + 512, 1)}, {1, random_bytes(kMiB, 2)}};
  const Images blank{{0, Bytes(kMiB + 512)}, {1, Bytes(kMiB)}};
  const auto source = [&] {
    const HashSecret secret;
    return compare_source(std::make_unique<FakeSource>(primary, whole(primary, 1)),
                          ImageReader(primary).disks(), secret, ask_images(blank, secret), {});
  }();
  EXPECT_EQ(*source->bytes_to_send({}), 2 * kMiB + 512);
  EXPECT_EQ(*source->bytes_to_send({0, kMiB}), kMiB + 512);
  EXPECT_EQ(*source->bytes_to_send({0, kMiB + 512}), kMiB);
  EXPECT_EQ(*source->bytes_to_send({1, kMiB}), 0u);
  EXPECT_EQ(*source->bytes_to_send({2, 0}), 0u);
  const Walk walk = compare(primary, blank, {0, kMiB + 512});
  ASSERT_TRUE(walk.status) << walk.status.error().text();
  EXPECT_EQ(walk.replica.at(0), blank.at(0));
  EXPECT_EQ(walk.replica.at(1), primary.at(1));
  EXPECT_TRUE(compare(primary, blank, {1, kMiB}).extents.empty());
  EXPECT_TRUE(compare(primary, blank, {2, 0}).status);
}

TEST(CompareSource, AGapInTheExportIsNotTakenAsEqual) {
  const Images images{{0, random_bytes(64 * kBlock, 1)}};
  for (const auto& list :
       std::vector<std::vector<Extent>>{{},
                                        {{0, 0, 32 * kBlock, false}},
                                        {{0, kBlock, 63 * kBlock, false}},
                                        {{0, 0, 8 * kBlock, false}, {0, 9 * kBlock, 55 * kBlock, false}},
                                        {{0, 0, 8 * kBlock, false}, {0, 7 * kBlock, 57 * kBlock, false}},
                                        {{0, 0, 100, false}},
                                        {{0, 0, 65 * kBlock, true}},
                                        {{0, 0, 64 * kBlock, true}, {1, 0, kBlock, true}}}) {
    const HashSecret secret;
    const auto source = compare_source(std::make_unique<FakeSource>(images, list),
                                       ImageReader(images).disks(), secret, ask_images(images, secret), {});
    const Status status = source->stream({}, kMiB, [](const ExtentData&) { return Status(); }, {});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ErrorCode::failed) << status.error().text();
  }
}

TEST(CompareSource, RefusesHashesThatDoNotCoverTheRange) {
  const Images images{{0, random_bytes(64 * kBlock, 1)}};
  using Runs = std::vector<HashRun>;
  for (const Runs& runs : {Runs{}, Runs{{63, {}}}, Runs{{65, {}}}, Runs{{UINT32_MAX, {}}},
                           Runs{{64, {}}, {0, {}}}, Runs{{0, {}}, {64, {}}}, Runs(65, {1, {}})}) {
    const auto source =
        compare_source(std::make_unique<FakeSource>(images, whole(images, 1)), ImageReader(images).disks(),
                       {}, [&](uint32_t, uint64_t, uint64_t) { return runs; }, {});
    const Status status = source->stream({}, kMiB, [](const ExtentData&) { return Status(); }, {});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ErrorCode::protocol) << status.error().text();
  }
}

TEST(CompareSource, AsksAheadWithinItsBound) {
  // Five ranges and a bit of zeroes; the reading begins when no more may be asked.
  const uint64_t size = 5 * limits::kMostHashRange + 512;
  std::atomic<size_t> asked = 0;
  Gate full;
  class Zeroes final : public Source {
   public:
    Zeroes(uint64_t bytes, Gate& gate) : size_(bytes), gate_(gate) {}
    uint32_t granule() const override { return 65536; }
    Result<uint64_t> bytes_to_send(Cursor) override { return 0; }
    Status stream(Cursor, uint64_t, const std::function<Status(ExtentData)>& deliver,
                  const CancelToken&) override {
      EXPECT_TRUE(gate_.wait());
      return deliver({{0, 0, size_, true}, {}});
    }
    const uint64_t size_;
    Gate& gate_;
  };
  const HashSecret secret = HashSecret::random();
  const BlockHasher hasher(secret, 65536);
  const auto source =
      compare_source(std::make_unique<Zeroes>(size, full), {{"vda", size}}, secret,
                     [&](uint32_t, uint64_t offset, uint64_t length) -> Result<std::vector<HashRun>> {
                       EXPECT_EQ(offset, asked * limits::kMostHashRange);
                       if (++asked == limits::kMostHashesAhead) full.open();
                       std::vector<HashRun> runs;
                       if (length >= 65536)
                         add_run(runs, static_cast<uint32_t>(length / 65536), hasher.zero());
                       if (length % 65536 != 0) add_run(runs, 1, hasher.zero(length % 65536));
                       return runs;
                     },
                     {});
  const Status status = source->stream({}, kMiB,
                                       [](const ExtentData&) {
                                         ADD_FAILURE();
                                         return Status();
                                       },
                                       {});
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(asked, 6u);
}

// --- over the wire ---

// A replica host on any number of connections, each with a thread.
class Host {
 public:
  explicit Host(FakeService& service) : service_(service) {}
  Result<std::unique_ptr<Peer>> connect(size_t cut_after = SIZE_MAX) {
    auto [near, far] = SocketWire::pair();
    near->cut_after = cut_after;
    threads_.emplace_back("session", [this, to = std::shared_ptr<SocketWire>(std::move(far))] {
      (void)serve(*to, kPrimary, test_hello("replica"), service_);
    });
    US_TRY(auto client, Client::greet(std::move(near), test_hello("primary"), kLong, nullptr));
    return std::unique_ptr<Peer>(std::move(client));
  }

 private:
  FakeService& service_;
  std::vector<Thread> threads_;
};

HashesRequest about(const HashSecret& secret) {
  HashesRequest request{kVm, kNewest, 0, 0, 0, kBlock, {}};
  request.secret.assign(secret.bytes.begin(), secret.bytes.end());
  return request;
}

TEST(Resync, SendsWhatDiffersWhereverTheLinkIsCut) {
  Images primary = sample();
  const Bytes more = random_bytes(36 * kMiB, 9);
  primary[0].insert(primary[0].end(), more.begin(), more.end());
  Images stale = primary;
  for (uint64_t at = 0; at < 6 * kMiB; at += 300'000) stale[0][at] ^= std::byte{1};
  std::fill_n(stale[0].begin() + 6 * kMiB, 35 * kMiB, std::byte{0});
  std::fill_n(stale[1].begin() + kMiB, kMiB, std::byte{0});
  const std::vector<Extent> extents = whole(primary, 5);
  std::mt19937 random(3);
  for (int round = 0; round < 2; ++round) {
    FakeService service(stale);
    FakeService held(stale);  // hashes are of the published point, not of what is staged
    Host host(service);
    Host hashes(held);
    for (int tries = 0;; ++tries) {
      ASSERT_LT(tries, 6);
      const auto peer = host.connect(tries < 3 ? 2000 + random() % (38 * kMiB) : SIZE_MAX);
      ASSERT_TRUE(peer) << peer.error().text();
      const auto from = (*peer)->begin({kVm, kKey, kBlock, 0});
      ASSERT_TRUE(from) << from.error().text();
      const HashSecret secret = HashSecret::random();
      Compared compared;
      const auto source =
          compare_source(std::make_unique<FakeSource>(primary, extents), ImageReader(primary).disks(), secret,
                         ask_over([&] { return hashes.connect(); }, about(secret)),
                         [&](const Compared& c) { compared = c; });
      const uint64_t left = *source->bytes_to_send(*from);
      const auto summary = (*peer)->send(*source, *from, true, {}, {});
      if (compared.total > 0) {
        EXPECT_GE(compared.compared, compared.total - left);
      }
      if (!summary) continue;
      EXPECT_EQ(compared.compared, compared.total);
      EXPECT_LE(compared.differing, 36 * kMiB + 21 * kBlock);
      EXPECT_EQ(summary->data_bytes + summary->zero_bytes, compared.differing);
      break;
    }
    EXPECT_EQ(service.sink->images, primary);
  }
}

// 3 GiB of zeroes of which nothing differs, cut before the end: the replica's cursor has moved, and the next
// try asks only from there.
TEST(Resync, GoesOnAtAMarkWhenNothingDiffers) {
  const uint64_t size = 3 * limits::kComparedEvery;
  class Zeroes final : public Source {
   public:
    Zeroes(uint64_t bytes, uint64_t fails_at, std::function<bool()> ready)
        : size_(bytes), fails_at_(fails_at), ready_(std::move(ready)) {}
    uint32_t granule() const override { return 65536; }
    Result<uint64_t> bytes_to_send(Cursor) override { return 0; }
    Status stream(Cursor from, uint64_t, const std::function<Status(ExtentData)>& deliver,
                  const CancelToken&) override {
      for (uint64_t at = from.offset; at < size_; at += kMiB) {
        if (at == fails_at_) {
          EXPECT_TRUE(ready_());
          return fail(ErrorCode::failed, "the job ended");
        }
        US_CHECK(deliver({{0, at, kMiB, true}, {}}));
      }
      return {};
    }
    const uint64_t size_, fails_at_;
    const std::function<bool()> ready_;
  };
  FakeService service({{0, Bytes()}});
  Gate advanced;
  service.sink->after_advance = [&](Cursor cursor) {
    if (cursor.offset == 2 * limits::kComparedEvery) advanced.open();
  };
  const HashSecret secret = HashSecret::random();
  const BlockHasher hasher(secret, 65536);
  Host host(service);
  uint64_t first_asked = UINT64_MAX;
  for (const bool fails : {true, false}) {
    const auto peer = host.connect();
    ASSERT_TRUE(peer);
    const auto from = (*peer)->begin({kVm, kKey, 65536, 0});
    ASSERT_TRUE(from);
    EXPECT_EQ(*from, (Cursor{0, fails ? 0 : 2 * limits::kComparedEvery}));
    first_asked = UINT64_MAX;
    const auto ask = [&](uint32_t, uint64_t offset, uint64_t length) -> Result<std::vector<HashRun>> {
      first_asked = std::min(first_asked, offset);
      return std::vector<HashRun>{{static_cast<uint32_t>(length / 65536), hasher.zero()}};
    };
    const auto source = compare_source(
        std::make_unique<Zeroes>(size, fails ? size - kMiB : UINT64_MAX, [&] { return advanced.wait(); }),
        {{"vda", size}}, secret, ask, {});
    const auto summary = (*peer)->send(*source, *from, true, {}, {});
    EXPECT_EQ(summary.has_value(), !fails);
    if (summary) {
      EXPECT_EQ(summary->data_bytes + summary->zero_bytes, 0u);
    }
  }
  EXPECT_EQ(first_asked, 2 * limits::kComparedEvery);
  EXPECT_EQ(service.sink->cursors.back(), (Cursor{0, 2 * limits::kComparedEvery}));  // of END
}

TEST(Resync, AsksAgainOnANewConnectionWhenTheOldOneWasClosed) {
  const Images images = sample();
  FakeService service(images);
  Host host(service);
  const HashSecret secret = HashSecret::random();
  size_t connected = 0;
  const AskHashes ask = ask_over(
      [&] {
        ++connected;
        return host.connect(connected == 1 ? 900 : SIZE_MAX);
      },
      about(secret));
  for (int i = 0; i < 3; ++i) {
    const auto runs = ask(0, 0, kMiB);
    ASSERT_TRUE(runs) << runs.error().text();
    EXPECT_EQ(*runs, *ask_images(images, secret)(0, 0, kMiB));
  }
  EXPECT_EQ(connected, 2u);
  // What the replica refuses is not asked again.
  HashesRequest other = about(secret);
  other.newest.sequence = 8;
  connected = 1;
  const auto refused = ask_over([&] { return ++connected, host.connect(); }, other)(0, 0, kMiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_state);
  EXPECT_EQ(connected, 2u);
}

// --- the hashes ---

// XXH3's sums of products lose two flipped bits when two words of the key fit them; here the key of the low
// half is made to fit, which makes all of XXH3-128 equal.
TEST(BlockHash, BothHalvesMustBeDeceived) {
  const HashSecret secret = HashSecret::random();
  const BlockHasher hasher(secret, 65536);
  Bytes data = random_bytes(65536, 5);
  const auto word = [&](size_t stripe) { return data.data() + 64 * stripe + 8 * 3; };
  const auto key = [&](size_t stripe) { return secret.bytes.data() + 8 * (stripe + 3); };
  const uint32_t fit = load_le<uint32_t>(word(2)) ^ load_le<uint32_t>(key(2)) ^ load_le<uint32_t>(key(5));
  store_le<uint32_t>(word(5), fit);
  const auto top = [&](size_t stripe) { return (word(stripe)[7] ^ key(stripe)[7]) >> 7; };
  if (top(2) == top(5)) word(5)[7] ^= std::byte{0x80};
  const BlockHash before = hasher.hash(data);
  word(2)[7] ^= std::byte{0x80};
  word(5)[7] ^= std::byte{0x80};
  const BlockHash after = hasher.hash(data);
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + 8, after.begin()));
  EXPECT_FALSE(std::equal(before.begin() + 8, before.end(), after.begin() + 8));
}

TEST(BlockHash, DependsOnTheSecretAndTheLength) {
  const HashSecret one = HashSecret::random();
  const BlockHasher hasher(one, kBlock);
  EXPECT_NE(one.bytes, HashSecret::random().bytes);
  EXPECT_NE(hasher.hash(Bytes(kBlock)), BlockHasher(HashSecret::random(), kBlock).hash(Bytes(kBlock)));
  EXPECT_EQ(hasher.hash(Bytes(kBlock)), hasher.zero());
  EXPECT_EQ(hasher.hash(Bytes(512)), hasher.zero(512));
  EXPECT_NE(hasher.zero(512), hasher.zero());
}

TEST(HashBlocks, ChecksTheRangeAndReadsOnlyWhatIsNotZero) {
  Images images{{0, Bytes(2 * kMiB + 512)}};
  images[0][kMiB] = std::byte{1};
  class Counting final : public BlockReader {
   public:
    explicit Counting(const Images& of) : reader_(of) {}
    Result<Stretch> map(uint32_t disk, uint64_t offset, uint64_t most) override {
      return reader_.map(disk, offset, most);
    }
    Status read(uint32_t disk, uint64_t offset, MutableByteView into) override {
      read_bytes += into.size();
      return reader_.read(disk, offset, into);
    }
    uint64_t read_bytes = 0;

   private:
    ImageReader reader_;
  };
  Counting reader(images);
  const std::vector<DiskGeometry> disks{{"vda", images[0].size()}};
  const auto ask = [&](uint32_t disk, uint64_t offset, uint64_t length, uint32_t block, size_t key) {
    return hash_blocks(reader, disks, {kVm, kNewest, disk, offset, length, block, Bytes(key)});
  };
  const auto good = ask(0, 0, 2 * kMiB + 512, kBlock, 192);
  ASSERT_TRUE(good) << good.error().text();
  ASSERT_EQ(good->runs.size(), 4u);
  EXPECT_EQ(good->runs[0].count, 256u);
  EXPECT_EQ(good->runs[2].count, 255u);
  EXPECT_EQ(good->runs[0].hash, good->runs[2].hash);
  EXPECT_EQ(reader.read_bytes, kBlock + 512);
  EXPECT_FALSE(ask(1, 0, kBlock, kBlock, 192));
  EXPECT_FALSE(ask(0, 512, kBlock, kBlock, 192));
  EXPECT_FALSE(ask(0, 0, 512, kBlock, 192));
  EXPECT_FALSE(ask(0, 0, 0, kBlock, 192));
  EXPECT_FALSE(ask(0, 2 * kMiB, kBlock, kBlock, 192));
  EXPECT_FALSE(ask(0, 4 * kMiB, kBlock, kBlock, 192));
  EXPECT_FALSE(ask(0, 0, UINT64_MAX, kBlock, 192));
  EXPECT_FALSE(ask(0, 0, kBlock, 0, 192));
  EXPECT_FALSE(ask(0, 0, kBlock, 512, 192));
  EXPECT_FALSE(ask(0, 0, kBlock, kBlock, 191));
}

}  // namespace
}  // namespace understudy::transfer
