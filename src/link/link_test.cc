// Connector and server over TLS on the loopback, with certificates made for the test.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>

#include "base/base64.h"
#include "base/thread.h"
#include "ipc/conversations.h"
#include "link/connector.h"
#include "link/outgoing.h"
#include "link/relay.h"
#include "link/server.h"
#include "link/socket_wire.h"
#include "net/certificate.h"
#include "transfer/client.h"
#include "transfer/compression.h"
#include "transfer/control.h"
#include "transfer/session.h"
#include "transfer/wires_test.h"

namespace understudy::link {
namespace {

using transfer::FakeService;
using transfer::FakeSource;
using transfer::Images;
namespace fs = std::filesystem;

constexpr Duration kLong = Duration::seconds(60);
constexpr uint64_t kMiB = 1 << 20;
const Uuid kVm = *Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab");
const TransferKey kKey{{kVm, 1, 8}, 7, TransferKind::delta};
const SystemClock kClock;

// One authority with two hosts, and a stranger with another; made once.
class House {
 public:
  House() {
    char name[] = "/tmp/understudy-link-XXXXXX";
    dir_ = mkdtemp(name);
    EXPECT_TRUE(net::create_authority(dir_ / "ca", "authority"));
    EXPECT_TRUE(net::issue_certificate(dir_ / "ca", {"Primary.Example", "other.example"}, dir_ / "primary"));
    EXPECT_TRUE(
        net::issue_certificate(dir_ / "ca", {"replica.example", "localhost", "127.0.0.1"}, dir_ / "replica"));
    EXPECT_TRUE(net::create_authority(dir_ / "ca2", "somebody"));
    EXPECT_TRUE(net::issue_certificate(dir_ / "ca2", {"primary.example"}, dir_ / "stranger"));
    // A stranger that knows our authority's certificate, and so gets as far as showing its own.
    fs::copy_file(dir_ / "primary" / "authority.crt", dir_ / "stranger" / "authority.crt",
                  fs::copy_options::overwrite_existing);
  }
  ~House() { fs::remove_all(dir_); }
  LinkIdentity identity(const std::string& who) const {
    const fs::path own = dir_ / who;
    return {who, "0.1.0", own / "host.crt", own / "host.key", own / "authority.crt"};
  }

 private:
  fs::path dir_;
};
const House& house() {
  static const House the_house;
  return the_house;
}

// The listener as the product has it, in one process: what stands between TLS and the service is a relay and
// a socket pair.
class Listening {
 public:
  Listening(const LinkIdentity& identity, FakeService& service, uint16_t port)
      : identity_(identity),
        service_(service),
        listener_(*net::listen_tcp("127.0.0.1", port)),
        port_(*net::bound_port(listener_)),
        server_(
            *net::TlsContext::server(tls_setup(identity).options()), std::move(listener_),
            [this](TlsWire& network, const transfer::PeerIdentity& peer) { return converse(network, peer); },
            kClock) {}
  uint16_t port() const { return port_; }
  void stop() { server_.stop(); }

