#include "model/codec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace understudy {
namespace {
using Json = nlohmann::json;

const Uuid kId = *Uuid::parse("2f6c9a10-0000-4000-8000-0123456789ab");
const Wall kTime{1'795'371'548'123'456};

Lineage lineage() {
  return {kId, UINT64_MAX, 7};
}
Staging staging() {
  return {{lineage(), 6, TransferKind::delta}, {31, limits::kMostDiskSize}};
}
Holdings holdings() {
  HostState host{kTime, {{ReplicationHealth::critical, "space", "1 MiB is free", "df /srv", kTime}}};
  return {ReplicationMode::replica,    ReplicationState::failover_in_progress, lineage(), staging(), host,
          OtherSender{"hostz.example"}};
}
RecoveryPoint point() {
  return {kId, lineage(), PointType::planned, kTime, kTime, 1ULL << 63, PointKeep::on_demand};
}
Job job() {
  Job made;
  made.id = kId;
  made.type = JobType::send_initial;
  made.state = JobState::exception;
  made.title = "First copy of \"vm1\"\nto höstb";
  made.submitted = made.ended = kTime;
  made.bytes_done = 5;
  made.bytes_total = UINT64_MAX;
  made.error = Error(ErrorCode::no_space, "no space", "grow it");
  return made;
}
ReplicationSettings settings() {
  ReplicationSettings made;
  made.recovery_connection_point = "hostb.example";
  made.recovery_server_port = 65535;
  made.replication_interval = 30;
  made.recovery_history = 24;
  made.application_consistent_interval = 12;
  made.included_disks = {"vda", "vdb"};
  made.auto_resynchronize_end = 86399;
  return made;
}
VmDefinition definition() {
  VmDefinition made;
  made.id = kId;
  made.name = "vm1";
  made.description = "two\nlines, \\ and \x01";
  made.memory_kib = 1 << 20;
  made.vcpus = 4;
  made.cpu_features = {"+vmx", "-svm"};
  made.timers = {"rtc:catchup:yes"};
  made.disks = {{"vda", "virtio", 1 << 30, "s1", "pci:0:4:0.0", 1, true, "none", "native", "unmap"}};
  made.cdroms = {"sda:sata"};
  made.nics = {{"52:54:00:00:00:01", "virtio", "default", "", 2, false}};
  made.controllers = {{"pci", "pcie-root-port", 3, "pci:0:1:0.0", 1, 2, 3}, {}};
  made.devices = {{"channel", "unix", "", "", "org.qemu.guest_agent.0", 1}};
  made.firmware = "efi";
  made.secure_boot = made.enrolled_keys = true;
  return made;
}

template <class T>
void expect_round_trip(const T& value) {
  const std::string text = encode(value);
  const auto back = decode<T>(text);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(encode(*back), text);
  if constexpr (std::equality_comparable<T>) {
    EXPECT_EQ(*back, value);
  }
}

// Every member, at every depth, taken away or made into another type: refused, and the error names it.
template <class T>
void expect_members_guarded(const T& value, const std::vector<std::string>& may_lack) {
  const Json good = Json::parse(encode(value));
  const Json leaves = good.flatten();
  for (const auto& [path, leaf] : leaves.items()) {
    for (Json::json_pointer at(path); !at.empty(); at = at.parent_pointer()) {
      const Json& old = good[at];
      const bool element = good[at.parent_pointer()].is_array();
      if (!element) {
        Json lacking = good;
        lacking[at.parent_pointer()].erase(at.back());
        const auto decoded = decode<T>(lacking.dump());
        const bool optional = std::find(may_lack.begin(), may_lack.end(), at.back()) != may_lack.end();
        EXPECT_EQ(decoded.has_value(), optional) << at.to_string();
        if (!decoded) {
          EXPECT_NE(decoded.error().message().find(at.back() + ": missing"), std::string::npos)
              << decoded.error().text();
        }
      }
      for (const Json& wrong : {Json(nullptr), Json(true), Json(-1), Json(1.5), Json("?"), Json::array(),
                                Json::array({1}), Json::object({{"x", 1}})}) {
        const bool same_kind =
            wrong.type() == old.type() || (old.is_number() && wrong.is_number_integer() && wrong >= 0);
        if (same_kind && !old.is_object() && !(old.is_array() && !wrong.empty())) continue;
        Json changed = good;
        changed[at] = wrong;
        EXPECT_FALSE(decode<T>(changed.dump())) << at.to_string() << " = " << wrong;
      }
    }
  }
}

template <class T>
void expect_prefixes_refused(const T& value) {
  const std::string text = encode(value);
  for (size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(decode<T>(text.substr(0, n))) << n;
  EXPECT_FALSE(decode<T>(text + "x"));
}

template <class T>
void expect_guarded(const T& value, const std::vector<std::string>& may_lack = {}) {
  expect_round_trip(value);
  expect_members_guarded(value, may_lack);
  expect_prefixes_refused(value);
}

TEST(Codec, GuardsEveryMemberOfEveryType) {
  expect_guarded(lineage());
  expect_guarded(DiskGeometry{"vdzz", limits::kMostDiskSize});
  expect_guarded(staging().key);
  expect_guarded(staging());
  expect_guarded(holdings(), {"staging", "host", "sender"});
  expect_guarded(point());
  expect_guarded(job(), {"error"});
  expect_guarded(settings());
  expect_guarded(ServiceSettings());
  expect_guarded(AuthorizationEntry{"*.dom.example", "/srv/replicas", "g"});
  expect_guarded(*job().error);
  expect_guarded(definition());
}

TEST(Codec, BoundsWhatAnotherHostSaysOfItself) {
  HostState host = *holdings().host;
  host.findings.resize(limits::kMostFindings, host.findings.front());
  EXPECT_TRUE(decode<HostState>(encode(host)));
  host.findings.push_back(host.findings.front());
  EXPECT_FALSE(decode<HostState>(encode(host)));
  host.findings.resize(1);
  host.findings[0].cause.assign(1 << 16, 'x');
  EXPECT_TRUE(decode<HostState>(encode(host))) << "a sentence of ours is cut";
  host.findings[0].check.clear();
  EXPECT_FALSE(decode<HostState>(encode(host)));
}

TEST(Codec, DefaultsRoundTrip) {
  expect_round_trip(Holdings());
  expect_round_trip(Job());
  Job last = job();
  last.type = JobType::create_point;
  expect_round_trip(last);
  expect_round_trip(ReplicationSettings());
  expect_round_trip(ServiceSettings());
}

TEST(Codec, TextIsTheSameEveryTime) {
  EXPECT_EQ(encode(staging().cursor), R"({"disk":31,"offset":70368744177664})");
  EXPECT_EQ(
      encode(point()),
      R"({"bytes":9223372036854775808,"cut":"2026-11-22T18:19:08.123456Z",)"
      R"("id":"2f6c9a10-0000-4000-8000-0123456789ab","keep":2,)"
      R"("lineage":{"generation":18446744073709551615,"sequence":7,"set":"2f6c9a10-0000-4000-8000-0123456789ab"},)"
      R"("received":"2026-11-22T18:19:08.123456Z","type":3})");
}

// A member set to a value (JSON text) just outside what it may hold, or just inside.
template <class T>
void expect_member(const T& value, const std::string& pointer, const std::string& json, bool accepted) {
  Json object = Json::parse(encode(value));
  object[Json::json_pointer(pointer)] = Json::parse(json);
  const auto decoded = decode<T>(object.dump());
  EXPECT_EQ(decoded.has_value(), accepted) << pointer << " = " << json;
  if (!decoded) {
    EXPECT_EQ(decoded.error().code(), ErrorCode::corrupt);
  }
}

std::string quoted(size_t length) {
  return '"' + std::string(length, 'x') + '"';
}
std::string list_of(size_t count, const std::string& element) {
  std::string text = "[";
  for (size_t i = 0; i < count; ++i) text += (i ? "," : "") + element;
  return text + "]";
}

TEST(Codec, RefusesWhatIsOutOfRange) {
  expect_member(lineage(), "/generation", "18446744073709551615", true);
  expect_member(lineage(), "/generation", "18446744073709551616", false);
  expect_member(lineage(), "/generation", "-1", false);
  expect_member(lineage(), "/generation", "1.0", false);
  expect_member(lineage(), "/generation", "1e3", false);
  expect_member(lineage(), "/set", "\"2f6c9a10\"", false);
  const DiskGeometry disk{"vda", 4096};
  for (const char* size : {"0", "511", "513", "70368744178176", "4294967297"})
    expect_member(disk, "/size", size, false);
  for (const char* target : {"\"\"", "\"vd1\"", "\"VDA\"", "\"vdabc\"", "\"a/b\"", "\"..\"", "\"vd\\u0000\""})
    expect_member(disk, "/target", target, false);
  expect_member(staging(), "/cursor/disk", "32", true);
  expect_member(staging(), "/cursor/disk", "33", false);
  expect_member(staging(), "/cursor/disk", "4294967296", false);
  expect_member(staging(), "/key/kind", "2", false);
  expect_member(holdings(), "/state", "13", false);
  expect_member(holdings(), "/mode", "257", false);
  expect_member(point(), "/cut", "\"yesterday\"", false);
  expect_member(point(), "/type", "4", false);
  expect_member(job(), "/state", "9", false);
  expect_member(job(), "/type", "65626", false);
  expect_member(settings(), "/recovery_server_port", "65536", false);
  expect_member(settings(), "/authentication_type", "3", false);
  expect_member(settings(), "/replication_interval", "31", false);
  expect_member(settings(), "/recovery_history", "25", false);
  expect_member(settings(), "/auto_resynchronize_start", "86400", false);
  expect_member(settings(), "/recovery_connection_point", quoted(256), true);
  expect_member(settings(), "/recovery_connection_point", quoted(257), false);
  expect_member(settings(), "/included_disks", list_of(32, "\"vda\""), true);
  expect_member(settings(), "/included_disks", list_of(33, "\"vda\""), false);
  expect_member(settings(), "/included_disks", "[" + quoted(65) + "]", false);
  expect_member(ServiceSettings(), "/https_port", "65536", false);
  expect_member(ServiceSettings(), "/monitoring_interval", "604801", false);
  expect_member(definition(), "/name", quoted(0), false);
  expect_member(definition(), "/description", quoted(8193), false);
  expect_member(definition(), "/vcpus", "4294967297", false);
  const std::string one_disk = encode(definition().disks[0]);
  expect_member(definition(), "/disks", list_of(32, one_disk), true);
  expect_member(definition(), "/disks", list_of(33, one_disk), false);
}

TEST(Codec, NamesTheWholePath) {
  Json object = Json::parse(encode(definition()));
  object["controllers"][1]["index"] = "two";
  const auto decoded = decode<VmDefinition>(object.dump());
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().message(),
            "controllers[1].index: not a whole number from 0 to 18446744073709551615");
}

TEST(Codec, IgnoresMembersOfANewerVersion) {
  Json object = Json::parse(encode(holdings()));
  object["later"] = {1, 2, Json::object({{"mode", "x"}})};
  object["lineage"]["later"] = nullptr;
  const auto decoded = decode<Holdings>(object.dump());
  ASSERT_TRUE(decoded) << decoded.error().text();
  EXPECT_EQ(*decoded, holdings());
}

TEST(Codec, ClipsTheTextOfAnErrorBetweenCharacters) {
  std::string message(2047, 'x');
  message += "ö and on";
  const auto decoded = decode<Error>(encode(Error(ErrorCode::timeout, message)));
  ASSERT_TRUE(decoded) << decoded.error().text();
  EXPECT_EQ(decoded->message(), std::string(2047, 'x'));
  EXPECT_EQ(decode<Error>(R"({"code":"of_tomorrow","message":"m","hint":""})")->code(), ErrorCode::failed);
}

TEST(Json, RefusesWhatIsNotOneGoodObject) {
  for (const char* bad :
       {"", " ", "1", "[]", "null", "{", "{}{}", "{\"a\":1,}", "{a:1}", "{\"a\":01}", "{\"a\":NaN}",
        "{\"a\":1}x", "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\xaf\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\n\"}",
        "{\"a\":1,\"a\":1}", "{\"b\":{\"a\":1,\"c\":2,\"a\":1}}", "/* */{}"})
    EXPECT_FALSE(JsonObject::parse(bad)) << bad;
  EXPECT_TRUE(JsonObject::parse(R"({"b":{"a":1},"a":{"a":1},"c":[{"a":1},{"a":1}]})"));
}

TEST(Json, BoundsDepthAndSize) {
  EXPECT_FALSE(JsonObject::parse(std::string(1 << 20, '[')));
  EXPECT_FALSE(JsonObject::parse("{\"a\":" + std::string(1 << 20, '[')));
  std::string open;
  for (int i = 0; i < 100000; ++i) open += "{\"a\":";
  EXPECT_FALSE(JsonObject::parse(open));
  const auto lists = [](size_t n) { return "{\"a\":" + std::string(n, '[') + std::string(n, ']') + "}"; };
  EXPECT_TRUE(JsonObject::parse(lists(kMostJsonDepth - 1)));
  EXPECT_FALSE(JsonObject::parse(lists(kMostJsonDepth)));
  const auto large = JsonObject::parse(R"({"a":1})", 6);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code(), ErrorCode::too_large);
  EXPECT_TRUE(JsonObject::parse(R"({"a":1})", 7));
}

TEST(Json, BytesAreBoundedBase64) {
  const auto read = [](std::string_view value) {
    JsonObject object;
    object.set("raw", value);
    JsonFields f = JsonFields::reader(std::move(object));
    Bytes bytes;
    f.bytes("raw", bytes, 3, 2);
    return f.status() ? std::string(as_text(bytes)) : f.status().error().message();
  };
  EXPECT_EQ(read("YWI="), "ab");
  EXPECT_EQ(read("YWJj"), "abc");
  EXPECT_EQ(read("YQ=="), "raw: 1 bytes, want 2 to 3");
  EXPECT_EQ(read("YWJjZA=="), "raw: a text of 8 bytes, want 0 to 4");
  EXPECT_EQ(read("YWI"), "raw: not base64");
  JsonFields f = JsonFields::writer();
  Bytes bytes(2, std::byte{0xff});
  f.bytes("raw", bytes, 3, 2);
  EXPECT_EQ(f.take().text(), R"({"raw":"//8="})");
}

TEST(Json, BuildsAndReads) {
  JsonObject inner;
  inner.set("deep", true);
  JsonObject object;
  object.set("text", "a\"\n\xc3\xb6");
  object.set("most", UINT64_MAX);
  object.set("least", INT64_MIN);
  object.set("yes", true);
  object.set("names", std::vector<std::string>{"b", "a"});
  object.set("inner", inner);
  object.set("list", std::vector<JsonObject>{inner, JsonObject()});
  EXPECT_EQ(
      object.text(),
      "{\"inner\":{\"deep\":true},\"least\":-9223372036854775808,\"list\":[{\"deep\":true},{}],"
      "\"most\":18446744073709551615,\"names\":[\"b\",\"a\"],\"text\":\"a\\\"\\n\xc3\xb6\",\"yes\":true}");
  const auto back = JsonObject::parse(object.text());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->text("text"), "a\"\n\xc3\xb6");
  EXPECT_EQ(back->number("most"), UINT64_MAX);
  EXPECT_EQ(back->signed_number("least"), INT64_MIN);
  EXPECT_EQ(back->flag("yes"), true);
  EXPECT_EQ(back->texts("names"), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(back->object("inner")->flag("deep"), true);
  EXPECT_EQ(back->objects("list")->size(), 2u);
  EXPECT_FALSE(back->signed_number("most"));
  EXPECT_FALSE(back->number("least"));
  EXPECT_FALSE(back->number("nothing"));
  EXPECT_FALSE(back->texts("list"));
  EXPECT_FALSE(back->has("nothing"));
}

TEST(Json, BytesThatAreNotUtf8AreReplacedWhenWritten) {
  JsonObject object;
  object.set("name", "a\xff");
  EXPECT_TRUE(JsonObject::parse(object.text()));
}

TEST(Json, SealedStateKnowsItsKindAndVersion) {
  const std::string text = seal("engine", 3, to_json(lineage()));
  const auto opened = unseal(text, "engine", 1, 3);
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(opened->version, 3u);
  EXPECT_EQ(from_json<Lineage>(opened->value), lineage());
  EXPECT_EQ(unseal(text, "host", 1, 3).error().code(), ErrorCode::corrupt);
  EXPECT_EQ(unseal(text, "engine", 1, 2).error().code(), ErrorCode::not_supported);
}

}  // namespace
}  // namespace understudy
