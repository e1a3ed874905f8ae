#include "net/certificate.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <ctime>

#include "net/openssl.h"
#include "net/socket.h"

namespace understudy::net {
namespace {

constexpr size_t kMostPem = 1 << 20;
constexpr size_t kMostNames = 32;
constexpr long kBackdateSeconds =
    3600;  // hosts whose clocks differ a little accept a new certificate at once
constexpr long kDaySeconds = 86400;

using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;

std::string asn1_text(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

Wall wall_of(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return Wall{static_cast<int64_t>(timegm(&parts)) * 1'000'000};
}

std::string name_text(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(size)};
}

std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(const_cast<X509_NAME*>(name), NID_commonName, -1);
  if (at < 0) return {};
  return asn1_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
}

void read_alternative_names(const X509& certificate, CertificateInfo& info) {
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) info.dns_names.push_back(asn1_text(name->d.dNSName));
    if (name->type != GEN_IPADD) continue;
    const std::string bytes = asn1_text(name->d.iPAddress);
    char text[INET6_ADDRSTRLEN] = {};
    if (bytes.size() == 4 || bytes.size() == 16) {
      inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
      info.ip_names.emplace_back(text);
    }
  }
}

// --- files ---

tl::unexpected<Error> exists(const std::string& path) {
  return fail(ErrorCode::in_use, path + " exists and is never overwritten",
              "move it away or choose another folder");
}

// Under its name it is there whole or not at all.
Status write_new_file(const std::string& path, const std::string& content, mode_t mode) {
  const std::string unfinished = path + ".new";
  unlink(unfinished.c_str());
  const Fd fd(open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, "cannot make " + path);
  const ssize_t n = write(fd.get(), content.data(), content.size());
  int error_number = 0;
  if (n != static_cast<ssize_t>(content.size()))
    error_number = n < 0 ? errno : ENOSPC;
  else if (fsync(fd.get()) != 0 || link(unfinished.c_str(), path.c_str()) != 0)
    error_number = errno;
  unlink(unfinished.c_str());
  if (error_number == EEXIST) return exists(path);
  if (error_number != 0) return fail_errno(error_number, "cannot write " + path);
  return {};
}

struct NewFile {
  std::string path;
  std::string content;
  mode_t mode;
};

// All of them or none.
Status write_new_files(const std::string& dir, const std::vector<NewFile>& files) {
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(errno, "cannot make the folder " + dir);
  for (auto at = files.begin(); at != files.end(); ++at) {
    if (auto status = write_new_file(at->path, at->content, at->mode); !status) {
      std::for_each(files.begin(), at, [](const NewFile& made) { unlink(made.path.c_str()); });
      return status;
    }
  }
  return {};
}

Result<X509Ptr> load_certificate(const std::string& path) {
  US_TRY(const std::string pem,
         read_pem(path, "name a certificate file, or make one: understudy certificate"));
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509Ptr certificate(in ? PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!certificate)
    return fail_openssl(ErrorCode::invalid_parameter, path + " holds no certificate", "a PEM file is wanted");
  return certificate;
}

Result<KeyPtr> load_key(const std::string& path) {
  US_TRY(const std::string pem,
         read_pem(path, "the authority's key stays where the authority was made; issue there"));
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  KeyPtr key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!key) return fail_openssl(ErrorCode::invalid_parameter, path + " holds no private key");
  return key;
}

Result<std::string> certificate_pem(const X509Ptr& certificate) {
  return pem_text([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
}

Result<Bytes> certificate_der(const X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return fail_openssl(ErrorCode::corrupt, "the certificate cannot be encoded");
  Bytes der(static_cast<size_t>(size));
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate, &at);
  return der;
}

Result<X509Ptr> certificate_of(ByteView der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = at + der.size();
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate || at != end) return fail_openssl(ErrorCode::invalid_parameter, "this is no certificate");
  return certificate;
}

// --- making one ---

bool is_ip(const std::string& name) {
  unsigned char buffer[16];
  return inet_pton(AF_INET, name.c_str(), buffer) == 1 || inet_pton(AF_INET6, name.c_str(), buffer) == 1;
}

// Only characters that mean nothing to OpenSSL's extension syntax.
Status check_name(const std::string& name) {
  const bool good = !name.empty() && name.size() <= 64 &&
                    (is_ip(name) || std::all_of(name.begin(), name.end(), [](char c) {
                       return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_';
                     }));
  if (good) return {};
  return fail(ErrorCode::invalid_parameter,
              "'" + name + "' is neither an IP address nor a name of letters, digits, - . _",
              "names have at most 64 characters");
}

Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return fail_openssl(ErrorCode::failed, "cannot add an extension to the certificate");
  return {};
}

