#include "store/records.h"

#include <xxhash.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace understudy::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::string_view kManifestFormat = "understudy-replica";
constexpr std::string_view kCursorFormat = "understudy-cursor";
constexpr std::string_view kSeal = "xxh3-128 ";
constexpr size_t kSealLength = 9 + 32 + 1;
constexpr uint64_t kMostNumber = UINT64_MAX;
constexpr uint64_t kMostVmName = 1024;
constexpr size_t kMostChain = 256;  // more than is ever made: the bound of the parser

// --- the envelope: JSON, newline, checksum line ---

std::string checksum_line(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  char line[kSealLength + 1];
  std::snprintf(line, sizeof line, "%s%016llx%016llx\n", kSeal.data(),
                static_cast<unsigned long long>(hash.high64), static_cast<unsigned long long>(hash.low64));
  return line;
}

std::string seal(std::string_view format, Json body) {
  Json all = {{"format", format}, {"version", kVersion}};
  all.update(body);
  std::string text = all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  return text + checksum_line(text);
}

Result<Json> unseal(std::string_view format, std::string_view text) {
  if (text.size() < kSealLength) return fail(ErrorCode::corrupt, "is too short");
  const std::string_view body = text.substr(0, text.size() - kSealLength);
  if (text.substr(body.size()) != checksum_line(body))
    return fail(ErrorCode::corrupt, "has a wrong checksum");
  Json all = Json::parse(body, nullptr, false);
  if (!all.is_object() || all.value("format", Json()) != format)
    return fail(ErrorCode::corrupt, "is not of the format " + std::string(format));
  if (all.value("version", Json()) != kVersion)
    return fail(ErrorCode::not_supported, "is of another version than " + std::to_string(kVersion),
                "use the version of the product that wrote it, or a newer one");
  return all;
}

// Reads members of one object; the first bad one is remembered, and everything after it reads as a default.
class Fields {
 public:
  Fields(const Json& object, std::string where, std::string& bad)
      : object_(object), where_(std::move(where)), bad_(bad) {
    if (!object_.is_object()) spoil("");
  }
  uint64_t number(const char* key, uint64_t least, uint64_t most) {
    const Json* value = find(key);
    if (value && value->is_number_unsigned() && value->get<uint64_t>() >= least &&
        value->get<uint64_t>() <= most)
      return value->get<uint64_t>();
    spoil(key);
    return least;
  }
  int64_t time(const char* key) {
    const Json* value = find(key);
    if (value && value->is_number_integer() &&
        (!value->is_number_unsigned() || value->get<uint64_t>() <= uint64_t{INT64_MAX}))
      return value->get<int64_t>();
    spoil(key);
    return 0;
  }
  bool flag(const char* key) {
    const Json* value = find(key);
    if (value && value->is_boolean()) return value->get<bool>();
    spoil(key);
    return false;
  }
  std::string text(const char* key, size_t most) {
    const Json* value = find(key);
    if (value && value->is_string() && value->get_ref<const std::string&>().size() <= most)
      return value->get<std::string>();
    spoil(key);
    return {};
  }
  Uuid uuid(const char* key) {
    if (const auto id = Uuid::parse(text(key, 64))) return *id;
    spoil(key);
    return {};
  }
  template <class Each>
  void list(const char* key, size_t most, Each each) {
    const Json* value = find(key);
    if (!value || !value->is_array() || value->size() > most) return spoil(key);
    for (size_t i = 0; i < value->size() && good(); ++i)
      each(Fields((*value)[i], where_ + key + "[" + std::to_string(i) + "].", bad_));
  }
  // Absent or null: not called.
  template <class Each>
  void maybe(const char* key, Each each) {
    if (!good() || !object_.contains(key) || object_[key].is_null()) return;
    each(Fields(object_[key], where_ + key + ".", bad_));
  }
  void spoil(const char* key) {
    if (good()) bad_ = where_ + key;
  }
  bool good() const { return bad_.empty(); }

