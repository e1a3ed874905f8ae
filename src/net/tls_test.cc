#include "net/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "base/thread.h"
#include "net/certificate.h"

namespace understudy::net {
namespace {

namespace fs = std::filesystem;
constexpr Duration kLong = Duration::seconds(20);

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/understudy-net-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TempDir() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// One authority with two hosts, and a stranger with an authority of its own; made once for all tests.
struct House {
  TempDir dir;
  House() {
    EXPECT_TRUE(create_authority(dir / "ca", "test-authority"));
    EXPECT_TRUE(issue_certificate(dir / "ca", {"server", "localhost", "127.0.0.1", "::1"}, dir / "server"));
    EXPECT_TRUE(issue_certificate(dir / "ca", {"client"}, dir / "client"));
    EXPECT_TRUE(create_authority(dir / "other-ca", "other-authority"));
    EXPECT_TRUE(issue_certificate(dir / "other-ca", {"client"}, dir / "stranger"));
  }
  TlsOptions options(const std::string& who) const {
    TlsOptions o;
    o.certificate_file = dir / (who + "/host.crt");
    o.key_file = dir / (who + "/host.key");
    o.authority_file = dir / (who + "/authority.crt");
    return o;
  }
};
const House& house() {
  static const House the_house;
  return the_house;
}

std::pair<Connection, Connection> socket_pair() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  return {Connection{Fd(fds[0]), "the client"}, Connection{Fd(fds[1]), "the server"}};
}

using StreamResult = Result<std::unique_ptr<TlsStream>>;
struct Pair {
  StreamResult server = fail(ErrorCode::failed, "not tried");
  StreamResult client = fail(ErrorCode::failed, "not tried");
};

Pair shake(const TlsOptions& server, const TlsOptions& client, const std::string& host = "localhost",
           const CancelToken& cancel = {}) {
  auto server_context = TlsContext::server(server);
  auto client_context = TlsContext::client(client);
  EXPECT_TRUE(server_context) << server_context.error().text();
  EXPECT_TRUE(client_context) << client_context.error().text();
  auto [to_client, to_server] = socket_pair();
  Pair pair;
  Thread accepting("accepting", [&, connection = std::make_shared<Connection>(std::move(to_client))] {
    pair.server = server_context->accept(std::move(*connection), kLong, cancel);
  });
  pair.client = client_context->connect(std::move(to_server), host, kLong, cancel);
  if (!pair.client) to_server = {};
  accepting.join();
  return pair;
}

TEST(Tls, BothSidesKnowEachOther) {
  TlsOptions server = house().options("server");
  server.tls13_only = true;
  server.alpn = {"understudy/1"};
  TlsOptions client = house().options("client");
  client.alpn = {"other", "understudy/1"};
  Pair p = shake(server, client);
  ASSERT_TRUE(p.server) << p.server.error().text();
  ASSERT_TRUE(p.client) << p.client.error().text();
  EXPECT_EQ((*p.client)->version(), "TLSv1.3");
  EXPECT_EQ((*p.server)->alpn(), "understudy/1");
  const auto& seen = (*p.server)->certificate();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->common_name, "client");
  EXPECT_EQ(seen->thumbprint, load_certificate_info(house().dir / "client/host.crt")->thumbprint);
  EXPECT_EQ((*p.client)->certificate()->ip_names, (std::vector<std::string>{"127.0.0.1", "::1"}));

  ASSERT_TRUE((*p.client)->write_all(as_bytes("hello"), kLong));
  ASSERT_TRUE((*p.client)->shutdown());
  std::byte text[5];
  ASSERT_TRUE(read_exactly(**p.server, text, kLong));
  EXPECT_EQ(as_text(text), "hello");
  EXPECT_EQ((*p.server)->read(text, kLong), 0u);
  ASSERT_TRUE((*p.server)->write_all(as_bytes("still"), kLong));
  ASSERT_TRUE(read_exactly(**p.client, text, kLong));
}

TEST(Tls, IpAddressIsCheckedAsOne) {
  EXPECT_TRUE(shake(house().options("server"), house().options("client"), "127.0.0.1").client);
  const Pair wrong = shake(house().options("server"), house().options("client"), "127.0.0.2");
  ASSERT_FALSE(wrong.client);
  EXPECT_EQ(wrong.client.error().code(), ErrorCode::unauthenticated);
}

TEST(Tls, WrongHostNameIsRefusedByTheClient) {
  const Pair p = shake(house().options("server"), house().options("client"), "elsewhere");
  ASSERT_FALSE(p.client);
  EXPECT_EQ(p.client.error().code(), ErrorCode::unauthenticated);
  EXPECT_THAT(p.client.error().message(), testing::HasSubstr("mismatch"));
  EXPECT_FALSE(p.server);
}

