#include "net/host_key.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/pem.h>

#include <algorithm>

#include "net/openssl.h"

namespace understudy::net {
namespace {

using RequestPtr = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;

constexpr const char* kCurve = "prime256v1";

Result<Bytes> request_for(EVP_PKEY* key) {
  const RequestPtr request(X509_REQ_new());
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key) != 1 || X509_REQ_sign(request.get(), key, EVP_sha256()) == 0)
    return fail_openssl(ErrorCode::failed, "cannot make a signing request");
  const int size = i2d_X509_REQ(request.get(), nullptr);
  if (size <= 0) return fail_openssl(ErrorCode::failed, "cannot encode a signing request");
  Bytes der(static_cast<size_t>(size));
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509_REQ(request.get(), &at);
  return der;
}

}  // namespace

Result<KeyPtr> new_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return fail_openssl(ErrorCode::failed, "cannot make a key");
  return key;
}

Result<std::string> key_pem(EVP_PKEY* key) {
  return pem_text(
      [&](BIO* out) { return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

Result<PublicKey> public_key_of(const EVP_PKEY* key) {
  char curve[32] = {};
  PublicKey point;
  unsigned char encoded[256];
  size_t size = 0;
  if (EVP_PKEY_is_a(key, "EC") != 1 || EVP_PKEY_get_group_name(key, curve, sizeof curve, nullptr) != 1 ||
      std::string_view(curve) != kCurve ||
      EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, encoded, sizeof encoded, &size) != 1 ||
      size != point.size())
    return fail_openssl(ErrorCode::invalid_parameter, "the key is of another kind than EC P-256");
  std::copy_n(reinterpret_cast<const std::byte*>(encoded), size, point.begin());
  return point;
}

Result<KeyPtr> key_of(const PublicKey& point) {
  OSSL_PARAM parts[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(kCurve), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<std::byte*>(point.data()),
                                        point.size()),
      OSSL_PARAM_construct_end()};
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* made = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parts) != 1)
    return fail_openssl(ErrorCode::invalid_parameter, "this is no public key");
  KeyPtr key(made);
  US_CHECK(public_key_of(key.get()));
  return key;
}

Result<HostKey> make_host_key() {
  US_TRY(const KeyPtr key, new_key());
  HostKey made;
  US_TRY(made.pem, key_pem(key.get()));
  US_TRY(made.public_key, public_key_of(key.get()));
  US_TRY(made.request, request_for(key.get()));
  return made;
}

Result<PublicKey> read_request(ByteView der) {
  if (der.size() > kMostRequest)
    return fail(ErrorCode::invalid_parameter,
                "a signing request of " + std::to_string(der.size()) + " bytes");
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = at + der.size();
  const RequestPtr request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (!request || at != end) return fail_openssl(ErrorCode::invalid_parameter, "this is no signing request");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (!key) return fail_openssl(ErrorCode::invalid_parameter, "the signing request has no key of use");
  US_TRY(const PublicKey point, public_key_of(key));
  if (X509_REQ_verify(request.get(), key) != 1)
    return fail_openssl(ErrorCode::invalid_parameter, "who asks has not the private key");
  return point;
}

}  // namespace understudy::net
