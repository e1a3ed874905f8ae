// Tokens, messages, and whole enrolments over TLS on the loopback; the processes of the product are threads
// here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>

#include "base/pack.h"
#include "enrol/accept.h"
#include "enrol/offer.h"
#include "enrol/server.h"
#include "ipc/conversations.h"
#include "ipc/lane.h"

namespace understudy::enrol {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr Duration kLong = Duration::seconds(20);
constexpr std::string_view kLetters = "0123456789abcdefghjkmnpqrstvwxyz";

TEST(Token, IsOneWordAndReadsAsItWasWritten) {
  const auto identity = net::make_one_time_identity();
  ASSERT_TRUE(identity);
  const Token token = make_token(identity->thumbprint);
  EXPECT_EQ(token.pin(), identity->thumbprint.substr(0, 32));
  const std::string text = text_of(token);
  EXPECT_EQ(text.size(), 59U);
  EXPECT_EQ(text.find_first_not_of(kLetters), std::string::npos) << text;
  ASSERT_EQ(parse_token(text), token);
  EXPECT_EQ(parse_token(" " + text + "\r\n"), token);
  std::string upper = text;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(parse_token(upper), token);
  EXPECT_NE(make_token(identity->thumbprint).secret, token.secret);
}

// Made by another program from docs/spec/enrolment.md.
TEST(Token, IsAsItIsSpecified) {
  const std::string_view word = "1000g40r40m30e209185gr38e1wpq25j2pwkb0h01c9yakyxc6btg3vfjqe";
  const auto token = parse_token(word);
  ASSERT_TRUE(token) << token.error().text();
  for (size_t i = 0; i < token->secret.size(); ++i) EXPECT_EQ(token->secret[i], std::byte(i));
  EXPECT_EQ(token->pin(), "2D711642B726B04401627CA9FBAC32F5");  // of SHA-256 of "x"
  EXPECT_EQ(text_of(*token), word);
}

TEST(Token, LettersThatLookAlikeAreTheSame) {
  std::string text;
  do text = text_of(make_token(std::string(64, '0')));
  while (text.find('0') == std::string::npos || text.find('1', 1) == std::string::npos);
  std::string read = text;
  std::ranges::replace(read, '0', 'O');
  std::ranges::replace(read, '1', 'l');
  EXPECT_EQ(parse_token(read), parse_token(text));
}

TEST(Token, EachWrongCharacterIsNoticed) {
  const std::string text = text_of(make_token(std::string(64, 'A')));
  for (size_t at = 0; at < text.size(); ++at)
    for (const char c : kLetters) {
      if (c == text[at]) continue;
      std::string wrong = text;
      wrong[at] = c;
      ASSERT_EQ(parse_token(wrong).error().code(), ErrorCode::invalid_parameter) << at << c;
    }
  for (size_t at = 0; at + 1 < text.size(); ++at) {  // two that changed places
    std::string wrong = text;
    std::swap(wrong[at], wrong[at + 1]);
    EXPECT_EQ(parse_token(wrong).has_value(), wrong == text) << at;
    EXPECT_FALSE(parse_token(text.substr(0, at)));
    EXPECT_FALSE(parse_token(text.substr(0, at) + text.substr(at + 1)));
  }
  EXPECT_FALSE(parse_token(""));
  EXPECT_FALSE(parse_token(text + text));
  EXPECT_THAT(parse_token("u" + text.substr(1)).error().message(), HasSubstr("place 1"));
}

TEST(Token, SecretsAreComparedWhole) {
  Secret a{};
  Secret b = a;
  EXPECT_TRUE(same_secret(a, b));
  for (std::byte& byte : b) {
    byte = std::byte{0x80};
    EXPECT_FALSE(same_secret(a, b));
    byte = {};
  }
  EXPECT_FALSE(same_secret(a, ByteView(b).first(15)));
}

TEST(Reply, ReadsAsItWasWrittenAndNothingElseDoes) {
  const Reply reply{Refusal::none, {Bytes(3), Bytes(5)}};
  const Bytes bytes = encode(reply);
  const auto read = decode_reply(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), bytes);
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_reply(ByteView(bytes).first(n))) << n;
  for (const Reply& strange :
       {Reply{Refusal::over, {Bytes(3), Bytes(5)}}, Reply{Refusal::none, {Bytes(3), {}}},
        Reply{static_cast<Refusal>(4)}, Reply{Refusal::none, {Bytes(20000), Bytes(5)}}})
    EXPECT_EQ(decode_reply(encode(strange)).error().code(), ErrorCode::protocol);
}

// An offer for host-b, and everything around it in this process.
class Enrolment : public testing::Test {
 protected:
  Enrolment()
      : dir_(make_dir()),
        listener_(*net::listen_tcp("127.0.0.1", 0)),
        port_(*net::bound_port(listener_)),
        identity_(*net::make_one_time_identity()),
        token_(make_token(identity_.thumbprint)),
        offer_(path("ca"), {"host-b", "192.0.2.2"}, token_.secret),
        judges_("judge", kMostCallers,
                [this](net::Fd lane, const CancelToken& stop) { offer_.serve(std::move(lane), stop); }),
        server_(*offering_context({identity_.certificate, identity_.key, {}}), std::move(listener_),
                [this] { return open_lane(); }) {}
  ~Enrolment() override { fs::remove_all(dir_); }