 private:
  const Json* find(const char* key) const {
    if (!good()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  const Json& object_;
  std::string where_;
  std::string& bad_;
};

// --- parts ---

Json to_json(const ChainLink& link) {
  return {{"generation", link.number.generation},
          {"sequence", link.number.sequence},
          {"cluster_size", link.cluster_size}};
}

ChainLink chain_link(Fields& in) {
  ChainLink link;
  link.number.generation = in.number("generation", 1, kMostNumber);
  link.number.sequence = in.number("sequence", 1, kMostNumber);
  link.cluster_size = static_cast<uint32_t>(in.number("cluster_size", limits::kLeastGranule, 2 << 20));
  if ((link.cluster_size & (link.cluster_size - 1)) != 0) in.spoil("cluster_size");
  return link;
}

Json to_json(const ListedPoint& listed) {
  const RecoveryPoint& p = listed.point;
  return {{"id", p.id.lower()},  {"sequence", p.lineage.sequence},
          {"from", listed.from}, {"type", static_cast<unsigned>(p.type)},
          {"cut_us", p.cut.us},  {"received_us", p.received.us},
          {"bytes", p.bytes}};
}

ListedPoint listed_point(Fields& in, const ReplicaIdentity& identity) {
  ListedPoint listed;
  RecoveryPoint& p = listed.point;
  p.id = in.uuid("id");
  p.lineage = {identity.set, identity.generation, in.number("sequence", 1, kMostNumber)};
  listed.from = in.number("from", 0, kMostNumber);
  p.type = static_cast<PointType>(in.number("type", 0, static_cast<uint64_t>(PointType::planned)));
  p.cut.us = in.time("cut_us");
  p.received.us = in.time("received_us");
  p.bytes = in.number("bytes", 0, kMostNumber);
  return listed;
}

Json to_json(const StagedLayer& layer) {
  return {{"kind", layer.key.kind == TransferKind::pass ? "pass" : "delta"},
          {"set", layer.key.lineage.set.lower()},
          {"generation", layer.key.lineage.generation},
          {"sequence", layer.key.lineage.sequence},
          {"from", layer.key.from},
          {"disk", layer.cursor.disk},
          {"offset", layer.cursor.offset},
          {"file", to_json(layer.link)},
          {"bytes", layer.bytes}};
}

StagedLayer staged_layer(Fields& in, TransferKind kind) {
  StagedLayer layer;
  layer.key.kind = kind;
  if (in.text("kind", 16) != (kind == TransferKind::pass ? "pass" : "delta")) in.spoil("kind");
  layer.key.lineage.set = in.uuid("set");
  layer.key.lineage.generation = in.number("generation", 1, kMostNumber);
  layer.key.lineage.sequence = in.number("sequence", 1, kMostNumber);
  layer.key.from = in.number("from", 0, kMostNumber);
  layer.cursor.disk = static_cast<uint32_t>(in.number("disk", 0, limits::kMostDisks));
  layer.cursor.offset = in.number("offset", 0, limits::kMostDiskSize);
  in.maybe("file", [&](Fields file) { layer.link = chain_link(file); });
  layer.bytes = in.number("bytes", 0, kMostNumber);
  if (layer.link.cluster_size == 0) in.spoil("file");
  return layer;
}

// What the fields say together.
const char* inconsistent(const Manifest& m) {
  if (m.identity.disks.empty()) return "has no disks";
  for (size_t i = 0; i < m.identity.disks.size(); ++i) {
    const DiskGeometry& disk = m.identity.disks[i];
    if (!valid_target(disk.target)) return "has an impossible disk target";
    if (disk.size % 512 != 0) return "has an impossible disk size";
    for (size_t j = 0; j < i; ++j)
      if (m.identity.disks[j].target == disk.target) return "names a disk twice";
  }
  for (size_t i = 1; i < m.chain.size(); ++i)
    if (m.chain[i].number.sequence <= m.chain[i - 1].number.sequence) return "has a chain out of order";
  size_t at = 0;
  for (const ListedPoint& listed : m.points) {
    while (at < m.chain.size() && m.chain[at].number.sequence != listed.point.lineage.sequence) ++at;
    if (at++ == m.chain.size()) return "lists a point that is not in the chain";
  }
  if (at != m.chain.size()) return "has a chain that does not end in a point";
  if (m.failover) {
    if (m.failover->generation <= m.identity.generation) return "has a failover of an old generation";
    for (const ListedPoint& listed : m.points)
      if (listed.point.id == m.failover->point) return nullptr;
    return "has a failover to a point that is not listed";
  }
  return nullptr;
}

}  // namespace

size_t Manifest::oldest_listed() const {
  for (size_t i = 0; i < chain.size() && !points.empty(); ++i)
    if (chain[i].number.sequence == points.front().point.lineage.sequence) return i;
  return 0;
}

std::string encode_manifest(const Manifest& m) {
  Json disks = Json::array();
  for (const DiskGeometry& disk : m.identity.disks)
    disks.push_back({{"target", disk.target}, {"size", disk.size}});
  Json chain = Json::array();
  for (const ChainLink& link : m.chain) chain.push_back(to_json(link));
  Json points = Json::array();
  for (const ListedPoint& listed : m.points) points.push_back(to_json(listed));
  Json failover;
  if (m.failover)
    failover = {{"generation", m.failover->generation},
                {"point", m.failover->point.lower()},
                {"complete", m.failover->complete}};
  return seal(kManifestFormat, {{"vm", m.identity.vm.lower()},
                                {"name", m.identity.name},
                                {"set", m.identity.set.lower()},
                                {"generation", m.identity.generation},
                                {"disks", disks},
                                {"chain", chain},
                                {"points", points},
                                {"failover", failover}});
}

Result<Manifest> decode_manifest(std::string_view text) {
  US_TRY(const Json all, unseal(kManifestFormat, text));
  std::string bad;
  Fields in(all, "", bad);
  Manifest m;
  m.identity.vm = in.uuid("vm");
  m.identity.name = in.text("name", kMostVmName);
  m.identity.set = in.uuid("set");
  m.identity.generation = in.number("generation", 1, kMostNumber);
  in.list("disks", limits::kMostDisks, [&](Fields disk) {
    m.identity.disks.push_back({disk.text("target", 4), disk.number("size", 512, limits::kMostDiskSize)});
  });
  in.list("chain", kMostChain, [&](Fields link) { m.chain.push_back(chain_link(link)); });
  in.list("points", kMostChain, [&](Fields point) { m.points.push_back(listed_point(point, m.identity)); });
  in.maybe("failover", [&](Fields failover) {
    m.failover = Failover{failover.number("generation", 1, kMostNumber), failover.uuid("point"),
                          failover.flag("complete")};
  });
  if (!bad.empty()) return fail(ErrorCode::corrupt, "has a bad or missing field: " + bad);
  if (const char* what = inconsistent(m)) return fail(ErrorCode::corrupt, what);
  return m;
}

std::string encode_cursor(const StagingRecord& record) {
  return seal(kCursorFormat, {{"base", record.base ? to_json(*record.base) : Json()},
                              {"delta", record.delta ? to_json(*record.delta) : Json()}});
}

Result<StagingRecord> decode_cursor(std::string_view text) {
  US_TRY(const Json all, unseal(kCursorFormat, text));
  std::string bad;
  Fields in(all, "", bad);
  StagingRecord record;
  in.maybe("base", [&](Fields base) { record.base = staged_layer(base, TransferKind::pass); });
  in.maybe("delta", [&](Fields delta) { record.delta = staged_layer(delta, TransferKind::delta); });
  if (record.empty()) in.spoil("delta");
  if (record.base && record.delta &&
      (record.delta->key.from != 0 ||
       record.delta->link.number.sequence <= record.base->link.number.sequence))
    in.spoil("delta");
  if (!bad.empty()) return fail(ErrorCode::corrupt, "has a bad or missing field: " + bad);
  return record;
}

}  // namespace understudy::store
