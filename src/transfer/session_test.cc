// The conversation: a Client and a session over a pair of sockets, and each of them against a peer that
// breaks the rules.
#include "transfer/session.h"

#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/thread.h"
#include "transfer/client.h"
#include "transfer/compression.h"
#include "transfer/control.h"
#include "transfer/wires_test.h"

namespace understudy::transfer {
namespace {

const Uuid kVm = *Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab");
const TransferKey kKey{{kVm, 1, 8}, 7, TransferKind::delta};
const PeerIdentity kPrimary{"primary.example", {"primary.example"}, "AA", "192.0.2.1:1"};
constexpr Duration kLong = Duration::seconds(60);

// A session on its own thread.
class Host {
 public:
  explicit Host(FakeService& service, Hello own = test_hello("replica")) {
    auto [near, far] = SocketWire::pair();
    wire = std::move(near);
    thread_ = Thread("session", [this, &service, own, to = std::shared_ptr<SocketWire>(std::move(far))] {
      status_ = serve(*to, kPrimary, own, service);
    });
  }
  ~Host() {
    if (wire) wire->interrupt();
  }
  const Status& join() {
    thread_.join();
    return status_;
  }
  Result<std::unique_ptr<Client>> greet(const Hello& own = test_hello("primary")) {
    return Client::greet(std::move(wire), own, kLong, nullptr);
  }
  std::unique_ptr<SocketWire> wire;