  static std::string make_dir() {
    char name[] = "/tmp/understudy-enrol-XXXXXX";
    const std::string dir = mkdtemp(name);
    EXPECT_TRUE(net::create_authority(dir + "/ca", "test-authority"));
    return dir;
  }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }

  Result<net::Fd> open_lane() {
    US_TRY(net::SocketPair ends, net::socket_pair(SOCK_STREAM));
    const std::lock_guard lock(mutex_);
    judges_.take(std::move(ends.theirs));
    return std::move(ends.ours);
  }

  Result<net::CertificateInfo> accept(const Token& token, const std::string& out) {
    Thread asking;
    return enrol::accept(
        token, "127.0.0.1", port_, path(out), [&](ByteView errand, int connection, int lane) {
          asking = Thread("ask", [e = Bytes(errand.begin(), errand.end()), c = dup(connection),
                                  l = dup(lane)] { carry_out(e, net::Fd(c), net::Fd(l), {}); });
          return Status();
        });
  }

  // Somebody who speaks the protocol as he likes.
  std::unique_ptr<net::TlsStream> connect() {
    net::TlsOptions options;
    options.pin = token_.pin();
    options.tls13_only = true;
    options.alpn = {kAlpn};
    auto stream = net::TlsContext::client(options, {})
                      ->connect(*net::connect_tcp("127.0.0.1", port_, kLong), "", kLong, {});
    EXPECT_TRUE(stream);
    return std::move(*stream);
  }
  Result<Reply> ask(const Secret& secret, ByteView request) {
    const auto stream = connect();
    US_CHECK(send_ask(*stream, secret, request));
    return read_reply(*stream);
  }
  Secret wrong_secret() const {
    Secret wrong = token_.secret;
    wrong[15] ^= std::byte{1};
    return wrong;
  }
  // The offer's end, which follows the answer; the judge's thread says nothing when it comes.
  Offer::State at_its_end() {
    const Monotonic until = net::deadline_in(kLong);
    Offer::State state = offer_.state();
    for (; !state.over && net::deadline_in({}) < until; state = offer_.state()) poll(nullptr, 0, 5);
    return state;
  }

  const std::string dir_;
  net::Fd listener_;
  const uint16_t port_;
  const net::OneTimeIdentity identity_;
  const Token token_;
  Offer offer_;
  std::mutex mutex_;  // for judges_
  ipc::Conversations judges_;
  Server server_;
};

TEST_F(Enrolment, GivesAHostTheCertificateThatIsOffered) {
  const auto info = accept(token_, "tls");
  ASSERT_TRUE(info) << info.error().text();
  EXPECT_EQ(info->subject, "CN=host-b");
  EXPECT_EQ(info->ip_names, std::vector<std::string>{"192.0.2.2"});
  const Offer::State state = at_its_end();
  EXPECT_TRUE(state.over && state.kept && !state.error && state.signed_);
  EXPECT_EQ(state.signed_->thumbprint, info->thumbprint);
  // The files make a TLS context of both kinds, and the key is here only.
  net::TlsOptions options;
  options.certificate_file = path("tls/host.crt");
  options.key_file = path("tls/host.key");
  options.authority_file = path("tls/authority.crt");
  EXPECT_TRUE(net::TlsContext::server(options));
  EXPECT_TRUE(net::TlsContext::client(options));
}

TEST_F(Enrolment, IsDoneOnce) {
  ASSERT_TRUE(accept(token_, "tls"));
  const auto again = accept(token_, "other");
  EXPECT_EQ(again.error().code(), ErrorCode::invalid_state);
  EXPECT_THAT(again.error().message(), HasSubstr("the token was used"));
  EXPECT_FALSE(fs::exists(path("other")));
}

TEST_F(Enrolment, AsksNobodyWhenThereIsAHostAlready) {
  ASSERT_TRUE(net::issue_certificate(path("ca"), {"host-b"}, path("tls")));
  EXPECT_EQ(accept(token_, "tls").error().code(), ErrorCode::in_use);
  EXPECT_EQ(offer_.state().wrong, 0U);
  fs::rename(path("tls"), path("old"));  // as a renewal is made
  fs::create_directory(path("tls"));
  fs::copy_file(path("old/authority.crt"), path("tls/authority.crt"));
  EXPECT_TRUE(accept(token_, "tls"));
}

TEST_F(Enrolment, WhoMadeNoSuchTokenIsNotAsked) {
  Token token = token_;
  token.server[0] ^= std::byte{1};
  const auto info = accept(token, "tls");
  EXPECT_EQ(info.error().code(), ErrorCode::unauthenticated);
  EXPECT_THAT(info.error().message(), HasSubstr("is not who made the token"));
  EXPECT_EQ(offer_.state().wrong, 0U) << "no secret was shown";
  EXPECT_FALSE(fs::exists(path("tls")));
}

