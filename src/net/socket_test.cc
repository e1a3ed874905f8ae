#include "net/socket.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/thread.h"
#include "net/stream.h"

namespace understudy::net {
namespace {

constexpr Duration kLong = Duration::seconds(20);

std::string unix_path() {
  char name[] = "/tmp/understudy-net-XXXXXX";
  return std::string(mkdtemp(name)) + "/socket";
}

void exchange(const Fd& listener, Result<Connection> connected) {
  ASSERT_TRUE(connected) << connected.error().text();
  auto accepted = accept(listener, {});
  ASSERT_TRUE(accepted) << accepted.error().text();
  PlainStream a(std::move(*connected), {});
  PlainStream b(std::move(*accepted), {});
  ASSERT_TRUE(a.write_all(as_bytes("ping"), kLong));
  ASSERT_TRUE(a.shutdown());
  std::byte text[4];
  ASSERT_TRUE(read_exactly(b, text, kLong));
  EXPECT_EQ(as_text(text), "ping");
  EXPECT_EQ(b.read(text, kLong), 0u);
  const auto cut = read_exactly(b, text, kLong);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code(), ErrorCode::not_available);
}

TEST(Socket, TcpOnOneAddressAndOnAll) {
  for (const char* address : {"127.0.0.1", ""}) {
    const auto listener = listen_tcp(address, 0);
    ASSERT_TRUE(listener) << listener.error().text();
    const auto port = bound_port(*listener);
    ASSERT_TRUE(port);
    EXPECT_NE(*port, 0);
    exchange(*listener, connect_tcp("127.0.0.1", *port, kLong));
    const auto second = listen_tcp("127.0.0.1", *port);
    EXPECT_FALSE(second);
  }
}

TEST(Socket, RefusedConnectionIsNotAvailable) {
  uint16_t port = 0;
  {
    const auto listener = listen_tcp("127.0.0.1", 0);
    port = *bound_port(*listener);
  }
  const auto refused = connect_tcp("127.0.0.1", port, kLong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::not_available);
  EXPECT_FALSE(connect_tcp("no.such.host.invalid", port, kLong));
}

TEST(Socket, UnixKnowsWhoCalls) {
  const std::string path = unix_path();
  {
    const auto listener = listen_unix(path, 0600);
    ASSERT_TRUE(listener) << listener.error().text();
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
    auto connected = connect_unix(path);
    ASSERT_TRUE(connected);
    auto accepted = accept(*listener, {});
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted->peer, "unix");
    EXPECT_EQ(PlainStream(std::move(*accepted), {}).peer_uid(), getuid());
    exchange(*listener, connect_unix(path));
    const auto second = listen_unix(path, 0600);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::in_use);
  }
  EXPECT_TRUE(listen_unix(path, 0600));  // the dead file of the first listener is no obstacle
  std::filesystem::remove_all(std::filesystem::path(path).parent_path());
}

TEST(Socket, RefusesToReplaceAnOrdinaryFile) {
  const std::string path = unix_path();
  const std::string folder = std::filesystem::path(path).parent_path();
  EXPECT_FALSE(listen_unix(folder, 0600));
  EXPECT_FALSE(listen_unix(folder + "/" + std::string(200, 'x'), 0600));
  std::filesystem::remove_all(folder);
}

TEST(Socket, CancelEndsAccept) {
  const auto listener = listen_tcp("127.0.0.1", 0);
  CancelToken cancel;
  Result<Connection> accepted = fail(ErrorCode::failed, "not tried");
  Thread waiting("waiting", [&] { accepted = accept(*listener, cancel); });
  cancel.cancel();
  waiting.join();
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().code(), ErrorCode::cancelled);
}

TEST(PlainStream, DeadlinesHold) {
  const auto listener = listen_tcp("127.0.0.1", 0);
  PlainStream a(*connect_tcp("127.0.0.1", *bound_port(*listener), kLong), {});
  const auto kept = accept(*listener, {});
  std::byte byte[1];
  EXPECT_EQ(a.read(byte, Duration::millis(10)).error().code(), ErrorCode::timeout);
  EXPECT_EQ(a.write_all(Bytes(64 << 20), Duration::millis(50)).error().code(), ErrorCode::timeout);
  EXPECT_FALSE(a.peer_uid());
}

}  // namespace
}  // namespace understudy::net
