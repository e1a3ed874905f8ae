// The control frames of docs/spec/wire.md: messages.h as JSON, and the envelope of requests, answers and
// errors. Pure functions; any thread. What cannot be read is ErrorCode::protocol.
#pragma once

#include "model/codec.h"
#include "transfer/messages.h"

namespace understudy::transfer {

void fields(JsonFields& f, Hello& hello);
void fields(JsonFields& f, PrepareRequest& request);
void fields(JsonFields& f, PrepareAnswer& answer);
void fields(JsonFields& f, QueryRequest& request);
void fields(JsonFields& f, BeginRequest& request);
void fields(JsonFields& f, FinishRequest& request);
void fields(JsonFields& f, HashesRequest& request);
void fields(JsonFields& f, HashesAnswer& answer);
struct VmRequest {  // remove
  Uuid vm;
};
void fields(JsonFields& f, VmRequest& request);

struct Request {
  uint64_t id = 0;
  std::string method;
  JsonObject params;
};
struct Answer {
  uint64_t id = 0;
  JsonObject result;
};
struct Refusal {
  uint64_t id = 0;  // 0: ends the connection
  Error error;
};
std::string request_text(uint64_t id, std::string_view method, const JsonObject& params);
std::string answer_text(uint64_t id, const JsonObject& result);
std::string refusal_text(uint64_t id, const Error& error);
Result<Request> read_request(ByteView payload);
Result<Answer> read_answer(ByteView payload);
Result<Refusal> read_refusal(ByteView payload);
Result<Hello> read_hello(ByteView payload);

// The version both speak, or not_supported naming both ranges. `other` is what to call the other side.
Result<uint32_t> agree_version(const Hello& own, const Hello& theirs, std::string_view other);
bool both_have(const Hello& own, const Hello& theirs, std::string_view feature);

}  // namespace understudy::transfer
