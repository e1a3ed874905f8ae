// HTTP/1.1 requests and responses as values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace understudy::http {

struct Header {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;
  std::string target;
  std::vector<Header> headers;
  std::string body;
  // The first value of that name, compared without case; empty when there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::vector<Header> headers;  // Content-Length and Connection are added when it is sent
  std::string body;
  std::string_view header(std::string_view name) const;
};

// Without case, as names of headers are.
bool same_header(std::string_view a, std::string_view b);

}  // namespace understudy::http
