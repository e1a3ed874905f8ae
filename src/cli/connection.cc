// Management over the wire: the unix socket of this host, or HTTPS to another.
#include <cstdlib>

#include "cli/management.h"
#include "net/tls.h"
#include "wsman/client.h"

namespace understudy::cli {
namespace {

constexpr Duration kConnect = Duration::seconds(10);

class WireManagement final : public Management {
 public:
  WireManagement(wsman::WsmanClient client, std::string server)
      : client_(std::move(client)), server_(std::move(server)) {}
  std::string server() const override { return server_; }
  Result<std::vector<cim::Instance>> enumerate(const std::string& query) override {
    return client_.enumerate(query);
  }
  Result<cim::InvokeResult> invoke(const cim::ObjectPath& path, const std::string& method,
                                   const cim::Instance& parameters) override {
    return client_.invoke(path, method, parameters);
  }

 private:
  wsman::WsmanClient client_;
  std::string server_;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::unique_ptr<Management> over_socket(const std::string& path) {
  const auto connect = [path]() -> Result<std::unique_ptr<net::Stream>> {
    auto connection = net::connect_unix(path);
    if (!connection) {
      const Error& error = connection.error();
      if (error.code() == ErrorCode::access_denied)
        return fail(error.with_hint("run it as root, or log in over HTTPS: --host HOST --user NAME"));
      return fail(ErrorCode::not_available, error.message(),
                  "look whether the daemon runs: systemctl status understudyd");
    }
    return std::make_unique<net::PlainStream>(std::move(*connection), CancelToken());
  };
  return std::make_unique<WireManagement>(wsman::WsmanClient(http::HttpClient(connect, "localhost")),
                                          "this host");
}

Result<std::string> authorization(const Arguments& arguments, const Console& console, const HostAndPort& at) {
  if (!arguments.has("user")) return std::string();
  const std::string user = arguments.text("user");
  std::string password = environment("UNDERSTUDY_PASSWORD");
  if (password.empty()) {
    if (!console.interactive)
      return fail(ErrorCode::invalid_parameter,
                  "no password for user '" + user + "' and no terminal to ask on", "set UNDERSTUDY_PASSWORD");
    US_TRY(password, console.ask_password("Password of " + user + " on " + at.host + ": "));
  }
  return wsman::WsmanClient::basic(user, password);
}

Result<std::unique_ptr<Management>> over_https(const Arguments& arguments, const Console& console) {
  US_TRY(HostAndPort at, parse_host(arguments.text("host")));
  if (at.port == 0) at.port = kDefaultPort;
  if (!arguments.has("user") && !arguments.has("cert"))
    return fail(ErrorCode::invalid_parameter, "--host needs to know who you are",
                "add --user NAME, or --cert FILE --key FILE");
  if (arguments.has("cert") != arguments.has("key"))
    return fail(ErrorCode::invalid_parameter, "--cert and --key belong together");
  net::TlsOptions options;
  options.certificate_file = arguments.text("cert");
  options.key_file = arguments.text("key");
  options.authority_file = arguments.text("ca");
  US_TRY(net::TlsContext context, net::TlsContext::client(options));
  US_TRY(std::string login, authorization(arguments, console, at));

  const auto connect = [at, context]() -> Result<std::unique_ptr<net::Stream>> {
    US_TRY(net::Connection connection, net::connect_tcp(at.host, at.port, kConnect));
    US_TRY(std::unique_ptr<net::Stream> stream,
           context.connect(std::move(connection), at.host, kConnect, {}));
    return stream;
  };
  const std::string server = at.host + ":" + std::to_string(at.port);
  return std::make_unique<WireManagement>(
      wsman::WsmanClient(http::HttpClient(connect, server), std::move(login)), server);
}

}  // namespace

Result<std::unique_ptr<Management>> open_management(const Arguments& arguments, const Console& console) {
  if (arguments.has("host") && arguments.has("socket"))
    return fail(ErrorCode::invalid_parameter, "--host and --socket exclude each other");
  if (arguments.has("host")) return over_https(arguments, console);
  const std::string fallback = environment("UNDERSTUDY_SOCKET");
  return over_socket(arguments.text("socket", fallback.empty() ? kDefaultSocket : fallback));
}

}  // namespace understudy::cli