 private:
  Status status_;
  Thread thread_;
};

BeginRequest begin_request() {
  return {kVm, kKey, 4096, 8192};
}

TEST(Session, HoldsAWholeConversation) {
  FakeService service({{0, Bytes(65536)}});
  Host host(service);
  auto client = host.greet();
  ASSERT_TRUE(client) << client.error().text();
  Peer& peer = **client;
  EXPECT_EQ(peer.hello().host, "replica");
  PrepareRequest prepare;
  prepare.definition.id = kVm;
  prepare.definition.name = "vm1";
  prepare.disks = {{"vda", 65536}};
  const auto prepared = peer.prepare(prepare);
  ASSERT_TRUE(prepared) << prepared.error().text();
  EXPECT_EQ(prepared->warnings, (std::vector<std::string>{"network 'lan' is not mapped"}));
  EXPECT_EQ(peer.query({kVm})->mode, ReplicationMode::replica);
  EXPECT_FALSE(service.asked);
  ReplicationSettings settings;
  settings.recovery_history = 5;
  EXPECT_TRUE(peer.query({kVm, settings}));
  EXPECT_EQ(service.asked, settings);
  // A refusal is an answer: the conversation goes on.
  const auto refused = peer.query({Uuid()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Error(ErrorCode::not_found, "no such VM", "look again"));
  for (int round = 0; round < 2; ++round) {
    const auto from = peer.begin(begin_request());
    ASSERT_TRUE(from) << from.error().text();
    EXPECT_EQ(*from, (round == 0 ? Cursor{} : Cursor{0, 12288}));
    EXPECT_EQ(peer.query({kVm}).error().code(), ErrorCode::invalid_state);
    FakeSource source({{0, random_bytes(65536, 5)}}, {{0, 4096, 8192, false}});
    const auto summary = peer.send(source, *from, true, {}, {});
    ASSERT_TRUE(summary) << summary.error().text();
    EXPECT_EQ(summary->data_bytes, round == 0 ? 8192u : 0u);
  }
  const auto point = peer.finish({kVm, kKey, Uuid::random(), PointType::standard, Wall{7}});
  ASSERT_TRUE(point) << point.error().text();
  EXPECT_EQ(point->bytes, 8192u);
  const HashesRequest ask{kVm, {kVm, 1, 7}, 0, 0, 65536, 4096, Bytes(192)};
  const auto hashes = peer.hashes(ask);
  ASSERT_TRUE(hashes) << hashes.error().text();
  ASSERT_EQ(hashes->runs.size(), 4u);  // zeroes, the two blocks that were sent, zeroes
  EXPECT_EQ(hashes->runs[0].hash, hashes->runs[3].hash);
  EXPECT_EQ(hashes->runs[3].count, 13u);
  EXPECT_TRUE(peer.remove(kVm));
  EXPECT_FALSE(peer.send(*std::make_unique<FakeSource>(Images(), std::vector<Extent>()), {}, true, {}, {}));
  client->reset();
  EXPECT_TRUE(host.join());
}

TEST(Session, RefusesAStrangerBeforeItReads) {
  FakeService service({});
  service.admits = false;
  Host host(service);
  ASSERT_TRUE(host.wire->write(Bytes(100, std::byte{'x'}), kLong));  // would be a violation, were it read
  auto client = host.greet();
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error(),
            Error(ErrorCode::access_denied, "no authorization entry admits 'primary.example'", "add one"));
  EXPECT_EQ(host.join().error().code(), ErrorCode::access_denied);
}

TEST(Session, AgreesOnAVersionOrSaysWhichThereAre) {
  struct Row {
    uint32_t least, most, their_least, their_most;
    bool good;
  };
  for (const Row& row :
       {Row{1, 1, 1, 3, true}, Row{1, 2, 2, 3, true}, Row{1, 1, 2, 3, false}, Row{3, 4, 1, 2, false}}) {
    FakeService service({});
    Host host(service, test_hello("replica", row.their_least, row.their_most));
    auto client = host.greet(test_hello("primary", row.least, row.most));
    EXPECT_EQ(client.has_value(), row.good);
    if (client) {
      client->reset();
      EXPECT_TRUE(host.join());
      continue;
    }
    EXPECT_EQ(client.error().code(), ErrorCode::not_supported);
    const std::string range = std::to_string(row.their_least) + " to " + std::to_string(row.their_most);
    EXPECT_NE(client.error().message().find(range), std::string::npos) << client.error().text();
    EXPECT_FALSE(client.error().hint().empty());
  }
}

// What a primary that breaks the rules sends after a good greeting (unless `greets` is false), and what it is
// told.
struct Violation {
  const char* what;
  bool greets;
  std::vector<Bytes> frames;
  ErrorCode code;
};

Bytes text_frame(FrameType type, const std::string& json) {
  return encode_frame(type, as_bytes(json));
}
Bytes request(uint64_t id, const std::string& method, const JsonObject& params = {}) {
  return text_frame(FrameType::request, request_text(id, method, params));
}
Bytes long_header(FrameType type, uint32_t length) {
  Bytes header = encode_frame(FrameType::ping, {});
  store_le<uint8_t>(header.data() + 3, static_cast<uint8_t>(type));
  store_le<uint32_t>(header.data() + 8, length);
  store_le<uint32_t>(header.data() + 12, header_check(header));
  return header;
}

TEST(Session, AnswersEveryViolationAndCloses) {
  const Bytes hello = text_frame(FrameType::hello, encode(test_hello("primary")));
  const Bytes begin = request(1, "begin", to_json(begin_request()));
  const Bytes ping = encode_frame(FrameType::ping, {});
  const std::vector<Violation> violations = {
      {"garbage", false, {Bytes(64, std::byte{'x'})}, ErrorCode::protocol},
      {"an HTTP request", false, {text_frame(FrameType::hello, "GET / HTTP/1.1")}, ErrorCode::protocol},
      {"a request first", false, {request(1, "query")}, ErrorCode::protocol},
      {"a huge greeting", false, {long_header(FrameType::hello, 1 << 20)}, ErrorCode::too_large},
      {"a huge request", true, {long_header(FrameType::request, UINT32_MAX)}, ErrorCode::too_large},
      {"a greeting twice", true, {hello}, ErrorCode::protocol},
      {"an answer", true, {text_frame(FrameType::answer, answer_text(1, {}))}, ErrorCode::protocol},
      {"a ping outside of a transfer", true, {ping}, ErrorCode::protocol},
      {"an END outside of a transfer", true, {encode_end({}, 0)}, ErrorCode::protocol},
      {"a request without a number",
       true,
       {text_frame(FrameType::request, R"({"method":"query","params":{}})")},
       ErrorCode::protocol},
      {"a number twice", true, {request(1, "nothing"), request(1, "nothing")}, ErrorCode::protocol},
      {"a request inside of a transfer", true, {begin, request(2, "query")}, ErrorCode::protocol},
      {"an extent of another transfer",
       true,
       {begin, encode_end({}, transfer_tag(kVm, {}))},
       ErrorCode::corrupt},
  };
  for (const Violation& violation : violations) {
    FakeService service({{0, Bytes(65536)}});
    Host host(service);
    if (violation.greets) {
      ASSERT_TRUE(host.wire->write(hello, kLong));
    }
    for (const Bytes& frame : violation.frames) ASSERT_TRUE(host.wire->write(frame, kLong));
    std::optional<Refusal> last;
    while (const auto frame = read_frame(*host.wire, kLong)) {
      if (frame->type != FrameType::error) continue;
      auto refusal = read_refusal(frame->payload);
      ASSERT_TRUE(refusal) << violation.what;
      last = std::move(*refusal);
    }
    ASSERT_TRUE(last) << violation.what;
    EXPECT_EQ(last->id, 0u) << violation.what;
    EXPECT_EQ(last->error.code(), violation.code) << violation.what << ": " << last->error.text();
    host.wire->interrupt();
    EXPECT_FALSE(host.join()) << violation.what;
  }
}

TEST(Session, AnswersARequestItCannotServeAndGoesOn) {
  FakeService service({});
  Host host(service);
  const auto ask = [&](const Bytes& frame) -> Refusal {
    EXPECT_TRUE(host.wire->write(frame, kLong));
    const auto answer = read_frame(*host.wire, kLong);
    auto refusal = answer ? read_refusal(answer->payload) : fail(answer.error());
    EXPECT_TRUE(refusal) << refusal.error().text();
    return refusal ? *refusal : Refusal{0, Error(ErrorCode::failed, "")};
  };
  ASSERT_TRUE(host.wire->write(text_frame(FrameType::hello, encode(test_hello("primary"))), kLong));
  ASSERT_TRUE(read_frame(*host.wire, kLong));
  EXPECT_EQ(ask(request(1, "fly")).error.code(), ErrorCode::not_supported);
  const Refusal lacking = ask(request(2, "query"));
  EXPECT_EQ(lacking.id, 2u);
  EXPECT_EQ(lacking.error.message(), "query: vm: missing");
  JsonObject begin = to_json(begin_request());
  begin.set("granule", 4097);
  EXPECT_EQ(ask(request(3, "begin", begin)).error.message(), "begin: granule: not a power of two");
  begin.set("granule", 0);
  EXPECT_EQ(ask(request(4, "begin", begin)).id, 4u);
  EXPECT_EQ(service.begun, 0);
  ASSERT_TRUE(host.wire->write(request(5, "query", to_json(VmRequest{kVm})), kLong));
  EXPECT_EQ(read_frame(*host.wire, kLong)->type, FrameType::answer);
}

// A replica that says `frames` whatever it is asked.
TEST(Client, ClosesOnAnAnswerItDoesNotUnderstand) {
  const Bytes hello = text_frame(FrameType::hello, encode(test_hello("replica")));
  for (const Bytes& answer :
       {text_frame(FrameType::answer, answer_text(2, to_json(Holdings()))),
        text_frame(FrameType::answer, answer_text(1, {})), text_frame(FrameType::answer, "{}"),
        text_frame(FrameType::error, "{}"), text_frame(FrameType::error, "no"),
        text_frame(FrameType::error, refusal_text(2, Error(ErrorCode::protocol, "m"))),
        encode_frame(FrameType::ping, {}), Bytes(32, std::byte{'x'})}) {
    auto [near, far] = SocketWire::pair();
    ASSERT_TRUE(far->write(hello, kLong));
    ASSERT_TRUE(far->write(answer, kLong));
    auto client = Client::greet(std::move(near), test_hello("primary"), kLong, nullptr);
    ASSERT_TRUE(client) << client.error().text();
    const auto holdings = (*client)->query({kVm});
    ASSERT_FALSE(holdings);
    EXPECT_EQ(holdings.error().code(), ErrorCode::protocol) << holdings.error().text();
    const auto again = (*client)->query({kVm});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), ErrorCode::not_available);
    EXPECT_NE(again.error().message().find("was closed"), std::string::npos);
  }
}