Status set_random_serial(X509* certificate) {
  const NumberPtr number(BN_new());
  if (!number || BN_rand(number.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      !BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)))
    return fail_openssl(ErrorCode::failed, "cannot draw a serial number");
  return {};
}

Result<X509Ptr> new_certificate(const std::string& common_name, EVP_PKEY* key, int days) {
  X509Ptr certificate(X509_new());
  if (!certificate) return fail_openssl(ErrorCode::out_of_memory, "cannot make a certificate");
  X509* x = certificate.get();
  US_CHECK(set_random_serial(x));
  if (X509_set_version(x, X509_VERSION_3) != 1 ||
      !X509_gmtime_adj(X509_getm_notBefore(x), -kBackdateSeconds) ||
      !X509_gmtime_adj(X509_getm_notAfter(x), days * kDaySeconds) || X509_set_pubkey(x, key) != 1 ||
      X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0) != 1)
    return fail_openssl(ErrorCode::failed, "cannot make the certificate of " + common_name);
  return certificate;
}

Status sign(X509* certificate, const X509* issuer, EVP_PKEY* issuer_key) {
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1 ||
      X509_sign(certificate, issuer_key, EVP_sha256()) == 0)
    return fail_openssl(ErrorCode::failed, "cannot sign the certificate");
  return {};
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ",") + std::string(is_ip(name) ? "IP:" : "DNS:") + name;
  return text;
}

// Who signs, and for whom it may.
struct Signer {
  X509Ptr certificate;
  KeyPtr key;
};
Result<Signer> signer_for(const std::string& dir, const std::vector<std::string>& names) {
  if (names.empty() || names.size() > kMostNames)
    return fail(ErrorCode::invalid_parameter,
                "a certificate carries 1 to " + std::to_string(kMostNames) + " names");
  for (const std::string& name : names) US_CHECK(check_name(name));
  Signer signer;
  US_TRY(signer.certificate, load_certificate(dir + "/authority.crt"));
  US_TRY(signer.key, load_key(dir + "/authority.key"));
  if (X509_check_private_key(signer.certificate.get(), signer.key.get()) != 1)
    return fail_openssl(ErrorCode::invalid_parameter,
                        dir + "/authority.key does not belong to authority.crt");
  return signer;
}

}  // namespace

Result<std::string> read_pem(const std::string& path, const std::string& hint) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(fail_errno(errno, "cannot read " + path).value().with_hint(hint));
  std::string content(kMostPem + 1, '\0');
  size_t used = 0;
  while (used < content.size()) {
    const ssize_t n = read(fd.get(), content.data() + used, content.size() - used);
    if (n < 0) return fail_errno(errno, "cannot read " + path);
    if (n == 0) break;
    used += static_cast<size_t>(n);
  }
  if (used > kMostPem) return fail(ErrorCode::too_large, path + " is too large for a PEM file");
  content.resize(used);
  return content;
}

tl::unexpected<Error> fail_openssl(ErrorCode code, std::string what, std::string hint) {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = error != 0 ? ERR_reason_error_string(error) : nullptr;
  if (reason) what += std::string(": ") + reason;
  return fail(code, std::move(what), std::move(hint));
}

std::string thumbprint_of(const X509& certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest, &size) != 1) return {};
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

CertificateInfo describe_certificate(const X509& certificate) {
  CertificateInfo info;
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  info.subject = name_text(subject);
  info.issuer = name_text(X509_get_issuer_name(&certificate));
  info.common_name = common_name_of(subject);
  read_alternative_names(certificate, info);
  info.thumbprint = thumbprint_of(certificate);
  info.not_before = wall_of(X509_get0_notBefore(&certificate));
  info.not_after = wall_of(X509_get0_notAfter(&certificate));
  info.authority = X509_check_ca(const_cast<X509*>(&certificate)) > 0;
  return info;
}

