// Requests of every kind that should not be signed, and what is made of those that should.
#include "net/host_key.h"

#include <gtest/gtest.h>
#include <openssl/rsa.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "net/certificate.h"
#include "net/openssl.h"

namespace understudy::net {
namespace {

namespace fs = std::filesystem;

using RequestPtr = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;

class Keys : public testing::Test {
 protected:
  Keys() {
    char name[] = "/tmp/understudy-keys-XXXXXX";
    dir_ = mkdtemp(name);
    EXPECT_TRUE(create_authority(path("ca"), "test-authority"));
  }
  ~Keys() override { fs::remove_all(dir_); }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }
  std::string dir_;
};

// As somebody would make it who wants more than he should: a name, another name, and to be an authority.
Bytes greedy_request(EVP_PKEY* key, EVP_PKEY* signing_key) {
  const RequestPtr request(X509_REQ_new());
  X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>("host-x"), -1, -1, 0);
  STACK_OF(X509_EXTENSION)* wishes = sk_X509_EXTENSION_new_null();
  for (const auto& [nid, value] : {std::pair{NID_basic_constraints, "critical,CA:TRUE"},
                                   {NID_subject_alt_name, "DNS:host-x,IP:192.0.2.9"}})
    sk_X509_EXTENSION_push(wishes, X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
  EXPECT_EQ(X509_REQ_add_extensions(request.get(), wishes), 1);
  sk_X509_EXTENSION_pop_free(wishes, X509_EXTENSION_free);
  X509_REQ_set_pubkey(request.get(), key);
  EXPECT_GT(X509_REQ_sign(request.get(), signing_key, EVP_sha256()), 0);
  Bytes der(static_cast<size_t>(i2d_X509_REQ(request.get(), nullptr)));
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509_REQ(request.get(), &at);
  return der;
}

TEST_F(Keys, ARequestProvesItsKeyAndGetsTheNamesThatWereChosenElsewhere) {
  const HostKey key = *make_host_key();
  ASSERT_EQ(read_request(key.request), key.public_key);
  const auto made = sign_key(path("ca"), {"host-b", "192.0.2.2"}, key.public_key);
  ASSERT_TRUE(made) << made.error().text();
  const auto info = check_signed(*made, key.public_key);
  ASSERT_TRUE(info) << info.error().text();
  EXPECT_EQ(info->subject, "CN=host-b");
  EXPECT_EQ(info->dns_names, std::vector<std::string>{"host-b"});
  EXPECT_EQ(info->ip_names, std::vector<std::string>{"192.0.2.2"});
}

TEST_F(Keys, WhatARequestAsksForIsNotLookedAt) {
  const KeyPtr key = *new_key();
  const auto point = read_request(greedy_request(key.get(), key.get()));
  ASSERT_TRUE(point) << point.error().text();
  const auto info = check_signed(*sign_key(path("ca"), {"host-b"}, *point), *point);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->subject, "CN=host-b");
  EXPECT_EQ(info->dns_names, std::vector<std::string>{"host-b"});
  EXPECT_TRUE(info->ip_names.empty());
  EXPECT_FALSE(info->authority);
}

TEST_F(Keys, OnlyKeysOfOurKind) {
  for (const char* curve : {"P-224", "P-384", "P-521", "secp256k1"}) {
    const KeyPtr key(EVP_EC_gen(curve));
    ASSERT_TRUE(key);
    EXPECT_EQ(read_request(greedy_request(key.get(), key.get())).error().code(), ErrorCode::invalid_parameter)
        << curve;
  }
  for (const unsigned bits : {1024U, 2048U}) {
    const KeyPtr key(EVP_RSA_gen(bits));
    EXPECT_EQ(read_request(greedy_request(key.get(), key.get())).error().code(), ErrorCode::invalid_parameter)
        << bits;
  }
}

TEST_F(Keys, NobodyHasSomebodyElsesKeySigned) {
  const KeyPtr theirs = *new_key();
  const KeyPtr ours = *new_key();
  const auto point = read_request(greedy_request(theirs.get(), ours.get()));
  ASSERT_FALSE(point);
  EXPECT_TRUE(point.error().message().starts_with("who asks has not the private key"));
}