TEST_F(Enrolment, FiveWrongSecretsEndIt) {
  const net::HostKey key = *net::make_host_key();
  for (unsigned i = 0; i < kMostWrong; ++i) {
    const auto reply = ask(wrong_secret(), key.request);
    ASSERT_TRUE(reply) << reply.error().text();
    EXPECT_EQ(reply->refusal, Refusal::secret);
  }
  EXPECT_EQ(ask(token_.secret, key.request)->refusal, Refusal::over) << "the right one comes too late";
  const Offer::State state = at_its_end();
  ASSERT_TRUE(state.error);
  EXPECT_THAT(state.error->message(), HasSubstr("5 callers had a wrong secret"));
  EXPECT_FALSE(state.signed_);
}

TEST_F(Enrolment, AWrongSecretKeepsNobodyOut) {
  EXPECT_EQ(ask(wrong_secret(), {})->refusal, Refusal::secret) << "before there is a request";
  EXPECT_TRUE(accept(token_, "tls"));
}

TEST_F(Enrolment, WhatIsNoRequestIsNotSignedAndCostsNothing) {
  EXPECT_EQ(ask(token_.secret, as_bytes("garbage"))->refusal, Refusal::request);
  EXPECT_EQ(ask(token_.secret, {})->refusal, Refusal::request);
  EXPECT_EQ(ask(token_.secret, Bytes(net::kMostRequest, std::byte{0x30}))->refusal, Refusal::request);
  EXPECT_FALSE(ask(token_.secret, Bytes(net::kMostRequest + 1))) << "too large is not even read";
  EXPECT_FALSE(offer_.state().signed_);
  EXPECT_TRUE(accept(token_, "tls"));
}

TEST_F(Enrolment, WhoIsSlowKeepsNobodyOut) {
  std::vector<net::Connection> silent;  // some in the handshake, twice as many as there is room for
  for (size_t i = 0; i < 2 * kMostCallers; ++i)
    silent.push_back(*net::connect_tcp("127.0.0.1", port_, kLong));
  const auto half = connect();  // and one in the middle of its secret
  ASSERT_TRUE(half->write_all(Bytes(7, std::byte{1}), kLong));
  const auto info = accept(token_, "tls");
  EXPECT_TRUE(info) << info.error().text();
}

TEST_F(Enrolment, ACallerThatGoesWithItsCertificateHasUsedTheToken) {
  const net::HostKey key = *net::make_host_key();
  {
    const auto reply = ask(token_.secret, key.request);
    ASSERT_TRUE(reply && reply->refusal == Refusal::none);
    EXPECT_TRUE(net::check_signed(reply->made, key.public_key));
  }
  const Offer::State state = at_its_end();
  EXPECT_TRUE(state.over && state.signed_);
  EXPECT_FALSE(state.kept);
  EXPECT_FALSE(accept(token_, "tls"));
}

TEST_F(Enrolment, WhatIsGivenUpIsSignedForNobody) {
  offer_.give_up(Error(ErrorCode::timeout, "the time is over"));
  EXPECT_EQ(accept(token_, "tls").error().code(), ErrorCode::invalid_state);
  EXPECT_EQ(offer_.state().error->code(), ErrorCode::timeout);
  EXPECT_FALSE(offer_.state().signed_);
}

// What a process that was taken over could send on its lane.
TEST_F(Enrolment, TheProcessThatListensCannotSignWithoutTheSecretOrAnythingButAKey) {
  const net::HostKey key = *net::make_host_key();
  const auto say = [&](std::initializer_list<std::pair<ipc::Word, Bytes>> messages) {
    ipc::Lane lane(*open_lane(), {});
    Bytes last;
    for (const auto& [word, payload] : messages) {
      (void)lane.send(word, payload, ipc::kMostAsked, kLong);
      const auto answer = lane.receive(kMostReply, kLong);
      if (!answer) return Bytes{};
      last = answer->payload;
    }
    return last;
  };
  const Bytes good = pack(Claim{{token_.secret.begin(), token_.secret.end()}, "192.0.2.2"});
  const Secret wrong = wrong_secret();
  const Bytes bad = pack(Claim{{wrong.begin(), wrong.end()}, "192.0.2.2"});
  const Bytes point(key.public_key.begin(), key.public_key.end());
  EXPECT_TRUE(say({{ipc::Word::key, point}}).empty());
  EXPECT_TRUE(say({{ipc::Word::claim, bad}, {ipc::Word::key, point}}).empty());
  EXPECT_TRUE(say({{ipc::Word::claim, Bytes(8, std::byte{7})}}).empty());
  EXPECT_TRUE(say({{ipc::Word::claim, Bytes(kMostClaim + 1)}}).empty());
  EXPECT_TRUE(say({{ipc::Word::claim, good}, {ipc::Word::key, Bytes(64)}}).empty());
  EXPECT_FALSE(offer_.state().signed_);
  const auto signed_key = decode_reply(say({{ipc::Word::claim, good}, {ipc::Word::key, point}}));
  EXPECT_TRUE(signed_key && net::check_signed(signed_key->made, key.public_key));
}

}  // namespace
}  // namespace understudy::enrol
