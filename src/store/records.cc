#include "store/records.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "store/seal.h"

namespace understudy::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::string_view kManifestFormat = "understudy-replica";
constexpr std::string_view kCursorFormat = "understudy-cursor";
constexpr uint64_t kMostNumber = UINT64_MAX;
constexpr uint64_t kMostVmName = 1024;
constexpr uint64_t kMostHostName = 1024;
constexpr size_t kMostChain = 256;  // more than is ever made: the bound of the parser

// --- the envelope: JSON, newline, checksum line ---

std::string seal(std::string_view format, Json body) {
  Json all = {{"format", format}, {"version", kVersion}};
  all.update(body);
  return sealed(all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<Json> unseal(std::string_view format, std::string_view text) {
  US_TRY(const std::string_view body, unsealed(text));
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
  std::optional<FileNumber> file(const char* key) {
    std::optional<FileNumber> file;
    maybe(key, [&](Fields in) {
      file = FileNumber{in.number("generation", 1, kMostNumber), in.number("sequence", 1, kMostNumber)};
    });
    return file;
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

Json to_json(FileNumber file) {
  return {{"generation", file.generation}, {"sequence", file.sequence}};
}

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
  return {{"id", p.id.lower()},
          {"sequence", p.lineage.sequence},
          {"from", listed.from},
          {"type", static_cast<unsigned>(p.type)},
          {"keep", static_cast<unsigned>(p.keep)},
          {"cut_us", p.cut.us},
          {"received_us", p.received.us},
          {"bytes", p.bytes},
          {"machine", listed.machine ? to_json(*listed.machine) : Json()}};
}

ListedPoint listed_point(Fields& in, const ReplicaIdentity& identity) {
  ListedPoint listed;
  RecoveryPoint& p = listed.point;
  p.id = in.uuid("id");
  p.lineage = {identity.set, identity.generation, in.number("sequence", 1, kMostNumber)};
  listed.from = in.number("from", 0, kMostNumber);
  p.type = static_cast<PointType>(in.number("type", 0, static_cast<uint64_t>(PointType::planned)));
  p.keep = static_cast<PointKeep>(in.number("keep", 0, static_cast<uint64_t>(PointKeep::on_demand)));
  p.cut.us = in.time("cut_us");
  p.received.us = in.time("received_us");
  p.bytes = in.number("bytes", 0, kMostNumber);
  listed.machine = in.file("machine");
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

// What the fields say together: what is wrong, or nullptr.
const char* inconsistent_disks(const std::vector<DiskGeometry>& disks) {
  if (disks.empty()) return "has no disks";
  for (size_t i = 0; i < disks.size(); ++i) {
    if (!valid_target(disks[i].target)) return "has an impossible disk target";
    if (disks[i].size % 512 != 0) return "has an impossible disk size";
    for (size_t j = 0; j < i; ++j)
      if (disks[j].target == disks[i].target) return "names a disk twice";
  }
  return nullptr;
}

const char* inconsistent_points(const Manifest& m) {
  for (size_t i = 1; i < m.chain.size(); ++i)
    if (m.chain[i].number.sequence <= m.chain[i - 1].number.sequence) return "has a chain out of order";
  size_t at = 0;
  for (size_t i = 0; i < m.points.size(); ++i) {
    const ListedPoint& listed = m.points[i];
    while (at < m.chain.size() && m.chain[at].number.sequence != listed.point.lineage.sequence) ++at;
    if (at++ == m.chain.size()) return "lists a point that is not in the chain";
    if (listed.machine && listed.machine->sequence > listed.point.lineage.sequence)
      return "has a machine of a later point";
    for (size_t j = 0; j < i; ++j)
      if (m.points[j].point.id == listed.point.id) return "lists a point twice";
  }
  return at == m.chain.size() ? nullptr : "has a chain that does not end in a point";
}

const char* inconsistent_generations(const Manifest& m) {
  uint64_t before = m.identity.generation;
  if (m.spent < before) return "has spent less than the generation of its data";
  for (const Reverted& reverted : m.set_aside) {
    if (reverted.generation <= before || reverted.generation > m.spent)
      return "sets an impossible generation aside";
    if (!m.index_of(reverted.on)) return "sets aside what is on no file of the chain";
    before = reverted.generation;
  }
  if (m.reverting && (m.failover || m.set_aside.empty())) return "reverts no failover";
  if (!m.failover) return nullptr;
  if (m.failover->generation <= before || m.failover->generation != m.spent)
    return "has a failover of an old generation";
  for (const ListedPoint& listed : m.points)
    if (listed.point.id == m.failover->point) return nullptr;
  return "has a failover to a point that is not listed";
}

const char* inconsistent(const Manifest& m) {
  if (const char* what = inconsistent_disks(m.identity.disks)) return what;
  if (const char* what = inconsistent_points(m)) return what;
  return inconsistent_generations(m);
}

}  // namespace

bool Manifest::keeps(FileNumber file) const {
  return std::any_of(points.begin(), points.end(),
                     [&](const ListedPoint& listed) { return file_of(listed) == file; }) ||
         std::any_of(set_aside.begin(), set_aside.end(),
                     [&](const Reverted& reverted) { return reverted.on == file; });
}

std::optional<size_t> Manifest::index_of(FileNumber file) const {
  for (size_t i = 0; i < chain.size(); ++i)
    if (chain[i].number == file) return i;
  return std::nullopt;
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
  Json set_aside = Json::array();
  for (const Reverted& reverted : m.set_aside)
    set_aside.push_back(
        {{"generation", reverted.generation}, {"since_us", reverted.since.us}, {"on", to_json(reverted.on)}});
  return seal(kManifestFormat, {{"vm", m.identity.vm.lower()},
                                {"name", m.identity.name},
                                {"primary", m.identity.primary},
                                {"settings", m.identity.settings},
                                {"set", m.identity.set.lower()},
                                {"generation", m.identity.generation},
                                {"disks", disks},
                                {"chain", chain},
                                {"points", points},
                                {"spent", m.spent},
                                {"failover", failover},
                                {"set_aside", set_aside},
                                {"reverting", m.reverting}});
}

Result<Manifest> decode_manifest(std::string_view text) {
  US_TRY(const Json all, unseal(kManifestFormat, text));
  std::string bad;
  Fields in(all, "", bad);
  Manifest m;
  m.identity.vm = in.uuid("vm");
  m.identity.name = in.text("name", kMostVmName);
  m.identity.primary = in.text("primary", kMostHostName);
  m.identity.settings = in.text("settings", limits::kMostSettings);
  m.identity.set = in.uuid("set");
  m.identity.generation = in.number("generation", 1, kMostNumber);
  in.list("disks", limits::kMostDisks, [&](Fields disk) {
    m.identity.disks.push_back({disk.text("target", 4), disk.number("size", 512, limits::kMostDiskSize)});
  });
  in.list("chain", kMostChain, [&](Fields link) { m.chain.push_back(chain_link(link)); });
  in.list("points", kMostChain, [&](Fields point) { m.points.push_back(listed_point(point, m.identity)); });
  m.spent = in.number("spent", 1, kMostNumber);
  in.maybe("failover", [&](Fields failover) {
    m.failover = Failover{failover.number("generation", 1, kMostNumber), failover.uuid("point"),
                          failover.flag("complete")};
  });
  in.list("set_aside", limits::kMostSetAside, [&](Fields reverted) {
    Reverted& it = m.set_aside.emplace_back();
    it.generation = reverted.number("generation", 1, kMostNumber);
    it.since.us = reverted.time("since_us");
    it.on = reverted.file("on").value_or(FileNumber());
  });
  m.reverting = in.flag("reverting");
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