 private:
  Status converse(TlsWire& network, const transfer::PeerIdentity& peer) {
    US_TRY(net::SocketPair lane, net::socket_pair(SOCK_STREAM));
    SocketWire ours{std::move(lane.ours), CancelToken()};
    auto theirs = std::make_unique<DaemonWire>(std::move(lane.theirs), CancelToken());
    const Thread daemon("daemon", [this, &theirs] {
      const auto announced = read_announced(theirs->plain(), kLong);
      if (announced) (void)transfer::serve(*theirs, *announced, make_hello(identity_, kClock), service_);
      theirs.reset();
    });
    US_CHECK(announce(ours, peer));
    return relay(network, ours, Side::replica);
  }
  const LinkIdentity identity_;
  FakeService& service_;
  net::Fd listener_;
  const uint16_t port_;
  LinkServer server_;
};

std::unique_ptr<Listening> listen(FakeService& service, uint16_t port = 0) {
  return std::make_unique<Listening>(house().identity("replica"), service, port);
}
std::atomic<bool> revoked{false};  // every certificate

// And the connections to a replica host.
LinkConnector connector(const std::string& who) {
  static std::mutex mutex;
  static ipc::Conversations conversations("link-out", 64);
  return {house().identity(who), kClock, nullptr,
          [](ByteView outgoing, int connection, int lane) -> Status {
            auto sockets = std::make_shared<net::SocketPair>(net::SocketPair{
                net::Fd(fcntl(connection, F_DUPFD_CLOEXEC, 0)), net::Fd(fcntl(lane, F_DUPFD_CLOEXEC, 0))});
            const std::lock_guard lock(mutex);
            conversations.run(
                [sockets, packed = Bytes(outgoing.begin(), outgoing.end())](const CancelToken& stop) {
                  carry_out(packed, std::move(sockets->ours), std::move(sockets->theirs), stop);
                });
            return {};
          },
          [](const transfer::PeerIdentity& peer) -> Status {
            return revoked ? fail(ErrorCode::access_denied, peer.common_name + " is revoked") : Status();
          }};
}
Result<std::unique_ptr<transfer::Peer>> connect(uint16_t port, const std::string& who = "primary",
                                                const std::string& host = "127.0.0.1") {
  return connector(who).connect(host, port, kLong, {});
}

// What to send: data, zeroes and more data of one disk.
constexpr uint64_t kSize = 4 * kMiB;
FakeSource source() {
  return FakeSource(
      {{0, transfer::random_bytes(kSize, 1)}},
      {{0, 0, kMiB, false}, {0, kMiB, kMiB, true}, {0, 2 * kMiB, 65536, false}, {0, 3 * kMiB, kMiB, false}});
}
Images expected() {
  Bytes image(kSize, std::byte{0xee});
  const Bytes sent = transfer::random_bytes(kSize, 1);
  for (const Extent& e : source().list)
    for (uint64_t at = e.offset; at < e.offset + e.length; ++at) image[at] = e.zero ? std::byte{0} : sent[at];
  return {{0, image}};
}
Images blank() {
  return {{0, Bytes(kSize, std::byte{0xee})}};
}

Result<RecoveryPoint> replicate(uint16_t port, const Uuid& point) {
  US_TRY(const auto peer, connect(port));
  US_CHECK(peer->query({kVm}));
  FakeSource data = source();
  US_TRY(const Cursor from, peer->begin({kVm, kKey, 4096, kSize}));
  US_CHECK(peer->send(data, from, true, {}, {}));
  return peer->finish({kVm, kKey, point, PointType::standard, Wall{5}});
}

TEST(Link, CarriesADeltaFromHostToHost) {
  FakeService service(blank());
  const auto server = listen(service);
  const Uuid id = Uuid::random();
  const auto point = replicate(server->port(), id);
  ASSERT_TRUE(point) << point.error().text();
  EXPECT_EQ(point->id, id);
  EXPECT_EQ(service.sink->images, expected());
  ASSERT_EQ(service.admitted.size(), 1u);
  EXPECT_EQ(service.admitted[0].common_name, "primary.example");
  EXPECT_EQ(service.admitted[0].names, (std::vector<std::string>{"primary.example", "other.example"}));
  EXPECT_EQ(service.admitted[0].thumbprint.size(), 64u);
  EXPECT_TRUE(service.admitted[0].address.starts_with("127.0.0.1:")) << service.admitted[0].address;
}

TEST(Link, RefusesAStrangersCertificate) {
  FakeService service({});
  const auto server = listen(service);
  const auto peer = connect(server->port(), "stranger");
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().code(), ErrorCode::unauthenticated) << peer.error().text();
  EXPECT_TRUE(service.admitted.empty());
  EXPECT_TRUE(connect(server->port()));
}

TEST(Link, RefusesWhoShowsNoCertificate) {
  FakeService service({});
  const auto server = listen(service);
  net::TlsOptions options = tls_setup(house().identity("primary")).options();
  options.certificate_file.clear();
  options.key_file.clear();
  auto context = net::TlsContext::client(options);
  ASSERT_TRUE(context);
  auto connection = net::connect_tcp("127.0.0.1", server->port(), kLong);
  ASSERT_TRUE(connection);
  auto stream = context->connect(std::move(*connection), "127.0.0.1", kLong, {});
  Bytes some(1);
  EXPECT_TRUE(!stream || !(*stream)->read(some, kLong));
  EXPECT_TRUE(service.admitted.empty());
}

TEST(Link, TheReplicaMustCarryTheNameThatWasMeant) {
  FakeService service({});
  const Listening server(house().identity("primary"), service, 0);
  const auto peer = connect(server.port());
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().code(), ErrorCode::unauthenticated);
  EXPECT_NE(peer.error().message().find("127.0.0.1 port"), std::string::npos) << peer.error().text();
  EXPECT_TRUE(service.admitted.empty());
}