Result<CertificateInfo> create_authority(const std::string& dir, const std::string& name) {
  US_CHECK(check_name(name));
  US_TRY(const KeyPtr key, new_key());
  US_TRY(const X509Ptr certificate, new_certificate(name, key.get(), kAuthorityDays));
  X509* x = certificate.get();
  US_CHECK(add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  US_CHECK(add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign"));
  US_CHECK(add_extension(x, x, NID_subject_key_identifier, "hash"));
  US_CHECK(sign(x, x, key.get()));
  US_TRY(const std::string key_text, key_pem(key.get()));
  US_TRY(const std::string certificate_text, certificate_pem(certificate));
  US_CHECK(write_new_files(
      dir, {{dir + "/authority.key", key_text, 0600}, {dir + "/authority.crt", certificate_text, 0644}}));
  return describe_certificate(*x);
}

Status can_sign(const std::string& dir, const std::vector<std::string>& names) {
  US_CHECK(signer_for(dir, names));
  return {};
}

Result<SignedKey> sign_key(const std::string& dir, const std::vector<std::string>& names,
                           const PublicKey& public_key) {
  US_TRY(const Signer signer, signer_for(dir, names));
  US_TRY(const KeyPtr key, key_of(public_key));
  US_TRY(const X509Ptr certificate, new_certificate(names.front(), key.get(), kCertificateDays));
  X509* x = certificate.get();
  X509* authority = signer.certificate.get();
  US_CHECK(add_extension(x, authority, NID_basic_constraints, "critical,CA:FALSE"));
  US_CHECK(add_extension(x, authority, NID_key_usage, "critical,digitalSignature"));
  US_CHECK(add_extension(x, authority, NID_ext_key_usage, "serverAuth,clientAuth"));
  US_CHECK(add_extension(x, authority, NID_subject_alt_name, alternative_names(names)));
  US_CHECK(add_extension(x, authority, NID_subject_key_identifier, "hash"));
  US_CHECK(add_extension(x, authority, NID_authority_key_identifier, "keyid"));
  US_CHECK(sign(x, authority, signer.key.get()));
  SignedKey made;
  US_TRY(made.certificate, certificate_der(x));
  US_TRY(made.authority, certificate_der(authority));
  return made;
}

Result<CertificateInfo> check_signed(const SignedKey& made, const PublicKey& key) {
  US_TRY(const X509Ptr certificate, certificate_of(made.certificate));
  US_TRY(const X509Ptr authority, certificate_of(made.authority));
  US_TRY(const KeyPtr ours, key_of(key));
  if (EVP_PKEY_eq(X509_get0_pubkey(certificate.get()), ours.get()) != 1)
    return fail_openssl(ErrorCode::invalid_parameter, "the certificate is for another key");
  if (X509_check_ca(authority.get()) <= 0 || X509_check_ca(certificate.get()) > 0 ||
      X509_check_issued(authority.get(), certificate.get()) != X509_V_OK ||
      X509_verify(certificate.get(), X509_get0_pubkey(authority.get())) != 1)
    return fail_openssl(ErrorCode::invalid_parameter,
                        "the certificate is not what the authority beside it signs for a host");
  return describe_certificate(*certificate);
}

Status check_host_folder(const std::string& out) {
  for (const std::string& path : {out + "/host.key", out + "/host.crt"})
    if (access(path.c_str(), F_OK) == 0) return exists(path);
  const std::string above = out.find('/') == std::string::npos ? "." : out.substr(0, out.rfind('/') + 1);
  const std::string& folder = access(out.c_str(), F_OK) == 0 ? out : above;
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    return fail_errno(errno, "cannot write to the folder " + folder);
  return {};
}

Result<CertificateInfo> write_host_files(const std::string& out, const HostKey& key, const SignedKey& made) {
  US_TRY(CertificateInfo info, check_signed(made, key.public_key));
  US_TRY(const X509Ptr certificate, certificate_of(made.certificate));
  US_TRY(const X509Ptr authority, certificate_of(made.authority));
  US_TRY(const std::string certificate_text, certificate_pem(certificate));
  US_TRY(const std::string authority_text, certificate_pem(authority));
  std::vector<NewFile> files{{out + "/host.key", key.pem, 0600}, {out + "/host.crt", certificate_text, 0644}};
  if (const auto there = read_pem(out + "/authority.crt", {}); !there || *there != authority_text)
    files.push_back({out + "/authority.crt", authority_text, 0644});
  US_CHECK(write_new_files(out, files));
  return info;
}

Result<CertificateInfo> issue_certificate(const std::string& dir, const std::vector<std::string>& names,
                                          const std::string& out) {
  US_TRY(const HostKey key, make_host_key());
  US_TRY(const SignedKey made, sign_key(dir, names, key.public_key));
  return write_host_files(out, key, made);
}

Result<OneTimeIdentity> make_one_time_identity() {
  US_TRY(const KeyPtr key, new_key());
  US_TRY(const X509Ptr certificate, new_certificate("once", key.get(), 1));
  US_CHECK(sign(certificate.get(), certificate.get(), key.get()));
  OneTimeIdentity identity;
  US_TRY(identity.certificate, certificate_pem(certificate));
  US_TRY(identity.key, key_pem(key.get()));
  identity.thumbprint = thumbprint_of(*certificate);
  return identity;
}

Result<CertificateInfo> load_certificate_info(const std::string& file) {
  US_TRY(const X509Ptr certificate, load_certificate(file));
  return describe_certificate(*certificate);
}

Result<Bytes> load_certificate_der(const std::string& file) {
  US_TRY(const X509Ptr certificate, load_certificate(file));
  return certificate_der(certificate.get());
}

}  // namespace understudy::net