TEST_F(Keys, WhatIsNoRequestIsRefused) {
  const HostKey key = *make_host_key();
  EXPECT_FALSE(read_request({}));
  EXPECT_FALSE(read_request(as_bytes("no request")));
  for (size_t at = 0; at < key.request.size(); ++at) {
    Bytes damaged = key.request;
    damaged[at] ^= std::byte{1};
    EXPECT_FALSE(read_request(damaged)) << at;
    EXPECT_FALSE(read_request(ByteView(key.request).first(at))) << at;
  }
  Bytes longer = key.request;
  longer.push_back({});
  EXPECT_FALSE(read_request(longer));
  EXPECT_FALSE(read_request(Bytes(kMostRequest + 1)));
}

TEST_F(Keys, APointThatIsOnNoCurveIsNotSigned) {
  PublicKey key = make_host_key()->public_key;
  key[64] ^= std::byte{1};
  EXPECT_EQ(sign_key(path("ca"), {"host-b"}, key).error().code(), ErrorCode::invalid_parameter);
}

TEST_F(Keys, ACertificateIsForOurKeyAndFromTheAuthorityBesideIt) {
  const HostKey key = *make_host_key();
  const SignedKey made = *sign_key(path("ca"), {"host-b"}, key.public_key);
  EXPECT_FALSE(check_signed(made, make_host_key()->public_key)) << "another key";
  ASSERT_TRUE(create_authority(path("other"), "test-authority"));
  const SignedKey other = *sign_key(path("other"), {"host-b"}, key.public_key);
  EXPECT_FALSE(check_signed({made.certificate, other.authority}, key.public_key)) << "another authority";
  EXPECT_FALSE(check_signed({made.certificate, made.certificate}, key.public_key)) << "no authority";
  EXPECT_FALSE(check_signed({made.certificate, {}}, key.public_key));
  EXPECT_FALSE(write_host_files(path("b"), key, {made.certificate, other.authority}));
  EXPECT_FALSE(fs::exists(path("b"))) << "nothing was written";
}

TEST_F(Keys, FilesAreWholeOrNotThereAndNeverOverwritten) {
  const HostKey key = *make_host_key();
  const SignedKey made = *sign_key(path("ca"), {"host-b"}, key.public_key);
  ASSERT_TRUE(check_host_folder(path("b")));
  EXPECT_EQ(check_host_folder(path("nowhere/b")).error().code(), ErrorCode::not_found);
  ASSERT_TRUE(write_host_files(path("b"), key, made));
  struct stat status {};
  ASSERT_EQ(stat(path("b/host.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(std::distance(fs::directory_iterator(path("b")), {}), 3) << "nothing unfinished is left";
  EXPECT_EQ(check_host_folder(path("b")).error().code(), ErrorCode::in_use);
  EXPECT_EQ(write_host_files(path("b"), key, made).error().code(), ErrorCode::in_use);
  // A certificate of another authority: none of the three comes.
  fs::remove(path("b/host.key"));
  fs::remove(path("b/host.crt"));
  ASSERT_TRUE(create_authority(path("other"), "other-authority"));
  const auto refused = write_host_files(path("b"), key, *sign_key(path("other"), {"host-b"}, key.public_key));
  EXPECT_EQ(refused.error().code(), ErrorCode::in_use);
  EXPECT_EQ(std::distance(fs::directory_iterator(path("b")), {}), 1) << "the authority that was there";
  // The same authority is no obstacle: that is a renewal.
  std::ofstream(path("b/host.key.new")) << "what a power cut left";
  EXPECT_TRUE(write_host_files(path("b"), key, made));
}

TEST_F(Keys, WhoCannotSignIsToldBefore) {
  EXPECT_TRUE(can_sign(path("ca"), {"host-b"}));
  EXPECT_FALSE(can_sign(path("nothing"), {"host-b"}));
  EXPECT_FALSE(can_sign(path("ca"), {}));
  EXPECT_FALSE(can_sign(path("ca"), {"host b"}));
}

}  // namespace
}  // namespace understudy::net