std::unique_ptr<TlsWire> raw_wire(uint16_t port, const std::vector<std::string>& alpn = {kAlpn}) {
  net::TlsOptions options = tls_setup(house().identity("primary")).options();
  options.alpn = alpn;
  auto context = net::TlsContext::client(options);
  auto connection = net::connect_tcp("127.0.0.1", port, kLong);
  EXPECT_TRUE(context && connection);
  const int fd = connection->fd.get();
  auto stream = context->connect(std::move(*connection), "127.0.0.1", kLong, {});
  EXPECT_TRUE(stream) << stream.error().text();
  return stream ? std::make_unique<TlsWire>(std::move(*stream), fd) : nullptr;
}

TEST(Link, RefusesAPeerNobodyAdmitsBeforeItReads) {
  FakeService service({});
  service.admits = false;
  const auto server = listen(service);
  const auto wire = raw_wire(server->port());
  ASSERT_TRUE(wire->write(Bytes(100'000, std::byte{'x'}), kLong));
  const auto frame = transfer::read_frame(*wire, kLong);
  ASSERT_TRUE(frame) << frame.error().text();
  ASSERT_EQ(frame->type, transfer::FrameType::error);
  EXPECT_EQ(transfer::read_refusal(frame->payload)->error.code(), ErrorCode::access_denied);
  const auto peer = connect(server->port());
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().code(), ErrorCode::access_denied);
  EXPECT_NE(peer.error().message().find("no authorization entry admits 'primary.example'"),
            std::string::npos);
}

TEST(Link, AnswersAnotherVersionClearly) {
  FakeService service({});
  const auto server = listen(service);
  const auto client = transfer::Client::greet(raw_wire(server->port()), transfer::test_hello("primary", 2, 3),
                                              kLong, nullptr);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), ErrorCode::not_supported);
  EXPECT_NE(client.error().message().find("speaks versions 1 to 1"), std::string::npos)
      << client.error().text();
}

// A replica host that answers each frame with what it was given, frame after frame.
class FalseReplica {
 public:
  explicit FalseReplica(std::vector<transfer::Frame> answers)
      : listener_(*net::listen_tcp("127.0.0.1", 0)),
        thread_("replica", [this, answers = std::move(answers)] { converse(answers); }) {}
  ~FalseReplica() { stop_.cancel(); }
  uint16_t port() const { return *net::bound_port(listener_); }

 private:
  void converse(const std::vector<transfer::Frame>& answers) {
    const auto context = net::TlsContext::server(tls_setup(house().identity("replica")).options());
    auto connection = net::accept(listener_, stop_);
    if (!connection) return;
    const int fd = connection->fd.get();
    auto stream = context->accept(std::move(*connection), kLong, stop_);
    if (!stream) return;
    TlsWire wire(std::move(*stream), fd);
    for (const transfer::Frame& answer : answers)
      if (!transfer::read_frame(wire, kLong) ||
          !transfer::write_frame(wire, answer.type, answer.payload, kLong))
        return;
    transfer::part(wire);
  }
  CancelToken stop_;
  net::Fd listener_;
  Thread thread_;
};

TEST(Link, WhatAReplicaMustNotSayStaysOutside) {
  const auto frame = [](transfer::FrameType type, std::string_view text) {
    const ByteView view = as_bytes(text);
    return transfer::Frame{type, Bytes(view.begin(), view.end())};
  };
  const auto hello = frame(transfer::FrameType::hello, encode(transfer::test_hello("replica", 1, 1)));
  for (const transfer::Frame& bad :
       {frame(transfer::FrameType::answer, "{\"id\":1,\"id\":1,\"result\":{}}"),
        frame(transfer::FrameType::answer, "[]"), frame(transfer::FrameType::ping, ""),
        frame(transfer::FrameType::request, R"({"id":1,"method":"remove","params":{}})"),
        frame(transfer::FrameType::extent_data, std::string(100, 'x'))}) {
    const FalseReplica replica(std::vector<transfer::Frame>{hello, bad});
    const auto peer = connect(replica.port());
    ASSERT_TRUE(peer) << peer.error().text();
    const auto answer = (*peer)->query({kVm});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), ErrorCode::protocol) << answer.error().text();
    EXPECT_EQ((*peer)->query({kVm}).error().code(), ErrorCode::not_available) << "the connection is over";
  }
  const FalseReplica replica(
      std::vector<transfer::Frame>{frame(transfer::FrameType::extent_zero, std::string(40, '\0'))});
  const auto peer = connect(replica.port());
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().code(), ErrorCode::protocol) << peer.error().text();
}

