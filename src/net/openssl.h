// What the files here share: owning pointers, OpenSSL's error queue as an Error, and reading what
// a certificate says. Private to this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>

#include "net/certificate.h"

namespace understudy::net {

template <auto kFree>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using SslPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;

// "what: reason of the newest error"; empties this thread's queue.
tl::unexpected<Error> fail_openssl(ErrorCode code, std::string what, std::string hint = {});
// The whole file; the hint is what to do when it cannot be read.
Result<std::string> read_pem(const std::string& path, const std::string& hint);
CertificateInfo describe_certificate(const X509& certificate);
std::string thumbprint_of(const X509& certificate);
// What `write_pem` writes into a BIO.
template <class Write>
Result<std::string> pem_text(Write write_pem) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || write_pem(out.get()) != 1) return fail_openssl(ErrorCode::failed, "cannot encode PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}
// host_key.cc
Result<KeyPtr> new_key();
Result<std::string> key_pem(EVP_PKEY* key);
Result<PublicKey> public_key_of(const EVP_PKEY* key);  // ErrorCode::invalid_parameter: of another kind
Result<KeyPtr> key_of(const PublicKey& key);           // ErrorCode::invalid_parameter: no such point

}  // namespace understudy::net
