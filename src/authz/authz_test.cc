#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "authz/gate.h"
#include "authz/keytab.h"
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

ErrorCode code_of(const Result<Roles>& result) {
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
  EXPECT_EQ(map->find("FF", "ops-laptop")->roles, Role::operator_);
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

TEST_F(GateTest, AMapThatChangesCountsAtOnce) {
  const TempFile file;
  const auto map = Followed<CertificateMap>::open(file.path());
  ASSERT_TRUE(map);
  const Gate gate(nullptr, *map);
  Evidence evidence;
  evidence.certificate = CertificateSeen{std::string(64, 'A'), "ops"};
  EXPECT_FALSE(gate.identify(evidence)) << "there is no file";
  file.write("cn:ops ops operator\n");
  ASSERT_TRUE(gate.identify(evidence));
  EXPECT_EQ(gate.identify(evidence)->roles, Role::operator_);
  file.write("cn:ops ops reader # less\n");
  EXPECT_EQ(gate.identify(evidence)->roles, Role::reader);
  file.write("cn:ops ops\n");
  EXPECT_FALSE(gate.identify(evidence)) << "a map that cannot be used knows nobody";
  EXPECT_FALSE(Followed<CertificateMap>::open(file.path()));
  file.write("cn:ops ops administrator\n");
  EXPECT_EQ(gate.identify(evidence)->roles, Role::administrator);
  std::filesystem::remove(file.path());
  EXPECT_FALSE(gate.identify(evidence));
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

TEST(Authorization, IsBasicOrATokenOrNothing) {
  Evidence ada;
  ASSERT_TRUE(read_authorization("basic YWRhOnBhc3M6d29yZA==", ada));
  EXPECT_EQ(ada.password->name, "ada");
  EXPECT_EQ(ada.password->password, "pass:word");
  EXPECT_FALSE(ada.token);
  Evidence token;
  ASSERT_TRUE(read_authorization("negotiate YIIA", token));
  EXPECT_EQ(token.token, std::string("\x60\x82\0", 3));
  EXPECT_FALSE(token.password);
  for (const char* none : {"", "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"}) {
    Evidence nothing;
    EXPECT_TRUE(read_authorization(none, nothing)) << none;
    EXPECT_FALSE(nothing.password || nothing.token);
  }
  for (const std::string& bad : {std::string("Basic"), std::string("Basic !!!!"), std::string("Basic YWRh"),
                                 std::string("Negotiate abc"), std::string("Bearer x"), std::string("Basic "),
                                 std::string("Negotiate"), std::string("Negotiate "),
                                 std::string("Negotiate TlRMTVNTUAABAAAA"), std::string("Kerberos YIIA"),
                                 "Negotiate " + std::string(64004, 'A'), "Basic " + std::string(1024, 'A')}) {
    Evidence evidence;
    EXPECT_EQ(read_authorization(bad, evidence).error().code(), ErrorCode::unauthenticated) << bad;
    EXPECT_FALSE(evidence.password || evidence.token);
  }
}

// Takes the token for the principal.
class Believer final : public TicketJudge {
 public:
  Result<Ticket> judge(const std::string& token) override {
    if (token == "wrong") return fail(ErrorCode::unauthenticated, "wrong");
    return Ticket{token, "proof"};
  }
};

TEST(KerberosDoor, LetsInWhoIsOnTheMapByTheWholePrincipal) {
  Believer judge;
  const Gate gate(
      nullptr, *CertificateMap::parse("cn:ops ops-card reader", "map"), nullptr,
      {&judge, *KerberosMap::parse("ada@EXAMPLE.ORG ada operator\nbob/admin@EXAMPLE.ORG bob reader", "map")});
  Evidence evidence;
  evidence.from = "192.0.2.7:1";
  evidence.certificate = CertificateSeen{"FF", "ops"};  // does not make up for it
  evidence.token = "ada@EXAMPLE.ORG";
  EXPECT_EQ(gate.identify(evidence), Identity("ada", Role::operator_, "kerberos", "192.0.2.7:1", "proof"));
  for (const char* token : {"wrong", "ada", "ada@EXAMPLE.COM", "Ada@EXAMPLE.ORG", "ada@example.org",
                            "bob@EXAMPLE.ORG", "ada/admin@EXAMPLE.ORG", "", "ada@EXAMPLE.ORG "}) {
    for (uint32_t n = 0; n <= kFreeAttempts; ++n) {  // nobody waits
      evidence.token = token;
      EXPECT_EQ(gate.identify(evidence).error().code(), ErrorCode::unauthenticated) << token;
    }
  }
  evidence.token = "bob/admin@EXAMPLE.ORG";
  EXPECT_EQ(gate.identify(evidence)->roles, Role::reader);
}

TEST_F(GateTest, ATokenIsNothingWhereKerberosIsNotOffered) {
  Evidence evidence;
  evidence.token = "ada@EXAMPLE.ORG";
  evidence.password = Password{"ada", "pass:word"};
  EXPECT_EQ(gate_->identify(evidence).error().code(), ErrorCode::unauthenticated);
}

TEST(KerberosMap, RefusesWhatItDoesNotUnderstand) {
  for (const char* bad : {"ada ada reader", "@R a reader", "a@ a reader", "*@R a reader", "a@* a reader",
                          "a@R a god", "a@R a", "x@R again operator"}) {
    const auto map = KerberosMap::parse(std::string("x@R y reader\n") + bad, "kerberos.map");
    ASSERT_FALSE(map) << bad;
    EXPECT_THAT(map.error().message(), testing::HasSubstr("kerberos.map line 2"));
  }
  EXPECT_FALSE(KerberosMap().find(""));
}

// What a file of format 5.2 holds, by the names of its parts.
class KeytabWriter {
 public:
  KeytabWriter& entry(const std::vector<std::string>& names, const std::string& realm, const std::string& key,
                      uint8_t version, std::optional<uint32_t> long_version = std::nullopt) {
    ByteWriter out;
    out.be(static_cast<uint16_t>(names.size()));
    text(out, realm);
    for (const std::string& name : names) text(out, name);
    out.be(uint32_t{1});
    out.be(uint32_t{1'700'000'000});
    out.be(version);
    out.be(uint16_t{18});
    text(out, key);
    if (long_version) out.be(*long_version);
    out_.be(static_cast<uint32_t>(out.bytes().size()));
    out_.raw(out.bytes());
    return *this;
  }
  KeytabWriter& hole(uint32_t size) {
    out_.be(~size + 1);
    out_.raw(Bytes(size));
    return *this;
  }
  std::string take() { return "\5\2" + std::string(as_text(out_.bytes())); }

 private:
  static void text(ByteWriter& out, const std::string& text) {
    out.be(static_cast<uint16_t>(text.size()));
    out.raw(as_bytes(text));
  }
  ByteWriter out_;
};

ServiceKey service_key(const std::string& host, const std::string& key, uint32_t version) {
  const ByteView bytes = as_bytes(key);
  return {host, "R", version, 18, Bytes(bytes.begin(), bytes.end())};
}

TEST(Keytab, GivesTheKeysOfHttpAndNoOther) {
  const std::string file = KeytabWriter()
                               .entry({"host", "b"}, "R", "secret", 1)
                               .entry({"HTTP", "b"}, "R", "old", 2)
                               .hole(30)
                               .entry({"HTTP", "b"}, "R", "new", 44, 300)
                               .entry({"HTTP", "c"}, "R", "c", 3, 0)
                               .entry({"HTTP"}, "R", "one", 1)
                               .entry({"HTTP", "b", "x"}, "R", "three", 1)
                               .entry({"http", "b"}, "R", "small", 1)
                               .take();
  const auto keys = parse_keytab(file, "krb5.keytab");
  ASSERT_TRUE(keys) << keys.error().text();
  EXPECT_THAT(*keys, testing::ElementsAre(service_key("b", "old", 2), service_key("b", "new", 300),
                                          service_key("c", "c", 3)));
  EXPECT_TRUE(parse_keytab(file + std::string(4, '\0') + "anything", "f"));  // a zero ends it
  const auto none = parse_keytab("\5\2", "f");
  EXPECT_TRUE(none && none->empty());
}

TEST(Keytab, RefusesWhatIsNone) {
  const std::string good = KeytabWriter().entry({"HTTP", "b"}, "R", "key", 2, 2).take();
  EXPECT_TRUE(parse_keytab(good.substr(0, 2), "f"));
  for (size_t size = 3; size < good.size(); ++size)
    EXPECT_EQ(parse_keytab(good.substr(0, size), "f").error().code(), ErrorCode::corrupt) << size;
  for (const std::string& bad :
       {std::string(), std::string("\5"), std::string("\5\1") + good.substr(2), good + "x",
        std::string("\5\2\x80\0\0\0", 6), std::string("\5\2\0\0\0\1\0", 7),
        KeytabWriter().entry({"HTTP", ""}, "R", "key", 1).take(),
        KeytabWriter().entry({"HTTP", "b"}, "", "key", 1).take(),
        KeytabWriter().entry({"HTTP", "b"}, "R", "", 1).take(),
        KeytabWriter().entry({"HTTP", "b"}, "R", std::string(65, 'k'), 1).take(),
        KeytabWriter().entry({"HTTP", std::string(257, 'h')}, "R", "k", 1).take()})
    EXPECT_EQ(parse_keytab(bad, "f").error().code(), ErrorCode::corrupt);
  KeytabWriter many;
  for (size_t n = 0; n <= kMostServiceKeys; ++n) many.entry({"HTTP", "b"}, "R", "key", 2);
  EXPECT_FALSE(parse_keytab(many.take(), "f"));
}

TEST(Keytab, OfAFileHasAKeyOrSaysWhatIsMissing) {
  const TempFile file;
  EXPECT_THAT(load_service_keys(file.path()).error().message(), testing::HasSubstr("cannot read"));
  file.write("\5\2");
  EXPECT_THAT(load_service_keys(file.path()).error().message(), testing::HasSubstr("no key of HTTP"));
  file.write(KeytabWriter().entry({"HTTP", "b"}, "R", "key", 2).take());
  EXPECT_EQ(load_service_keys(file.path())->size(), 1U);
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

const Uuid kWeb = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000001");
const Uuid kMail = *Uuid::parse("bbbbbbbb-0000-4000-8000-000000000002");

TEST(Roles, AreReadAsTheyAreWritten) {
  const std::string web = kWeb.lower(), mail = kMail.lower();
  for (const std::string& text :
       {std::string("operator"), "reader,operator@" + web, "administrator@" + web + ",operator@" + mail}) {
    const auto roles = parse_roles(text);
    ASSERT_TRUE(roles) << text;
    EXPECT_EQ(text_of(*roles), text);
  }
  EXPECT_EQ(parse_roles("operator@{" + kWeb.upper() + "}")->vms.at(kWeb), Role::operator_);
  std::string many = "reader";
  for (size_t i = 0; i <= kMostVmRoles; ++i) many += ",operator@" + Uuid::random().lower();
  for (const std::string& bad :
       {std::string(), std::string("root"), std::string("reader,operator"),
        "operator@" + web + ",reader@" + web, std::string("operator@web"), std::string("operator@"),
        "@" + web, "reader, operator@" + web, std::string("reader,"), many})
    EXPECT_FALSE(parse_roles(bad)) << bad;
}

TEST(Policy, ARoleOnAVmReachesThatVmOnly) {
  const Roles roles = *parse_roles("operator@" + kWeb.lower() + ",reader@" + kMail.lower());
  const auto failover = permit(roles, false, "Msvm_ReplicationService", "InitiateFailover");
  ASSERT_TRUE(failover);
  EXPECT_FALSE(failover->everywhere || failover->host_objects);
  EXPECT_EQ(failover->vms, std::set<Uuid>{kWeb});
  const auto seen = permit(roles, true, "Msvm_ComputerSystem", "");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->vms, (std::set<Uuid>{kWeb, kMail}));
  EXPECT_TRUE(seen->host_objects && !seen->everywhere);
  EXPECT_FALSE(permit(roles, true, "Msvm_ReplicationAuthorizationSettingData", "")->host_objects);
  for (const char* method : {"ModifyServiceSettings", "AddAuthorizationEntry", "SetAuthorizationEntry",
                             "TestReplicationConnection", "GetSystemCertificates", "AMethodOfTomorrow"})
    EXPECT_FALSE(
        permit(*parse_roles("administrator@" + kWeb.lower()), false, "Msvm_ReplicationService", method))
        << method;
  EXPECT_TRUE(permit(*parse_roles("administrator@" + kWeb.lower()), false, "Msvm_ReplicationService",
                     "ModifyReplicationSettings"));
  const auto both = permit(*parse_roles("reader,operator@" + kWeb.lower()), false, "Msvm_ReplicationService",
                           "InitiateFailover");
  EXPECT_FALSE(both->everywhere);
  EXPECT_TRUE(permit(*parse_roles("operator,reader@" + kWeb.lower()), false, "Msvm_ReplicationService",
                     "InitiateFailover")
                  ->everywhere);
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