TEST(Link, ARevokedReplicaGetsNothingMore) {
  FakeService service(blank());
  const auto server = listen(service);
  const auto peer = connect(server->port());
  ASSERT_TRUE(peer) << peer.error().text();
  FakeSource data = source();
  data.before = [](const Extent& extent) -> Status {
    revoked = extent.offset >= 2 * kMiB;
    return {};
  };
  const auto from = (*peer)->begin({kVm, kKey, 4096, kSize});
  ASSERT_TRUE(from);
  const auto sent = (*peer)->send(data, *from, true, {}, {});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), ErrorCode::access_denied) << sent.error().text();
  EXPECT_EQ(connect(server->port()).error().code(), ErrorCode::access_denied);
  revoked = false;
  EXPECT_TRUE(connect(server->port()));
}

TEST(Link, WantsItsOwnProtocolName) {
  FakeService service({});
  const auto server = listen(service);
  const auto wire = raw_wire(server->port(), {});
  Bytes some(1);
  const auto got = wire->read(some, kLong);
  EXPECT_TRUE(!got || *got == 0);
  EXPECT_TRUE(service.admitted.empty());
}

// Passes bytes on between a client and a server until `most` of them went through, both ways together.
class CuttingProxy {
 public:
  CuttingProxy(uint16_t to, uint64_t most) : listener_(*net::listen_tcp("127.0.0.1", 0)) {
    thread_ = Thread("proxy", [this, to, most] { run(to, most); });
  }
  ~CuttingProxy() { stop_.cancel(); }
  uint16_t port() const { return *net::bound_port(listener_); }
  uint64_t passed() {
    stop_.cancel();
    thread_.join();
    return passed_;
  }