// Hashes of fewer or more blocks than were asked for, and what is no hashes at all.
TEST(Client, ClosesOnHashesThatDoNotFit) {
  const Bytes hello = text_frame(FrameType::hello, encode(test_hello("replica")));
  const auto runs = [](const std::vector<HashRun>& list) { return encode(HashesAnswer{list}); };
  const std::string row = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";  // one record, of no block
  for (const std::string& result : std::vector<std::string>{
           runs({}), runs({{15, {}}}), runs({{17, {}}}), runs({{UINT32_MAX, {}}, {17, {}}}),
           runs({{16, {}}, {0, {}}}), R"({"runs":")" + row + R"("})", R"({"runs":"AAAA"})", R"({"runs":"A"})",
           R"({"runs":"____"})", R"({"runs":")" + std::string(900'000, 'A') + R"("})", R"({"runs":[]})",
           "{}"}) {
    auto [near, far] = SocketWire::pair();
    // In a thread: the answer may be larger than what a socket holds.
    Thread replica("replica", [&, &wire = far] {
      ASSERT_TRUE(wire->write(hello, kLong));
      ASSERT_TRUE(wire->write(text_frame(FrameType::answer, R"({"id":1,"result":)" + result + "}"), kLong));
    });
    auto client = Client::greet(std::move(near), test_hello("primary"), kLong, nullptr);
    ASSERT_TRUE(client) << client.error().text();
    const auto hashes = (*client)->hashes({kVm, {kVm, 1, 7}, 0, 0, 65536, 4096, Bytes(192)});
    ASSERT_FALSE(hashes) << result.substr(0, 100);
    EXPECT_EQ(hashes.error().code(), ErrorCode::protocol) << hashes.error().text();
    EXPECT_EQ((*client)->query({kVm}).error().code(), ErrorCode::not_available);
  }
}

