#include "kerberos/acceptor.h"

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5/krb5.h>

#include <array>
#include <atomic>

namespace understudy::kerberos {
namespace {

constexpr size_t kMostReason = 512;  // a reason may quote names of the token

gss_OID_desc spnego() {
  static std::array<char, 6> name{0x2b, 0x06, 0x01, 0x05, 0x05, 0x02};  // 1.3.6.1.5.5.2
  return {name.size(), name.data()};
}

// What the library has given and wants back.
struct Buffer : gss_buffer_desc {
  Buffer() : gss_buffer_desc{0, nullptr} {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    OM_uint32 minor = 0;
    gss_release_buffer(&minor, this);
  }
  std::string text() const {
    return length == 0 ? std::string() : std::string(static_cast<char*>(value), length);
  }
};
struct Name {
  gss_name_t name = GSS_C_NO_NAME;
  ~Name() {
    OM_uint32 minor = 0;
    if (name != GSS_C_NO_NAME) gss_release_name(&minor, &name);
  }
};
struct Context {
  gss_ctx_id_t context = GSS_C_NO_CONTEXT;
  ~Context() {
    OM_uint32 minor = 0;
    if (context != GSS_C_NO_CONTEXT) gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
  }
};

std::string reason(OM_uint32 status, int kind, gss_OID mechanism) {
  Buffer text;
  OM_uint32 minor = 0;
  OM_uint32 more = 0;
  if (gss_display_status(&minor, status, kind, mechanism, &more, &text) != GSS_S_COMPLETE) return {};
  return text.text();
}

// The words of the mechanism say more, when it has any.
std::string reason(OM_uint32 major, OM_uint32 minor, gss_OID mechanism) {
  const std::string more = minor == 0 ? std::string() : reason(minor, GSS_C_MECH_CODE, mechanism);
  if (GSS_ROUTINE_ERROR(major) == GSS_S_FAILURE && !more.empty()) return more.substr(0, kMostReason);
  const std::string said = reason(major, GSS_C_GSS_CODE, GSS_C_NO_OID);
  return (more.empty() ? said : said + ": " + more).substr(0, kMostReason);
}

tl::unexpected<Error> refused(const std::string& why) {
  return fail(ErrorCode::unauthenticated, "a token of Kerberos was refused: " + why);
}

bool same(gss_const_OID a, gss_const_OID b) {
  return a != GSS_C_NO_OID && gss_oid_equal(a, b) != 0;
}

}  // namespace

struct Acceptor::State {
  krb5_context kerberos = nullptr;
  krb5_keytab keys = nullptr;  // in memory, as long as somebody has it open
  gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    OM_uint32 minor = 0;
    if (credential != GSS_C_NO_CREDENTIAL) gss_release_cred(&minor, &credential);
    if (keys != nullptr) krb5_kt_close(kerberos, keys);
    if (kerberos != nullptr) krb5_free_context(kerberos);
  }

  Status failed(krb5_error_code error, const char* what) const {
    const char* text = krb5_get_error_message(kerberos, error);
    Status status = fail(ErrorCode::failed, std::string(what) + ": " + text);
    krb5_free_error_message(kerberos, text);
    return status;
  }
  Status add(const authz::ServiceKey& key) const;
  Status take(const std::vector<authz::ServiceKey>& given, const std::string& replays);
};

Status Acceptor::State::add(const authz::ServiceKey& key) const {
  constexpr std::string_view kService = "HTTP";
  krb5_principal principal = nullptr;
  krb5_error_code error =
      krb5_build_principal_ext(kerberos, &principal, static_cast<unsigned>(key.realm.size()),
                               key.realm.data(), static_cast<unsigned>(kService.size()), kService.data(),
                               static_cast<unsigned>(key.host.size()), key.host.data(), 0);
  if (error != 0) return failed(error, "naming a key");
  Bytes bytes = key.key;
  krb5_keytab_entry entry{};
  entry.principal = principal;
  entry.vno = key.version;
  entry.key.enctype = key.type;
  entry.key.length = static_cast<unsigned>(bytes.size());
  entry.key.contents = reinterpret_cast<krb5_octet*>(bytes.data());
  error = krb5_kt_add_entry(kerberos, keys, &entry);
  krb5_free_principal(kerberos, principal);
  return error == 0 ? Status() : failed(error, "keeping a key");
}

Status Acceptor::State::take(const std::vector<authz::ServiceKey>& given, const std::string& replays) {
  static std::atomic<uint64_t> number{0};
  if (const krb5_error_code error = krb5_init_context(&kerberos); error != 0)
    return failed(error, "beginning with Kerberos");
  const std::string name = "MEMORY:keys-" + std::to_string(++number);
  if (const krb5_error_code error = krb5_kt_resolve(kerberos, name.c_str(), &keys); error != 0)
    return failed(error, "making a place for keys");
  for (const authz::ServiceKey& key : given) US_CHECK(add(key));
  if (given.empty()) return {};

  const std::string cache = "file2:" + replays;
  std::array<gss_key_value_element_desc, 2> words{{{"keytab", name.c_str()}, {"rcache", cache.c_str()}}};
  const gss_key_value_set_desc store{words.size(), words.data()};
  std::array<gss_OID_desc, 2> names{*gss_mech_krb5, spnego()};
  gss_OID_set_desc ways{names.size(), names.data()};
  OM_uint32 minor = 0;
  OM_uint32 major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &ways, GSS_C_ACCEPT,
                                          &store, &credential, nullptr, nullptr);
  // Within SPNEGO nothing but Kerberos.
  gss_OID_set_desc within{1, names.data()};
  if (major == GSS_S_COMPLETE) major = gss_set_neg_mechs(&minor, credential, &within);
  if (major != GSS_S_COMPLETE)
    return fail(ErrorCode::failed, "the keys cannot be used: " + reason(major, minor, gss_mech_krb5));
  return {};
}

Acceptor::Acceptor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Acceptor::~Acceptor() = default;

Result<std::unique_ptr<Acceptor>> Acceptor::make(const std::vector<authz::ServiceKey>& keys,
                                                 const std::string& replays) {
  auto state = std::make_unique<State>();
  US_CHECK(state->take(keys, replays));
  return std::unique_ptr<Acceptor>(new Acceptor(std::move(state)));
}

Result<authz::Ticket> Acceptor::accept(const std::string& token) {
  if (state_->credential == GSS_C_NO_CREDENTIAL)
    return fail(ErrorCode::not_available, "this host has no key of Kerberos");
  std::string bytes = token;
  gss_buffer_desc in{bytes.size(), bytes.data()};
  Context context;
  Name caller;
  Buffer out;
  gss_OID mechanism = GSS_C_NO_OID;
  OM_uint32 minor = 0;
  const OM_uint32 major =
      gss_accept_sec_context(&minor, &context.context, state_->credential, &in, GSS_C_NO_CHANNEL_BINDINGS,
                             &caller.name, &mechanism, &out, nullptr, nullptr, nullptr);
  if (GSS_ERROR(major) != 0) return refused(reason(major, minor, mechanism));
  if (major != GSS_S_COMPLETE) return refused("it wants a second message");
  if (!same(mechanism, gss_mech_krb5)) return refused("it is not of Kerberos");
  Buffer text;
  gss_OID kind = GSS_C_NO_OID;
  if (gss_display_name(&minor, caller.name, &text, &kind) != GSS_S_COMPLETE ||
      !same(kind, GSS_KRB5_NT_PRINCIPAL_NAME))
    return refused("it names no principal");
  return authz::Ticket{text.text(), out.text()};
}

}  // namespace understudy::kerberos