 private:
  void run(uint16_t to, uint64_t most) {
    auto near = net::accept(listener_, stop_);
    auto far = net::connect_tcp("127.0.0.1", to, kLong);
    if (!near || !far) return;
    const int fds[2] = {near->fd.get(), far->fd.get()};
    bool open[2] = {true, true};
    Bytes buffer(65536);
    while (passed_ < most && (open[0] || open[1])) {
      pollfd polled[3] = {
          {open[0] ? fds[0] : -1, POLLIN, 0}, {open[1] ? fds[1] : -1, POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
      if (poll(polled, 3, 60'000) <= 0 || polled[2].revents) return;
      for (size_t i = 0; i < 2; ++i) {
        if (!polled[i].revents) continue;
        const size_t room = std::min<uint64_t>(buffer.size(), most - passed_);
        const ssize_t n = recv(fds[i], buffer.data(), room, 0);
        if (n <= 0) open[i] = false;
        if (n <= 0) shutdown(fds[1 - i], SHUT_WR);
        if (n > 0 && !pass_on(fds[1 - i], ByteView(buffer).first(static_cast<size_t>(n)))) return;
      }
    }
  }
  bool pass_on(int fd, ByteView bytes) {
    passed_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0)
        bytes = bytes.subspan(static_cast<size_t>(n));
      else if (errno != EAGAIN ||
               !net::wait_ready(fd, net::Ready::to_write, net::deadline_in(kLong), stop_, "proxy"))
        return false;
    }
    return true;
  }

  net::Fd listener_;
  CancelToken stop_;
  uint64_t passed_ = 0;
  Thread thread_;
};

TEST(Link, ACutAnywhereIsAnError) {
  uint64_t whole = 0;
  {
    FakeService service(blank());
    const auto server = listen(service);
    CuttingProxy proxy(server->port(), UINT64_MAX);
    const auto point = replicate(proxy.port(), kVm);
    ASSERT_TRUE(point) << point.error().text();
    whole = proxy.passed();
  }
  ASSERT_GT(whole, 5000u);
  size_t cuts = 0;
  // Every few bytes of the handshake and the first frames, then in growing steps. What varies from run to run
  // (the length of a signature) is less than the margin at the end.
  for (uint64_t at = 0; at + 600 < whole; at += at < 6000 ? 97 : whole / 40, ++cuts) {
    FakeService service(blank());
    const auto server = listen(service);
    CuttingProxy proxy(server->port(), at);
    const auto point = replicate(proxy.port(), kVm);
    EXPECT_FALSE(point) << "cut after " << at << " of " << whole;
  }
  EXPECT_GT(cuts, 90u);
}

TEST(Link, AfterACutTheNextTryGoesOnAndEndsWell) {
  FakeService service(blank());
  const auto server = listen(service);
  {
    CuttingProxy proxy(server->port(), kMiB);
    EXPECT_FALSE(replicate(proxy.port(), kVm));
  }
  const auto point = replicate(server->port(), kVm);
  ASSERT_TRUE(point) << point.error().text();
  EXPECT_EQ(service.sink->images, expected());
}

TEST(Link, StopEndsATransferOnBothSides) {
  FakeService service({{0, Bytes(256 * kMiB)}});
  auto server = listen(service);
  transfer::Gate under_way;
  service.sink->before_write = [&]() -> Status {
    under_way.open();
    return {};
  };
  Thread stopper("stopper", [&] {
    EXPECT_TRUE(under_way.wait());
    server->stop();
  });
  const auto peer = connect(server->port());
  ASSERT_TRUE(peer) << peer.error().text();
  FakeSource data({{0, Bytes(kMiB)}}, {});
  for (uint64_t at = 0; at < 256 * kMiB; at += kMiB) data.list.push_back({0, at, kMiB, false});
  data.images[0] = transfer::random_bytes(256 * kMiB, 1);
  const auto from = (*peer)->begin({kVm, kKey, 4096, 256 * kMiB});
  ASSERT_TRUE(from);
  EXPECT_FALSE((*peer)->send(data, *from, false, {}, {}));
  EXPECT_FALSE((*peer)->query({kVm}));
}

TEST(Link, ATransferIsCancelled) {
  CancelToken cancel;  // outlives the server's threads
  FakeService service({{0, Bytes(64 * kMiB)}});
  auto server = listen(service);
  service.sink->before_write = [&]() -> Status {
    cancel.cancel();
    return {};
  };
  const auto peer = connect(server->port());
  ASSERT_TRUE(peer) << peer.error().text();
  FakeSource data({{0, transfer::random_bytes(64 * kMiB, 1)}}, {});
  for (uint64_t at = 0; at < 64 * kMiB; at += kMiB) data.list.push_back({0, at, kMiB, false});
  const auto from = (*peer)->begin({kVm, kKey, 4096, 64 * kMiB});
  ASSERT_TRUE(from);
  const auto summary = (*peer)->send(data, *from, true, {}, cancel);
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code(), ErrorCode::cancelled);
}

TEST(Link, StrangersAloneCannotFillTheHouse) {
  FakeService service({});
  const auto server = listen(service);
  std::vector<net::Connection> idle;
  Bytes some(1);
  for (size_t i = 0; i < kMostHandshakes; ++i)
    idle.push_back(std::move(*net::connect_tcp("127.0.0.1", server->port(), kLong)));
  // One more is closed at once.
  net::PlainStream refused(std::move(*net::connect_tcp("127.0.0.1", server->port(), kLong)), {});
  const auto got = refused.read(some, Duration::seconds(5));
  EXPECT_TRUE(got ? *got == 0 : got.error().code() == ErrorCode::not_available) << got.error().text();
  idle.clear();
  Result<std::unique_ptr<transfer::Peer>> peer = fail(ErrorCode::failed, "not tried");
  for (const Monotonic until = net::deadline_in(kLong); !peer && net::deadline_in({}) < until;)
    peer = connect(server->port());
  EXPECT_TRUE(peer) << peer.error().text();
}

TEST(Link, ListensAgainWhereItListenedBefore) {
  FakeService service({});
  auto server = listen(service);
  const uint16_t port = server->port();
  const auto peer = connect(port);
  ASSERT_TRUE(peer);
  server.reset();
  EXPECT_FALSE((*peer)->query({kVm}));
  server = listen(service, port);
  ASSERT_TRUE(server);
  EXPECT_TRUE(connect(port));
  server.reset();
  const auto nobody = connect(port);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code(), ErrorCode::not_available);
}

