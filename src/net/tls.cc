#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "base/assert.h"
#include "net/openssl.h"

namespace understudy::net {
namespace {

constexpr size_t kReadBuffer = 256 << 10;  // one system call for many records
constexpr size_t kMostWrite =
    64 << 10;  // encrypted while the lock is held: a reader waits no longer than this

// --- a BIO over the socket that never raises SIGPIPE ---

int bio_fd(BIO* bio) {
  return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
}

int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = send(bio_fd(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = recv(bio_fd(bio), data, static_cast<size_t>(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return 0;
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "understudy-socket");
    US_ASSERT(m);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    BIO_meth_set_create(m, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return m;
  }();
  return method;
}

// --- contexts ---

// Protocol names as ALPN carries them: each after its length.
Result<std::string> alpn_wire(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255)
      return fail(ErrorCode::invalid_parameter, "ALPN name of " + std::to_string(name.size()) + " bytes");
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return wire;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned in_size, void* wire) {
  const auto& ours = *static_cast<const std::string*>(wire);
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

tl::unexpected<Error> bad_certificate(const TlsOptions& options) {
  return fail_openssl(ErrorCode::invalid_parameter, "cannot use the certificate " + options.certificate_file,
                      "make one with: understudy certificate host NAME --authority DIR --out DIR");
}
tl::unexpected<Error> bad_key(const TlsOptions& options) {
  return fail_openssl(
      ErrorCode::invalid_parameter, "cannot use the key " + options.key_file,
      "the daemon must be able to read it, and it must belong to " + options.certificate_file);
}
tl::unexpected<Error> bad_authority(const TlsOptions& options) {
  return fail_openssl(ErrorCode::invalid_parameter, "cannot use the authority " + options.authority_file,
                      "copy authority.crt from the host where the authority was made");
}

BioPtr memory(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// All certificates of a text, in its order; none when one of them cannot be read.
std::vector<X509Ptr> certificates_in(const std::string& text) {
  std::vector<X509Ptr> all;
  const BioPtr bio = memory(text);
  while (X509Ptr one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) all.push_back(std::move(one));
  const unsigned long end = ERR_peek_last_error();
  if (ERR_GET_REASON(end) != PEM_R_NO_START_LINE) return {};
  if (!all.empty()) ERR_clear_error();
  return all;
}

// The leaf, then what is between it and the authority.
Status load_own_certificate(SSL_CTX* context, const TlsOptions& options, const TlsTexts& texts) {
  std::vector<X509Ptr> chain = certificates_in(texts.certificate);
  if (chain.empty() || SSL_CTX_use_certificate(context, chain.front().get()) != 1)
    return bad_certificate(options);
  for (size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return bad_certificate(options);
  const BioPtr bio = memory(texts.key);
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return bad_key(options);
  return {};
}

Status load_authority(SSL_CTX* context, const TlsOptions& options, const TlsTexts& texts, bool server) {
  if (options.authority_file.empty()) {
    if (!server && options.pin.empty()) SSL_CTX_set_default_verify_paths(context);
    return {};
  }
  const std::vector<X509Ptr> authorities = certificates_in(texts.authority);
  if (authorities.empty()) return bad_authority(options);
  for (const X509Ptr& one : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get()) != 1) return bad_authority(options);
    if (server) SSL_CTX_add_client_CA(context, one.get());
  }
  return {};
}

Result<SslContextPtr> make_context(const TlsOptions& options, const TlsTexts& texts, bool server) {
  if (server && options.certificate_file.empty())
    return fail(ErrorCode::invalid_parameter, "a TLS server needs a certificate",
                "make one with: understudy certificate host NAME --authority DIR --out DIR");
  if (server && options.peer != PeerCheck::none && options.authority_file.empty())
    return fail(ErrorCode::invalid_parameter, "client certificates are asked for, but no authority is named",
                "name the file authority.crt");
  SslContextPtr context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  if (!context) return fail_openssl(ErrorCode::failed, "cannot make a TLS context");
  SSL_CTX* c = context.get();
  SSL_CTX_set_min_proto_version(c, options.tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20");
  // Every handshake proves the peer anew: no tickets, no session cache. No renegotiation: a write never has
  // to read.
  SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                             SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(c, 0);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(c, 1);
  SSL_CTX_set_default_read_buffer_len(c, kReadBuffer);
  if (!options.certificate_file.empty()) US_CHECK(load_own_certificate(c, options, texts));
  US_CHECK(load_authority(c, options, texts, server));
  int verify = options.peer == PeerCheck::none ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
  if (options.peer == PeerCheck::required) verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(c, verify, nullptr);
  return context;
}

int check_pin(X509_STORE_CTX* check, void* pin) {
  const X509* certificate = X509_STORE_CTX_get0_cert(check);
  if (certificate && thumbprint_of(*certificate).starts_with(*static_cast<const std::string*>(pin))) return 1;
  X509_STORE_CTX_set_error(check, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

bool is_ip_address(const std::string& host) {
  unsigned char buffer[16];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 || inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

void expect_host(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(wanted,
                                  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (is_ip_address(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
}

std::optional<PeerCertificate> peer_certificate(const SSL* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  if (!certificate || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) return std::nullopt;
  CertificateInfo info = describe_certificate(*certificate);
  return PeerCertificate{std::move(info.common_name), std::move(info.dns_names), std::move(info.ip_names),
                         std::move(info.thumbprint), info.not_after};
}

}  // namespace

Result<TlsTexts> read_tls_texts(const TlsOptions& options) {
  TlsTexts texts;
  if (!options.certificate_file.empty()) {
    US_TRY(texts.certificate,
           read_pem(options.certificate_file,
                    "make one with: understudy certificate host NAME --authority DIR --out DIR"));
    US_TRY(texts.key, read_pem(options.key_file, "the daemon must be able to read it"));
  }
  if (!options.authority_file.empty()) {
    US_TRY(texts.authority,
           read_pem(options.authority_file, "copy authority.crt from the host where the authority was made"));
  }
  return texts;
}

struct TlsContext::State {
  SslContextPtr context;
  std::string alpn;
  std::string pin;
  bool verifies = false;  // by authority and name
};

struct TlsStream::State {
  std::string peer;
  CancelToken cancel;
  Fd fd;
  SslPtr ssl;
  std::mutex ssl_lock;    // around every SSL call; never held while waiting
  std::mutex write_turn;  // held for a whole write_all
  std::optional<PeerCertificate> certificate;

  template <class Call>
  Result<size_t> run(Monotonic until, const char* what, Call call);
  tl::unexpected<Error> failure(int reason, const std::string& what);
  static Result<std::unique_ptr<TlsStream>> handshake(std::unique_ptr<State> self, Duration timeout);
};

// Repeats `call` (1 = done, else SSL_get_error) until it is done, waiting for what OpenSSL asks for in
// between. Returns 1, or 0 when the peer ended in good order.
template <class Call>
Result<size_t> TlsStream::State::run(Monotonic until, const char* what, Call call) {
  while (true) {
    US_CHECK(cancel.check());
    Ready next = Ready::to_read;
    {
      const std::lock_guard hold(ssl_lock);
      ERR_clear_error();
      const int rc = call(ssl.get());
      if (rc == 1) return 1;
      const int reason = SSL_get_error(ssl.get(), rc);
      if (reason == SSL_ERROR_ZERO_RETURN) return 0;
      if (reason == SSL_ERROR_WANT_WRITE)
        next = Ready::to_write;
      else if (reason != SSL_ERROR_WANT_READ)
        return failure(reason, std::string(what) + " " + peer);
    }
    US_CHECK(wait_ready(fd.get(), next, until, cancel, std::string(what) + " " + peer));
  }
}

tl::unexpected<Error> TlsStream::State::failure(int reason, const std::string& what) {
  if (reason == SSL_ERROR_SYSCALL) return fail_socket(errno != 0 ? errno : ECONNRESET, what);
  const unsigned long code = ERR_peek_last_error();
  const long verified = SSL_get_verify_result(ssl.get());
  if (verified != X509_V_OK && SSL_get_verify_mode(ssl.get()) != SSL_VERIFY_NONE) {
    ERR_clear_error();
    return fail(
        ErrorCode::unauthenticated,
        what + ": the other side's certificate is not good: " + X509_verify_cert_error_string(verified),
        "both sides need a certificate of the same authority that carries the name used to connect: "
        "understudy certificate show FILE");
  }
  switch (ERR_GET_REASON(code)) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      ERR_clear_error();
      return fail(ErrorCode::not_available, what + ": the connection was cut");
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return fail_openssl(
          ErrorCode::unauthenticated, what,
          "both sides need a certificate of the same authority: understudy certificate show FILE");
    default:
      return fail_openssl(ErrorCode::protocol, what);
  }
}

Result<std::unique_ptr<TlsStream>> TlsStream::State::handshake(std::unique_ptr<State> self,
                                                               Duration timeout) {
  US_TRY(const size_t done, self->run(deadline_in(timeout), "TLS handshake with", SSL_do_handshake));
  if (done == 0)
    return fail(ErrorCode::not_available, "TLS handshake with " + self->peer + ": the connection was closed");
  self->certificate = peer_certificate(self->ssl.get());
  return std::unique_ptr<TlsStream>(new TlsStream(std::move(self)));
}

TlsStream::TlsStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsStream::~TlsStream() = default;
const std::string& TlsStream::peer() const {
  return state_->peer;
}
const std::optional<PeerCertificate>& TlsStream::certificate() const {
  return state_->certificate;
}
std::string TlsStream::version() const {
  return SSL_get_version(state_->ssl.get());
}

std::string TlsStream::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(state_->ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

Result<size_t> TlsStream::read(MutableByteView into, Duration timeout) {
  size_t got = 0;
  US_TRY(const size_t done, state_->run(deadline_in(timeout), "reading from", [&](SSL* ssl) {
    return SSL_read_ex(ssl, into.data(), into.size(), &got);
  }));
  return done == 0 ? 0 : got;
}

Status TlsStream::write_all(ByteView bytes, Duration timeout) {
  const Monotonic until = deadline_in(timeout);
  const std::lock_guard turn(state_->write_turn);
  while (!bytes.empty()) {
    size_t sent = 0;
    US_TRY(const size_t done, state_->run(until, "writing to", [&](SSL* ssl) {
      return SSL_write_ex(ssl, bytes.data(), std::min(bytes.size(), kMostWrite), &sent);
    }));
    if (done == 0)
      return fail(ErrorCode::not_available, "writing to " + peer() + ": the connection is closed");
    bytes = bytes.subspan(sent);
  }
  return {};
}

Status TlsStream::shutdown() {
  const std::lock_guard turn(state_->write_turn);
  {
    const std::lock_guard hold(state_->ssl_lock);
    ERR_clear_error();
    SSL_shutdown(state_->ssl.get());  // best effort: when the peer is gone there is nobody to tell
    ERR_clear_error();
  }
  ::shutdown(state_->fd.get(), SHUT_WR);
  return {};
}

Result<TlsContext> TlsContext::server(const TlsOptions& options, const TlsTexts& texts) {
  auto state = std::make_shared<State>();
  US_TRY(state->context, make_context(options, texts, true));
  US_TRY(state->alpn, alpn_wire(options.alpn));
  state->verifies = options.peer != PeerCheck::none;
  if (!state->alpn.empty()) SSL_CTX_set_alpn_select_cb(state->context.get(), select_alpn, &state->alpn);
  return TlsContext(std::move(state));
}

Result<TlsContext> TlsContext::client(const TlsOptions& options, const TlsTexts& texts) {
  auto state = std::make_shared<State>();
  US_TRY(state->context, make_context(options, texts, false));
  US_TRY(state->alpn, alpn_wire(options.alpn));
  state->pin = options.pin;
  state->verifies = options.peer != PeerCheck::none && options.pin.empty();
  if (!state->pin.empty()) SSL_CTX_set_cert_verify_callback(state->context.get(), check_pin, &state->pin);
  if (!state->alpn.empty())
    SSL_CTX_set_alpn_protos(state->context.get(), reinterpret_cast<const unsigned char*>(state->alpn.data()),
                            static_cast<unsigned>(state->alpn.size()));
  return TlsContext(std::move(state));
}

Result<TlsContext> TlsContext::server(const TlsOptions& options) {
  US_TRY(const TlsTexts texts, read_tls_texts(options));
  return server(options, texts);
}

Result<TlsContext> TlsContext::client(const TlsOptions& options) {
  US_TRY(const TlsTexts texts, read_tls_texts(options));
  return client(options, texts);
}

Result<std::unique_ptr<TlsStream>> TlsContext::accept(Connection connection, Duration timeout,
                                                      const CancelToken& cancel) const {
  return start(std::move(connection), nullptr, timeout, cancel);
}

Result<std::unique_ptr<TlsStream>> TlsContext::connect(Connection connection, const std::string& host,
                                                       Duration timeout, const CancelToken& cancel) const {
  return start(std::move(connection), &host, timeout, cancel);
}

Result<std::unique_ptr<TlsStream>> TlsContext::start(Connection connection, const std::string* host,
                                                     Duration timeout, const CancelToken& cancel) const {
  auto stream = std::make_unique<TlsStream::State>();
  stream->peer = std::move(connection.peer);
  stream->cancel = cancel;
  stream->fd = std::move(connection.fd);
  stream->ssl.reset(SSL_new(state_->context.get()));
  BIO* bio = BIO_new(socket_method());
  if (!stream->ssl || !bio) {
    BIO_free(bio);
    return fail_openssl(ErrorCode::out_of_memory, "cannot make a TLS connection");
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(stream->fd.get())));
  SSL_set_bio(stream->ssl.get(), bio, bio);
  if (host) {
    SSL_set_connect_state(stream->ssl.get());
    if (state_->verifies) expect_host(stream->ssl.get(), *host);
  } else {
    SSL_set_accept_state(stream->ssl.get());
  }
  return TlsStream::State::handshake(std::move(stream), timeout);
}

}  // namespace understudy::net
