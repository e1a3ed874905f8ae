// A WS-Management caller for the command: the same operations over HTTP, with the same codec. One request at
// a time, for one thread. Faults come back as errors with the code the server meant.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cim/operation.h"
#include "http/client.h"
#include "wsman/xml.h"

namespace understudy::wsman {

struct ServerIdentity {
  std::string vendor;
  std::string version;
};

class WsmanClient {
 public:
  // `authorization` is the value of the header ("Basic ..."), empty where the connection itself proves who
  // calls.
  WsmanClient(http::HttpClient http, std::string authorization = {})
      : http_(std::move(http)), authorization_(std::move(authorization)) {}

  Result<ServerIdentity> identify();
  Result<cim::Instance> get(const cim::ObjectPath& path);
  // `query`: the name of a class, or a WQL text (SELECT, ASSOCIATORS OF, REFERENCES OF). Pulls to the end.
  Result<std::vector<cim::Instance>> enumerate(const std::string& query);
  // Texts, numbers, references and embedded instances (sent as the text of an INSTANCE) as parameters.
  Result<cim::InvokeResult> invoke(const cim::ObjectPath& path, const std::string& method,
                                   const cim::Instance& parameters);
  // How long one request may take.
  void set_timeout(Duration timeout) { timeout_ = timeout; }

  // "Basic ..." for the constructor.
  static std::string basic(const std::string& name, const std::string& password);

 private:
  struct Reply {
    cim::XmlNode body;           // the first element in it
    std::optional<Error> error;  // of our own header
  };
  Result<Reply> call(std::string envelope);
  Result<Reply> request(const std::string& action, const std::string& uri, const cim::ObjectPath* target,
                        const std::string& body);

  http::HttpClient http_;
  std::string authorization_;
  Duration timeout_ = limits::kMethodReply + Duration::seconds(10);
};

}  // namespace understudy::wsman
