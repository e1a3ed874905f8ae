// What needs no realm; tokens of one are taken in tests/e2e/test_kerberos.py.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "kerberos/acceptor.h"

namespace understudy::kerberos {
namespace {

using testing::HasSubstr;

class AcceptorTest : public testing::Test {
 protected:
  ~AcceptorTest() override { std::filesystem::remove(replays_); }
  std::unique_ptr<Acceptor> with(const std::vector<authz::ServiceKey>& keys) const {
    auto acceptor = Acceptor::make(keys, replays_);
    EXPECT_TRUE(acceptor) << acceptor.error().text();
    return std::move(*acceptor);
  }
  static authz::ServiceKey key(uint16_t type, size_t size) {
    return {"host-b.example.org", "EXAMPLE.ORG", 2, type, Bytes(size, std::byte{7})};
  }
  const std::string replays_ = testing::TempDir() + "understudy-replays-" + std::to_string(getpid());
};

TEST_F(AcceptorTest, WithoutAKeyNobodyCanSay) {
  EXPECT_EQ(with({})->accept("x").error().code(), ErrorCode::not_available);
}

TEST_F(AcceptorTest, RefusesWhatIsNoTokenOfKerberos) {
  const auto acceptor = with({key(18, 32), key(17, 16)});
  // The head of a negotiation that offers NTLM only, of the mechanism IAKERB, of Kerberos with nothing in it.
  const std::string ntlm(
      "\x60\x2a\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x20\x30\x1e\xa0\x0e\x30\x0c\x06\x0a\x2b"
      "\x06\x01\x04\x01\x82\x37\x02\x02\x0a\xa2\x0c\x04\x0a\0\0\0\0\0\0\0\0\0\0",
      44);
  const std::string iakerb("\x60\x0c\x06\x06\x2b\x06\x01\x05\x02\x05\x05\x01\0\0", 14);
  const std::string empty("\x60\x0d\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\0", 15);
  for (const std::string& token : {std::string("x"), std::string(), std::string(authz::kMostToken, '\0'),
                                   std::string("NTLMSSP\0\1\0\0\0", 12), ntlm, iakerb, empty,
                                   std::string("\x60\x84\xff\xff\xff\xff", 6)}) {
    const auto ticket = acceptor->accept(token);
    ASSERT_FALSE(ticket);
    EXPECT_EQ(ticket.error().code(), ErrorCode::unauthenticated);
    EXPECT_THAT(ticket.error().message(), HasSubstr("a token of Kerberos was refused: "));
  }
  EXPECT_FALSE(std::filesystem::exists(replays_));  // nothing was taken
}

TEST_F(AcceptorTest, KeysOfAnyKindAreKept) {
  // One that this library cannot use is nobody's fault: its tickets are refused, the others are not.
  EXPECT_TRUE(with({key(18, 32), key(999, 5)}));
  const auto one = with({key(18, 32)});
  const auto other = with({key(17, 16)});  // beside it, as when keys change
  EXPECT_FALSE(one->accept("x") || other->accept("x"));
}

}  // namespace
}  // namespace understudy::kerberos
