#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "authz/gate.h"
#include "authz/policy.h"
#include "base/thread.h"

namespace understudy::authz {
namespace {

class TempFile {
 public:
  TempFile() {
    char name[] = "/tmp/understudy-authz-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~TempFile() { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/users"; }
  void write(const std::string& text) const { std::ofstream(path()) << text; }
  std::string read() const {
    std::ostringstream text;
    text << std::ifstream(path()).rdbuf();
    return text.str();
  }

 private:
  std::string folder_;
};

ErrorCode code_of(const Result<Role>& result) {
  return result ? ErrorCode::failed : result.error().code();
}

TEST(PasswordFile, KnowsItsUsersAndNobodyElse) {
  const TempFile file;
  ASSERT_TRUE(set_user(file.path(), "ada", Role::operator_, "correct horse"));
  ASSERT_TRUE(set_user(file.path(), "DOM\\bob", Role::reader, "battery staple"));
  struct stat info {};
  ASSERT_EQ(stat(file.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_THAT(file.read(), testing::HasSubstr("ada:operator:$argon2id$v=19$m=19456,t=2,p=1$"));
  PasswordFile passwords(file.path());
  EXPECT_EQ(passwords.verify("ada", "correct horse"), Role::operator_);
  EXPECT_EQ(passwords.verify("DOM\\bob", "battery staple"), Role::reader);
  for (const auto& [name, password] :
       std::initializer_list<std::pair<std::string, std::string>>{{"ada", "battery staple"},
                                                                  {"ada", ""},
                                                                  {"Ada", "correct horse"},
                                                                  {"", ""},
                                                                  {"eve", "nobody has this password"},
                                                                  {"ada", std::string("correct horse\0", 14)},
                                                                  {"ada", std::string(100000, 'x')}})
    EXPECT_EQ(code_of(passwords.verify(name, password)), ErrorCode::unauthenticated) << name;
}

TEST(PasswordFile, ComputesASuccessOnceAndAFailureEachTime) {
  const TempFile file;
  ASSERT_TRUE(set_user(file.path(), "ada", Role::reader, "correct horse"));
  PasswordFile passwords(file.path());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(passwords.verify("ada", "correct horse"));
  EXPECT_EQ(passwords.computed(), 1u);
  EXPECT_FALSE(passwords.verify("ada", "wrong horse"));
  EXPECT_FALSE(passwords.verify("ada", "wrong horse"));
  EXPECT_FALSE(passwords.verify("eve", "wrong horse"));  // an unknown name costs as much as a wrong password
  EXPECT_EQ(passwords.computed(), 4u);
}

TEST(PasswordFile, FollowsTheFile) {
  const TempFile file;
  PasswordFile passwords(file.path());
  EXPECT_FALSE(passwords.verify("ada", "correct horse"));
  ASSERT_TRUE(set_user(file.path(), "ada", Role::reader, "correct horse"));
  EXPECT_EQ(passwords.verify("ada", "correct horse"), Role::reader);
  ASSERT_TRUE(set_user(file.path(), "ada", Role::administrator, "another horse"));
  EXPECT_FALSE(passwords.verify("ada", "correct horse"));  // remembered, but for the old password only
  EXPECT_EQ(passwords.verify("ada", "another horse"), Role::administrator);
  ASSERT_TRUE(remove_user(file.path(), "ada"));
  EXPECT_FALSE(passwords.verify("ada", "another horse"));
  EXPECT_EQ(remove_user(file.path(), "ada").error().code(), ErrorCode::not_found);
}

TEST(PasswordFile, BrokenFileLetsNobodyInAndIsNotRewritten) {
  const TempFile file;
  ASSERT_TRUE(set_user(file.path(), "ada", Role::reader, "correct horse"));
  const std::string good = file.read();
  PasswordFile passwords(file.path());
  for (const std::string bad :
       {"eve:god:$argon2id$x\n", "eve:reader:plain\n", "eve\n", ":reader:$argon2id$x\n", "eve:reader\n"}) {
    file.write(good + bad);
    EXPECT_FALSE(passwords.verify("ada", "correct horse")) << bad;
    EXPECT_FALSE(set_user(file.path(), "bob", Role::reader, "battery staple")) << bad;
    EXPECT_EQ(file.read(), good + bad);
  }
  file.write("# users\n\n" + good);
  EXPECT_TRUE(passwords.verify("ada", "correct horse"));
  ASSERT_TRUE(set_user(file.path(), "bob", Role::reader, "battery staple"));
  EXPECT_THAT(file.read(), testing::StartsWith("# users\n\n"));
}

TEST(PasswordFile, RefusesBadNamesAndPasswords) {
  const TempFile file;
  for (const char* name : {"", "a b", "a:b", "#a", "a\nb"})
    EXPECT_FALSE(set_user(file.path(), name, Role::reader, "correct horse")) << name;
  EXPECT_FALSE(set_user(file.path(), "ada", Role::reader, "short"));
  EXPECT_FALSE(set_user(file.path(), "ada", Role::reader, std::string(kMostPassword + 1, 'x')));
}

TEST(PasswordFile, ManyAtOnce) {
  const TempFile file;
  ASSERT_TRUE(set_user(file.path(), "ada", Role::reader, "correct horse"));
  PasswordFile passwords(file.path());
  std::atomic<int> good = 0;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back("login", [&, i] {
        good += passwords.verify("ada", i % 2 ? "correct horse" : "wrong horse") ? 1 : 0;
      });
  }
  EXPECT_EQ(good, 4);
}

constexpr std::string_view kThumbprint = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF";

TEST(CertificateMap, ThumbprintGoesBeforeName) {
  const std::string text = "# who\n cn:ops-laptop ops operator\r\nsha256:" + std::string(kThumbprint) +
                           "\tada administrator # her card\n";
  const auto map = CertificateMap::parse(text, "certificates.map");
  ASSERT_TRUE(map) << map.error().text();
  EXPECT_EQ(map->find(kThumbprint, "ops-laptop")->name, "ada");
  EXPECT_EQ(map->find("FF", "ops-laptop")->role, Role::operator_);
  EXPECT_FALSE(map->find("FF", "OPS-LAPTOP"));
  EXPECT_FALSE(map->find("", ""));
}

TEST(CertificateMap, RefusesWhatItDoesNotUnderstand) {
  for (const char* bad :
       {"cn:a b", "cn: a reader", "sha256:00 a reader", "cn:a b god", "cn:a b reader more", "a b reader"}) {
    const auto map = CertificateMap::parse(std::string("cn:x y reader\n") + bad, "certificates.map");
    ASSERT_FALSE(map) << bad;
    EXPECT_THAT(map.error().message(), testing::HasSubstr("certificates.map line 2"));
  }
}

class GateTest : public testing::Test {
 protected:
  GateTest() {
    EXPECT_TRUE(set_user(file_.path(), "ada", Role::operator_, "pass:word"));
    gate_.emplace(std::make_unique<PasswordFile>(file_.path()),
                  *CertificateMap::parse("cn:ops ops-card reader", "map"));
  }
  TempFile file_;
  std::optional<Gate> gate_;
};

TEST_F(GateTest, EachKindOfProof) {
  Evidence evidence;
  evidence.from = "192.0.2.7:1234";
  EXPECT_FALSE(gate_->identify(evidence));
  evidence.password = Password{"ada", "pass:word"};
  EXPECT_EQ(gate_->identify(evidence), Identity("ada", Role::operator_, "basic", "192.0.2.7:1234"));
  evidence.certificate = CertificateSeen{"FF", "ops"};
  EXPECT_EQ(gate_->identify(evidence)->name, "ada");
  evidence.password = Password{"ada", "wrong"};  // a good certificate does not make up for it
  EXPECT_FALSE(gate_->identify(evidence));
  evidence.password.reset();
  EXPECT_EQ(gate_->identify(evidence), Identity("ops-card", Role::reader, "certificate", "192.0.2.7:1234"));
  evidence.certificate->common_name = "stranger";
  EXPECT_EQ(gate_->identify(evidence).error().code(), ErrorCode::unauthenticated);
}

TEST_F(GateTest, ARevokedCertificateIsNobody) {
  const TempFile list;
  const RevokedCertificates revoked(list.path());
  const Gate gate(nullptr, *CertificateMap::parse("cn:ops ops-card reader", "map"), &revoked);
  const std::string mine(64, 'A'), other(64, 'B');
  Evidence evidence;
  evidence.certificate = CertificateSeen{mine, "ops"};
  EXPECT_TRUE(gate.identify(evidence));  // no list
  ASSERT_TRUE(revoke(list.path(), other, "another"));
  EXPECT_TRUE(gate.identify(evidence));
  ASSERT_TRUE(revoke(list.path(), "aA:" + std::string(62, 'a'), "ops: its card was lost"));
  ASSERT_TRUE(revoke(list.path(), mine, "once more"));
  EXPECT_EQ(list.read(), "sha256:" + other + "  # another\nsha256:" + mine + "  # ops: its card was lost\n");
  const auto refused = gate.identify(evidence);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unauthenticated);
  EXPECT_THAT(refused.error().message(),
              testing::HasSubstr("'ops' (" + mine + ") is revoked by " + list.path()));
}

TEST(RevokedCertificates, AListThatCannotBeReadRevokesAll) {
  const TempFile list;
  const RevokedCertificates revoked(list.path());
  const std::string mine(64, 'A');
  for (const char* bad : {"sha256:12\n", "# fine\nnonsense\n", "sha256:\n"}) {
    list.write(bad);
    const Status judged = revoked.check(mine, "host-a");
    ASSERT_FALSE(judged) << bad;
    EXPECT_EQ(judged.error().code(), ErrorCode::access_denied);
    EXPECT_THAT(judged.error().message(), testing::HasSubstr(list.path() + " line "));
    EXPECT_FALSE(revoke(list.path(), mine, ""));
    EXPECT_EQ(list.read(), bad);
  }
  list.write("# nobody\n");
  EXPECT_TRUE(revoked.check(mine, "host-a"));
  EXPECT_FALSE(revoked.check("not a thumbprint", "host-a"));
  EXPECT_FALSE(revoke(list.path(), "not a thumbprint", ""));
  EXPECT_FALSE(revoke(list.path(), mine, "two\nlines"));
}

TEST(Attempts, AnAddressWaitsLongerAfterEachWrongPasswordAndOthersDoNot) {
  Attempts attempts;
  Monotonic now{1'000'000'000};
  const std::string eve = "192.0.2.9:";
  for (uint32_t n = 1; n < kFreeAttempts; ++n) {
    attempts.failed(eve + std::to_string(n), now);
    EXPECT_EQ(attempts.wait(eve + "1", now), Duration());
  }
  Duration expected = Duration::seconds(1);
  for (int n = 0; n < 12; ++n) {
    attempts.failed(eve + "7", now);
    EXPECT_EQ(attempts.wait(eve + "8", now), expected);
    EXPECT_EQ(attempts.wait("192.0.2.8:8", now), Duration());
    now = now + expected;
    EXPECT_EQ(attempts.wait(eve + "8", now), Duration());
    expected = std::min(expected * 2, kLongestWait);
  }
  EXPECT_EQ(expected, kLongestWait);
  now = now + kAttemptsKept;
  attempts.failed(eve + "1", now);  // all that was is forgotten
  EXPECT_EQ(attempts.wait(eve + "1", now), Duration());
}

TEST(Attempts, ANetworkOfIpv6IsOneAddressAndTheTableHasAnEnd) {
  Attempts attempts;
  for (uint32_t n = 0; n < kFreeAttempts; ++n)
    attempts.failed("[2001:db8::" + std::to_string(n + 1) + "]:99", Monotonic{1});
  EXPECT_GT(attempts.wait("[2001:db8::ffff:1]:5", Monotonic{1}), Duration());
  EXPECT_EQ(attempts.wait("[2001:db8:0:1::1]:5", Monotonic{1}), Duration());
  for (size_t n = 0; n < kMostAddresses; ++n)
    attempts.failed("10.0." + std::to_string(n / 256) + "." + std::to_string(n % 256) + ":1", Monotonic{2});
  EXPECT_EQ(attempts.wait("[2001:db8::ffff:1]:5", Monotonic{2}), Duration());
}

TEST_F(GateTest, AfterWrongPasswordsTheRightOneWaitsToo) {
  Evidence evidence;
  evidence.from = "192.0.2.7:1";
  for (uint32_t n = 0; n < kFreeAttempts; ++n) {
    evidence.password = Password{n % 2 != 0 ? "ada" : "nobody", "wrong"};
    EXPECT_EQ(gate_->identify(evidence).error().code(), ErrorCode::unauthenticated);
  }
  evidence.password = Password{"ada", "pass:word"};
  EXPECT_EQ(gate_->identify(evidence).error().code(), ErrorCode::timeout);
  evidence.from = "192.0.2.8:1";  // her name is not locked
  EXPECT_TRUE(gate_->identify(evidence));
  evidence.from = "192.0.2.7:1";
  evidence.password.reset();
  evidence.certificate = CertificateSeen{"FF", "ops"};
  EXPECT_TRUE(gate_->identify(evidence));
}

TEST(Authorization, IsBasicOrNothing) {
  const auto ada = read_authorization("basic YWRhOnBhc3M6d29yZA==");
  ASSERT_TRUE(ada && *ada);
  EXPECT_EQ((*ada)->name, "ada");
  EXPECT_EQ((*ada)->password, "pass:word");
  for (const char* none : {"", "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"}) {
    const auto nothing = read_authorization(none);
    EXPECT_TRUE(nothing && !*nothing) << none;
  }
  for (const std::string& bad : {std::string("Basic"), std::string("Basic !!!!"), std::string("Basic YWRh"),
                                 std::string("Negotiate abc"), std::string("Bearer x"), std::string("Basic "),
                                 "Basic " + std::string(1024, 'A')})
    EXPECT_EQ(read_authorization(bad).error().code(), ErrorCode::unauthenticated) << bad;
}

TEST_F(GateTest, OnlyRootOnTheUnixSocket) {
  Evidence evidence;
  evidence.from = "unix";
  evidence.unix_uid = 0;
  EXPECT_EQ(gate_->identify(evidence), Identity("root", Role::administrator, "unix", "unix"));
  evidence.unix_uid = 1000;
  evidence.password = Password{"ada", "pass:word"};
  EXPECT_FALSE(gate_->identify(evidence));
}

TEST(Policy, EachRoleHasItsVerbs) {
  const auto allowed = [](Role role, std::string_view method) {
    return permit(role, method.empty(), "Msvm_ReplicationService", method).has_value();
  };
  for (const Role role : {Role::reader, Role::operator_, Role::administrator}) {
    EXPECT_TRUE(allowed(role, ""));
    EXPECT_TRUE(allowed(role, "GetReplicationStatistics"));
    EXPECT_TRUE(allowed(role, "GetSystemCertificates"));
    EXPECT_EQ(allowed(role, "ResetReplicationStatistics"), role >= Role::operator_);
    EXPECT_EQ(allowed(role, "TestReplicationConnection"), role >= Role::operator_);
    EXPECT_EQ(allowed(role, "ModifyAuthorizationEntry"), role == Role::administrator);
    EXPECT_EQ(allowed(role, "RemoveAuthorizationEntry"), role == Role::administrator);
    EXPECT_EQ(allowed(role, "initiatefailover"), role >= Role::operator_);
    EXPECT_EQ(allowed(role, "RequestReplicationStateChangeEx"), role >= Role::operator_);
    EXPECT_EQ(allowed(role, "CreateRecoveryPoint"), role >= Role::operator_);
    EXPECT_EQ(allowed(role, "RemoveReplicationRelationship"), role == Role::administrator);
    EXPECT_EQ(allowed(role, "AMethodOfTomorrow"), role == Role::administrator);
  }
  EXPECT_EQ(permit(Role::reader, false, "C", "CommitFailover").error().code(), ErrorCode::access_denied);
}

}  // namespace
}  // namespace understudy::authz