TEST(Relay, DataComesOutAsItIsAndBoundToItsPlace) {
  const Bytes raw(65536, std::byte{'a'});
  Bytes packed(raw.size());
  packed.resize(transfer::Compressor().compress(raw, packed));
  transfer::ExtentHead head{0, transfer::Codec::zstd, 4096, raw.size(), {}};
  head.check = transfer::extent_check(head, raw, 7);
  Bytes whole(transfer::kHeaderSize + transfer::kExtentHeadSize);
  transfer::encode_extent(transfer::FrameType::extent_data, head, static_cast<uint32_t>(packed.size()),
                          whole);
  transfer::Frame frame{transfer::FrameType::extent_data,
                        Bytes(whole.begin() + transfer::kHeaderSize, whole.end())};
  frame.payload.insert(frame.payload.end(), packed.begin(), packed.end());

  const auto anew = made_anew(frame);
  ASSERT_TRUE(anew) << anew.error().text();
  const auto read = transfer::decode_extent(anew->type, anew->payload);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->codec, transfer::Codec::none);
  const ByteView bytes = ByteView(anew->payload).subspan(transfer::kExtentHeadSize);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), raw.begin(), raw.end()));
  EXPECT_EQ(read->check, transfer::extent_check(*read, bytes, 7));

  frame.payload.back() ^= std::byte{1};
  frame.payload.resize(frame.payload.size() - 1);
  EXPECT_FALSE(made_anew(frame));
}

TEST(Relay, WhatIsNoJsonOfOursIsRefusedAndTheRestIsWrittenAnew) {
  const auto anew = [](transfer::FrameType type, std::string_view text) {
    const ByteView view = as_bytes(text);
    return made_anew({type, Bytes(view.begin(), view.end())});
  };
  const auto request =
      anew(transfer::FrameType::request, R"( { "params" : {"b":1, "a":[]}, "method":"query","id":3 } )");
  ASSERT_TRUE(request) << request.error().text();
  EXPECT_EQ(as_text(request->payload), R"({"id":3,"method":"query","params":{"a":[],"b":1}})");
  for (const char* bad : {"", "{", "[]", R"({"id":1,"id":2,"method":"x","params":{}})", R"({"id":1})",
                          "{\"id\":1,\"method\":\"\xff\",\"params\":{}}"})
    EXPECT_FALSE(anew(transfer::FrameType::request, bad)) << bad;
  const std::string nvram = to_base64(transfer::pack(Bytes(1000, std::byte{5})));
  const std::string head = R"({"id":1,"method":"finish","params":{"nvram":")";
  const auto finish = anew(transfer::FrameType::request, head + nvram + "\"}}");
  ASSERT_TRUE(finish) << finish.error().text();
  EXPECT_EQ(as_text(finish->payload), head + nvram + "\"}}");
  EXPECT_FALSE(anew(transfer::FrameType::request, head + to_base64(Bytes(40, std::byte{5})) + "\"}}"));
}

TEST(Relay, AnotherSpellingIsWithinTheBoundsToo) {
  std::string numbers;
  for (int i = 0; i < 200'000; ++i) numbers += "1e5,";
  const std::string text = R"({"id":1,"method":"x","params":{"a":[)" + numbers + "0]}}";
  const ByteView view = as_bytes(text);
  const auto anew = made_anew({transfer::FrameType::request, Bytes(view.begin(), view.end())});
  ASSERT_FALSE(anew);
  EXPECT_EQ(anew.error().code(), ErrorCode::too_large) << anew.error().text();
}

TEST(Link, ConnectingIsCancelled) {
  const auto listener = net::listen_tcp("127.0.0.1", 0);  // nobody answers the handshake
  ASSERT_TRUE(listener);
  CancelToken cancel;
  Result<net::Connection> connection = fail(ErrorCode::failed, "nobody came");
  Thread canceller("canceller", [&] {
    connection = net::accept(*listener, CancelToken());
    EXPECT_TRUE(connection);
    cancel.cancel();
  });
  const auto peer = connector("primary").connect("127.0.0.1", *net::bound_port(*listener), kLong, cancel);
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().code(), ErrorCode::cancelled) << peer.error().text();
}

}  // namespace
}  // namespace understudy::link
