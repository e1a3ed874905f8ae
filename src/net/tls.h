// TLS over a connected socket (OpenSSL, private to this folder). A TlsContext is made once from files, is
// immutable and may be used by any thread for as many streams as it likes; streams keep what they need of it.
// A TlsStream follows the rules of stream.h: one thread may read while another writes.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/stream.h"

namespace understudy::net {

// Who the other side proved to be.
struct PeerCertificate {
  std::string common_name;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_names;
  std::string thumbprint;  // SHA-256 of the certificate, upper-case hex without colons
  Wall not_after;
};

enum class PeerCheck : uint8_t {
  none,      // server: do not ask for a certificate. client: trust whoever answers (never for replication)
  optional,  // server: ask; a certificate that is given must be good
  required,  // server: refuse without one. client: always the right choice
};

struct TlsOptions {
  std::string certificate_file;  // PEM, leaf first, chain after it; a client may have none
  std::string key_file;
  std::string authority_file;  // who may sign the other side; empty: the system's (client only)
  // Client: the server's certificate is good when its thumbprint begins so, and nothing else of it counts.
  std::string pin = {};
  PeerCheck peer = PeerCheck::required;
  bool tls13_only = false;  // else 1.2 with forward secrecy and authenticated encryption, or 1.3
  // Protocols in order of preference. A server refuses a client that names some and none of these.
  std::vector<std::string> alpn;
};

// The content of the files: for a process that cannot open them.
struct TlsTexts {
  std::string certificate, key, authority;  // PEM
  bool operator==(const TlsTexts&) const = default;
};
template <class F>
void fields(F& f, TlsTexts& texts) {
  f(texts.certificate, texts.key, texts.authority);
}
// Those that the options name; nothing is looked at yet.
Result<TlsTexts> read_tls_texts(const TlsOptions& options);

class TlsStream final : public Stream {
 public:
  ~TlsStream() override;
  Result<size_t> read(MutableByteView into, Duration timeout) override;
  Status write_all(ByteView bytes, Duration timeout) override;
  Status shutdown() override;
  const std::string& peer() const override;

  // Verified by the handshake; nothing when the peer has none (or, as a client, when it was told to trust
  // anybody).
  const std::optional<PeerCertificate>& certificate() const;
  std::string version() const;  // "TLSv1.3"
  std::string alpn() const;     // empty when none was agreed

 private:
  friend class TlsContext;
  struct State;
  explicit TlsStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class TlsContext {
 public:
  // The options name the files in what goes wrong, and say which there are.
  static Result<TlsContext> server(const TlsOptions& options, const TlsTexts& texts);
  static Result<TlsContext> client(const TlsOptions& options, const TlsTexts& texts);
  static Result<TlsContext> server(const TlsOptions& options);
  static Result<TlsContext> client(const TlsOptions& options);

  // Handshakes; all of it within `timeout`. The stream's later waits also end with `cancel`.
  Result<std::unique_ptr<TlsStream>> accept(Connection connection, Duration timeout,
                                            const CancelToken& cancel) const;
  // `host` is the name or address the certificate must carry as a subject alternative name.
  Result<std::unique_ptr<TlsStream>> connect(Connection connection, const std::string& host, Duration timeout,
                                             const CancelToken& cancel) const;

 private:
  struct State;
  explicit TlsContext(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  Result<std::unique_ptr<TlsStream>> start(Connection connection, const std::string* host, Duration timeout,
                                           const CancelToken& cancel) const;
  std::shared_ptr<const State> state_;
};

// What a server's next handshakes are made with: replaced, when certificates are renewed, without ending a
// connection. Any thread.
class TlsInUse {
 public:
  explicit TlsInUse(TlsContext context) : context_(std::move(context)) {}
  TlsContext get() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  void set(TlsContext context) {
    const std::lock_guard lock(mutex_);
    context_ = std::move(context);
  }

 private:
  mutable std::mutex mutex_;
  TlsContext context_;
};

}  // namespace understudy::net