TEST(Tls, APinnedCertificateNeedsNeitherAuthorityNorNameAndNoOtherIsGood) {
  TlsOptions server = house().options("server");
  server.peer = PeerCheck::none;
  TlsOptions client;
  client.pin = load_certificate_info(server.certificate_file)->thumbprint.substr(0, 32);
  const Pair p = shake(server, client, "elsewhere");
  ASSERT_TRUE(p.client) << p.client.error().text();
  EXPECT_EQ((*p.client)->certificate()->common_name, "server");
  for (char& digit : client.pin) {  // not even a certificate of our authority, under its own name
    const char right = std::exchange(digit, digit == '0' ? '1' : '0');
    client.authority_file = server.authority_file;
    const Pair q = shake(server, client);
    ASSERT_FALSE(q.client);
    EXPECT_EQ(q.client.error().code(), ErrorCode::unauthenticated);
    digit = right;
  }
}

TEST(Tls, StrangerIsRefusedByBothSides) {
  const Pair p = shake(house().options("server"), house().options("stranger"));
  ASSERT_FALSE(p.client);
  EXPECT_EQ(p.client.error().code(), ErrorCode::unauthenticated);

  TlsOptions careless = house().options("stranger");
  careless.peer = PeerCheck::none;
  const Pair q = shake(house().options("server"), careless);
  ASSERT_FALSE(q.server);
  EXPECT_EQ(q.server.error().code(), ErrorCode::unauthenticated);
}

TEST(Tls, CertificateRequiredOrOptional) {
  TlsOptions bare = house().options("client");
  bare.certificate_file.clear();
  bare.key_file.clear();
  Pair refused = shake(house().options("server"), bare);
  ASSERT_FALSE(refused.server);
  EXPECT_EQ(refused.server.error().code(), ErrorCode::unauthenticated);
  if (refused.client) {  // TLS 1.3: the client hears of it when it reads
    std::byte byte[1];
    const auto heard = (*refused.client)->read(byte, kLong);
    ASSERT_FALSE(heard);
    EXPECT_EQ(heard.error().code(), ErrorCode::unauthenticated) << heard.error().text();
  }
  TlsOptions asking = house().options("server");
  asking.peer = PeerCheck::optional;
  const Pair accepted = shake(asking, bare);
  ASSERT_TRUE(accepted.server) << accepted.server.error().text();
  EXPECT_FALSE((*accepted.server)->certificate());
}

TEST(Tls, OldVersionAndForeignProtocolAreRefused) {
  TlsOptions strict = house().options("server");
  strict.tls13_only = true;
  auto context = TlsContext::server(strict);
  ASSERT_TRUE(context);
  // The head of a TLS 1.2 ClientHello that offers one cipher and no supported_versions extension.
  std::string hello("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03", 11);
  hello += std::string(32, 'r') + std::string("\x00\x00\x02\xc0\x2b\x01\x00", 7);
  for (const std::string& first : {hello, std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n")}) {
    auto [to_client, to_server] = socket_pair();
    ASSERT_EQ(send(to_server.fd.get(), first.data(), first.size(), 0), static_cast<ssize_t>(first.size()));
    const auto refused = context->accept(std::move(to_client), kLong, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::protocol) << refused.error().text();
  }
  TlsOptions one = house().options("server");
  one.alpn = {"understudy/1"};
  TlsOptions two = house().options("client");
  two.alpn = {"h2"};
  EXPECT_FALSE(shake(one, two).client);
}

TEST(Tls, SilentPeerRunsIntoTheDeadline) {
  auto context = TlsContext::server(house().options("server"));
  ASSERT_TRUE(context);
  auto [to_client, to_server] = socket_pair();
  const auto silent = context->accept(std::move(to_client), Duration::millis(20), {});
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code(), ErrorCode::timeout);

  Pair p = shake(house().options("server"), house().options("client"));
  std::byte byte[1];
  const auto read = (*p.client)->read(byte, Duration::millis(20));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), ErrorCode::timeout);
  const Bytes much(8 << 20);
  const auto written = (*p.client)->write_all(much, Duration::millis(50));  // nobody reads
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), ErrorCode::timeout);
}

TEST(Tls, CutConnectionIsNotAnOrderlyEnd) {
  Pair p = shake(house().options("server"), house().options("client"));
  p.server = fail(ErrorCode::failed, "gone");
  std::byte byte[1];
  const auto read = (*p.client)->read(byte, kLong);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), ErrorCode::not_available) << read.error().text();
}