TEST(Client, RefusesAHostThatDoesNotGreet) {
  for (const Bytes& greeting :
       {encode_frame(FrameType::ping, {}), text_frame(FrameType::hello, "{}"), Bytes(16)}) {
    auto [near, far] = SocketWire::pair();
    ASSERT_TRUE(far->write(greeting, kLong));
    EXPECT_FALSE(Client::greet(std::move(near), test_hello("primary"), kLong, nullptr));
  }
  auto [near, far] = SocketWire::pair();
  far.reset();
  const auto gone = Client::greet(std::move(near), test_hello("primary"), kLong, nullptr);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::not_available);
}

TEST(Control, RoundTripsAndNamesWhatIsMissing) {
  const Hello hello = test_hello("höst", 1, 3);
  EXPECT_EQ(encode(hello),
            "{\"clock\":\"2026-11-22T18:19:08.000000Z\",\"features\":[\"zstd\"],\"host\":\"höst\",\"least_"
            "version\":1,"
            "\"most_version\":3,\"product_version\":\"0.1.0\"}");
  EXPECT_EQ(encode(*decode<Hello>(encode(hello))), encode(hello));
  for (const char* name : {"clock", "features", "host", "least_version", "most_version", "product_version"}) {
    std::string text = encode(hello);
    text.replace(text.find(name), 1, "X");
    const auto lacking = read_hello(as_bytes(text));
    ASSERT_FALSE(lacking);
    EXPECT_NE(lacking.error().message().find(std::string(name) + ": missing"), std::string::npos);
  }
  const FinishRequest finish{kVm, kKey, kVm, PointType::planned, Wall{5}};
  EXPECT_EQ(encode(*decode<FinishRequest>(encode(finish))), encode(finish));
  FinishRequest rich = finish;
  rich.keep = PointKeep::hourly;
  rich.definition.emplace().name = "vm1";
  rich.nvram = dull_bytes(limits::kMostNvram, 1);
  const auto back = decode<FinishRequest>(encode(rich));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->nvram, rich.nvram);
  EXPECT_EQ(back->definition, rich.definition);
  EXPECT_EQ(back->keep, PointKeep::hourly);
  rich.nvram.clear();
  EXPECT_TRUE(decode<FinishRequest>(encode(rich))->nvram.empty());
  EXPECT_EQ(encode(*decode<BeginRequest>(encode(begin_request()))), encode(begin_request()));
  EXPECT_FALSE(both_have(hello, Hello(), "zstd"));
  EXPECT_TRUE(both_have(hello, hello, "zstd"));
}

// What unpacks to more than the bound, or to more than it says, or is followed by more.
TEST(Control, RefusesNvramThatIsNotWhatItSays) {
  FinishRequest finish{kVm, kKey, kVm, PointType::standard, Wall{5}};
  finish.definition.emplace().name = "vm1";
  finish.nvram = Bytes(512);
  JsonObject object = to_json(finish);
  const auto refused = [&](Bytes packed) {
    object.set("nvram", to_base64(packed));
    const auto read = from_json<FinishRequest>(object);
    return read ? std::string() : read.error().message();
  };
  Bytes good = pack(finish.nvram);
  EXPECT_EQ(refused(good), "");
  EXPECT_NE(refused(pack(Bytes(limits::kMostNvram + 1))), "");
  EXPECT_NE(refused(pack(Bytes(8 << 20))), "");
  EXPECT_NE(refused(Bytes(100, std::byte{7})), "");
  EXPECT_NE(refused(Bytes(good.begin(), good.end() - 1)), "");
  Bytes two = good;
  two.insert(two.end(), good.begin(), good.end());
  EXPECT_NE(refused(two), "");
  for (size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[at] ^= static_cast<std::byte>(1 << bit);
      (void)refused(std::move(bad));
    }
  object.set("nvram", "AA");
  EXPECT_EQ(from_json<FinishRequest>(object).error().message(), "nvram: not base64");
  // The primary does not try to send what is out of bounds, or without a definition.
  FakeService service({});
  Host host(service);
  auto client = host.greet();
  ASSERT_TRUE(client);
  finish.nvram = Bytes(limits::kMostNvram + 1);
  EXPECT_EQ((*client)->finish(finish).error().code(), ErrorCode::invalid_parameter);
  finish.nvram = Bytes(1);
  finish.definition.reset();
  EXPECT_EQ((*client)->finish(finish).error().code(), ErrorCode::invalid_parameter);
}

}  // namespace
}  // namespace understudy::transfer
