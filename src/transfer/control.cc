#include "transfer/control.h"

#include <algorithm>

#include "transfer/compression.h"
#include "transfer/frames.h"

namespace understudy::transfer {
namespace {

constexpr size_t kMostName = 256;
constexpr size_t kMostWarning = 2048;
constexpr size_t kMostWarnings = 64;
constexpr size_t kRunSize = 4 + sizeof(BlockHash);  // a run of hashes, packed
constexpr size_t kMostRuns = limits::kMostHashRange / limits::kLeastGranule;

tl::unexpected<Error> unreadable(const Error& error, std::string_view what) {
  return fail(ErrorCode::protocol, std::string(what) + ": " + error.message());
}

// The member `id` and the envelope around it.
struct Envelope {
  uint64_t id = 0;
  JsonObject object;
};
Result<Envelope> read_envelope(ByteView payload) {
  US_TRY(JsonObject object, JsonObject::parse(as_text(payload), limits::kMostControlPayload));
  US_TRY(const uint64_t id, object.number("id"));
  return Envelope{id, std::move(object)};
}

void block_size(JsonFields& f, std::string_view name, uint32_t& size) {
  f.number(name, size, limits::kLeastGranule, limits::kGranule);
  if ((size & (size - 1)) != 0) f.refuse(name, "not a power of two");
}

// An empty one is an empty text.
void nvram_field(JsonFields& f, Bytes& nvram) {
  Bytes packed = f.reading() || nvram.empty() ? Bytes() : pack(nvram);
  f.bytes("nvram", packed, limits::kMostNvram);
  if (!f.reading() || !f.status()) return;
  nvram.clear();
  if (packed.empty()) return;
  auto unpacked = unpack(packed, limits::kMostNvram);
  if (!unpacked) return f.refuse("nvram", unpacked.error().message());
  nvram = std::move(*unpacked);
}

template <class T>
Result<T> as_protocol(Result<T> result, std::string_view what) {
  if (!result) return unreadable(result.error(), what);
  return result;
}

Result<Request> parse_request(ByteView payload) {
  US_TRY(const Envelope envelope, read_envelope(payload));
  US_TRY(std::string method, envelope.object.text("method"));
  US_TRY(JsonObject params, envelope.object.object("params"));
  return Request{envelope.id, std::move(method), std::move(params)};
}
Result<Answer> parse_answer(ByteView payload) {
  US_TRY(const Envelope envelope, read_envelope(payload));
  US_TRY(JsonObject result, envelope.object.object("result"));
  return Answer{envelope.id, std::move(result)};
}
Result<Refusal> parse_refusal(ByteView payload) {
  US_TRY(const Envelope envelope, read_envelope(payload));
  US_TRY(JsonObject object, envelope.object.object("error"));
  US_TRY(Error error, from_json<Error>(std::move(object)));
  return Refusal{envelope.id, std::move(error)};
}

}  // namespace

void fields(JsonFields& f, Hello& hello) {
  f.number("least_version", hello.least_version);
  f.number("most_version", hello.most_version);
  f.texts("features", hello.features, 64, 64);
  f.text("host", hello.host, kMostName);
  f.text("product_version", hello.product_version, 64);
  f.time("clock", hello.clock);
}
void fields(JsonFields& f, PrepareRequest& request) {
  f.object("definition", request.definition);
  f.object("settings", request.settings);
  f.object("lineage", request.lineage);
  f.objects("disks", request.disks, limits::kMostDisks);
}
void fields(JsonFields& f, PrepareAnswer& answer) {
  f.text("recovery_host_system", answer.recovery_host_system, kMostName);
  f.texts("warnings", answer.warnings, kMostWarnings, kMostWarning);
}
void fields(JsonFields& f, QueryRequest& request) {
  f.id("vm", request.vm);
  f.object("settings", request.settings);
  f.object("host", request.host);
}
void fields(JsonFields& f, BeginRequest& request) {
  f.id("vm", request.vm);
  f.object("key", request.key);
  block_size(f, "granule", request.granule);
  f.number("bytes_total", request.bytes_total);
}
void fields(JsonFields& f, FinishRequest& request) {
  f.id("vm", request.vm);
  f.object("key", request.key);
  f.id("point_id", request.point_id);
  f.choice("type", request.type,
           {PointType::none, PointType::standard, PointType::application_consistent, PointType::planned});
  f.time("cut", request.cut);
  f.choice("keep", request.keep, {PointKeep::no, PointKeep::hourly, PointKeep::on_demand});
  f.object("definition", request.definition);
  if (request.definition) nvram_field(f, request.nvram);
}
void fields(JsonFields& f, HashesRequest& request) {
  f.id("vm", request.vm);
  f.object("newest", request.newest);
  f.number("disk", request.disk, 0, limits::kMostDisks - 1);
  f.number("offset", request.offset, 0, limits::kMostDiskSize);
  f.number("length", request.length, 1, limits::kMostHashRange);
  block_size(f, "block", request.block);
  f.bytes("secret", request.secret, sizeof(HashSecret::bytes), sizeof(HashSecret::bytes));
}
void fields(JsonFields& f, HashesAnswer& answer) {
  ByteWriter writer;
  for (const HashRun& run : answer.runs) {
    writer.le<uint32_t>(run.count);
    writer.raw(run.hash);
  }
  Bytes packed = writer.take();
  f.bytes("runs", packed, kMostRuns * kRunSize);
  if (!f.reading() || !f.status()) return;
  if (packed.size() % kRunSize != 0) f.refuse("runs", "not whole records");
  answer.runs.clear();
  for (ByteReader reader(packed); reader.left() >= kRunSize;) {
    HashRun& run = answer.runs.emplace_back();
    run.count = reader.le<uint32_t>();
    std::memcpy(run.hash.data(), reader.take(run.hash.size()).data(), run.hash.size());
  }
}
void fields(JsonFields& f, VmRequest& request) {
  f.id("vm", request.vm);
}

std::string request_text(uint64_t id, std::string_view method, const JsonObject& params) {
  JsonObject object;
  object.set("id", id);
  object.set("method", method);
  object.set("params", params);
  return object.text();
}
std::string answer_text(uint64_t id, const JsonObject& result) {
  JsonObject object;
  object.set("id", id);
  object.set("result", result);
  return object.text();
}
std::string refusal_text(uint64_t id, const Error& error) {
  JsonObject object;
  object.set("id", id);
  object.set("error", to_json(error));
  return object.text();
}

Result<Request> read_request(ByteView payload) {
  return as_protocol(parse_request(payload), "unreadable request");
}
Result<Answer> read_answer(ByteView payload) {
  return as_protocol(parse_answer(payload), "unreadable answer");
}
Result<Refusal> read_refusal(ByteView payload) {
  return as_protocol(parse_refusal(payload), "unreadable error");
}
Result<Hello> read_hello(ByteView payload) {
  return as_protocol(decode<Hello>(as_text(payload), kMostHello), "unreadable greeting");
}

Result<uint32_t> agree_version(const Hello& own, const Hello& theirs, std::string_view other) {
  const uint32_t version = std::min(own.most_version, theirs.most_version);
  if (version >= own.least_version && version >= theirs.least_version) return version;
  const auto range = [](const Hello& hello) {
    return std::to_string(hello.least_version) + " to " + std::to_string(hello.most_version);
  };
  return fail(ErrorCode::not_supported,
              "'" + own.host + "' speaks versions " + range(own) + " of the replication protocol, " +
                  std::string(other) + " '" + theirs.host + "' " + range(theirs),
              "bring both hosts to the same version of Understudy");
}

bool both_have(const Hello& own, const Hello& theirs, std::string_view feature) {
  const auto has = [&](const Hello& hello) {
    return std::find(hello.features.begin(), hello.features.end(), feature) != hello.features.end();
  };
  return has(own) && has(theirs);
}

}  // namespace understudy::transfer