TEST(Tls, CancelEndsAWait) {
  CancelToken cancel;
  Pair p = shake(house().options("server"), house().options("client"), "localhost", cancel);
  std::atomic<bool> started = false;
  Result<size_t> read = 1;
  Thread reader("reader", [&] {
    std::byte byte[1];
    started = true;
    read = (*p.client)->read(byte, kLong);
  });
  while (!started) std::this_thread::yield();
  cancel.cancel();
  reader.join();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), ErrorCode::cancelled);
}

// Each side sends while it receives, with far more on the way than the sockets hold.
TEST(Tls, ReadsWhileItWrites) {
  Pair p = shake(house().options("server"), house().options("client"));
  constexpr size_t kTotal = 16 << 20;
  Bytes sent(kTotal);
  for (size_t i = 0; i < kTotal; ++i) sent[i] = static_cast<std::byte>(i * 2654435761u >> 24);
  Bytes at_server(kTotal);
  Bytes at_client(kTotal);
  Status results[4];
  {
    Thread a("a", [&] { results[0] = (*p.client)->write_all(sent, kLong); });
    Thread b("b", [&] { results[1] = (*p.server)->write_all(sent, kLong); });
    Thread c("c", [&] { results[2] = read_exactly(**p.client, at_client, kLong); });
    Thread d("d", [&] { results[3] = read_exactly(**p.server, at_server, kLong); });
  }
  for (const Status& result : results) ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(at_server, sent);
  EXPECT_EQ(at_client, sent);
}

TEST(TlsContext, NamesTheFileAndTheNextStep) {
  TlsOptions missing = house().options("server");
  missing.certificate_file = house().dir / "none.crt";
  const auto context = TlsContext::server(missing);
  ASSERT_FALSE(context);
  EXPECT_THAT(context.error().message(), testing::HasSubstr("none.crt"));
  EXPECT_FALSE(context.error().hint().empty());
  TlsOptions mixed = house().options("server");
  mixed.key_file = house().dir / "client/host.key";
  EXPECT_FALSE(TlsContext::server(mixed));
}

TEST(Certificate, KeysArePrivateAndNothingIsOverwritten) {
  const TempDir dir;
  ASSERT_TRUE(create_authority(dir / "ca", "a"));
  const auto again = create_authority(dir / "ca", "b");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::in_use);
  const auto issued = issue_certificate(dir / "ca", {"host-b", "10.0.0.2"}, dir / "b");
  ASSERT_TRUE(issued) << issued.error().text();
  for (const char* key : {"ca/authority.key", "b/host.key"}) {
    struct stat info {};
    ASSERT_EQ(stat((dir / key).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  const auto loaded = load_certificate_info(dir / "b/host.crt");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->subject, "CN=host-b");
  EXPECT_EQ(loaded->issuer, "CN=a");
  EXPECT_EQ(loaded->dns_names, std::vector<std::string>{"host-b"});
  EXPECT_EQ(loaded->ip_names, std::vector<std::string>{"10.0.0.2"});
  EXPECT_EQ(loaded->thumbprint.size(), 64u);
  EXPECT_EQ(loaded->thumbprint, issued->thumbprint);
  EXPECT_FALSE(loaded->authority);
  EXPECT_TRUE(load_certificate_info(dir / "ca/authority.crt")->authority);
  EXPECT_GT(loaded->not_after, loaded->not_before);
}

// A second issue into the same folder leaves what is there as it is, also the part it had already written.
TEST(Certificate, AllFilesOrNone) {
  const TempDir dir;
  ASSERT_TRUE(create_authority(dir / "ca", "a"));
  fs::create_directory(dir / "b");
  std::ofstream(dir / "b/host.crt") << "mine";
  ASSERT_FALSE(issue_certificate(dir / "ca", {"b"}, dir / "b"));
  EXPECT_FALSE(fs::exists(dir / "b/host.key"));
  EXPECT_EQ(fs::file_size(dir / "b/host.crt"), 4u);
}

TEST(Certificate, RefusesNamesThatMeanSomethingToOpenSsl) {
  for (const char* name : {"", "a,DNS:b", "a b", "dirName:x", "a\nb", "*"}) {
    EXPECT_FALSE(issue_certificate(house().dir / "ca", {name}, house().dir / "bad")) << name;
    EXPECT_FALSE(create_authority(house().dir / "bad", name)) << name;
  }
  EXPECT_FALSE(load_certificate_info("/etc/hostname"));
}

}  // namespace
}  // namespace understudy::net
