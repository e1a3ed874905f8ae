#include "store/testing/crash_files.h"

#include <algorithm>
#include <random>

namespace understudy::store {
namespace {
constexpr uint64_t kSector = 512;
constexpr uint64_t kMostFile = 256 << 20;  // it is all in memory
std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}
tl::unexpected<Error> missing(const std::string& path) {
  return fail(ErrorCode::not_found, path + " is not there");
}
}  // namespace

class CrashFiles::MemoryFile final : public File {
 public:
  MemoryFile(CrashFiles& owner, std::shared_ptr<Inode> inode, std::string path)
      : owner_(owner), inode_(std::move(inode)), path_(std::move(path)), life_(owner.life_) {}

  Status read_at(uint64_t offset, MutableByteView into) override {
    US_CHECK(step(Operation::read));
    if (offset > inode_->now.size() || into.size() > inode_->now.size() - offset)
      return fail(ErrorCode::corrupt, path_ + " is too short");
    std::copy_n(inode_->now.begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
    return owner_.end();
  }
  Status write_at(uint64_t offset, ByteView from) override {
    if (offset + from.size() > kMostFile) return fail(ErrorCode::no_space, path_ + " grows too large");
    if (const Status going = step(Operation::write); !going) {
      if (!owner_.dead_ && life_ == owner_.life_)
        put(offset, from.first(std::min(owner_.verdict_.done, from.size())));
      return going;
    }
    put(offset, from);
    return owner_.end();
  }
  Result<uint64_t> size() override {
    US_CHECK(step(Operation::look));
    US_CHECK(owner_.end());
    return inode_->now.size();
  }
  Status truncate(uint64_t size) override {
    US_CHECK(step(Operation::resize));
    if (size > kMostFile) return fail(ErrorCode::no_space, path_ + " grows too large");
    inode_->now.resize(size);
    inode_->changes.push_back({size, {}, true});
    owner_.changed(path_);
    return owner_.end();
  }
  Status punch(uint64_t offset, uint64_t length) override {
    US_CHECK(step(Operation::write));
    if (offset < inode_->now.size())
      put(offset, Bytes(std::min<uint64_t>(length, inode_->now.size() - offset)));
    return owner_.end();
  }
  Status sync() override {
    if (const Status going = step(Operation::sync); !going) {
      if (!owner_.dead_ && life_ == owner_.life_) inode_->changes.clear();
      return going;
    }
    for (const Change& c : inode_->changes) replay(inode_->durable, c, [](uint64_t) { return true; });
    inode_->changes.clear();
    return owner_.end();
  }

 private:
  Status step(Operation operation) {
    if (life_ != owner_.life_) return fail(ErrorCode::failed, "a file of a life before the crash");
    return owner_.step(operation, path_);
  }
  void put(uint64_t offset, ByteView from) {
    if (from.empty()) return;
    if (offset + from.size() > inode_->now.size()) inode_->now.resize(offset + from.size());
    std::copy(from.begin(), from.end(), inode_->now.begin() + static_cast<ptrdiff_t>(offset));
    inode_->changes.push_back({offset, Bytes(from.begin(), from.end()), false});
    owner_.changed(path_);
  }
  CrashFiles& owner_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
  uint64_t life_;
};

CrashFiles::CrashFiles() {
  now_["/s"] = durable_["/s"] = nullptr;
}

void CrashFiles::die_at(uint64_t n) {
  operations_ = 0;
  die_at_ = n;
}
void CrashFiles::fail_at(uint64_t n) {
  operations_ = 0;
  fail_at_ = n;
}

Status CrashFiles::step(Operation operation, const std::string& path) {
  ++operations_;
  verdict_ = {};
  if (die_at_ != 0 && operations_ >= die_at_) dead_ = true;
  if (dead_) return fail(ErrorCode::failed, "the process is dead");
  if (fail_at_ != 0 && operations_ == fail_at_) return fail(ErrorCode::no_space, "no space left");
  if (judge_) verdict_ = judge_(operation, path);
  if (verdict_.error && !verdict_.after) return fail(*verdict_.error);
  return {};
}

Status CrashFiles::end() {
  if (verdict_.error) return fail(*verdict_.error);
  return {};
}

void CrashFiles::changed(const std::string& path) {
  ++changed_[parent_of(path)];
}
uint64_t CrashFiles::changes_outside(const std::string& directory) const {
  uint64_t sum = 0;
  for (const auto& [at, count] : changed_)
    if (at != directory) sum += count;
  return sum;
}

// Sector by sector, those that `survives`.
template <class Survives>
void CrashFiles::replay(Bytes& bytes, const Change& c, Survives survives) {
  if (c.resize) {
    if (survives(0)) bytes.resize(c.offset);
    return;
  }
  for (uint64_t at = 0; at < c.bytes.size(); at += kSector) {
    if (!survives(at)) continue;
    const uint64_t n = std::min<uint64_t>(kSector, c.bytes.size() - at);
    if (bytes.size() < c.offset + at + n) bytes.resize(c.offset + at + n);
    std::copy_n(c.bytes.begin() + static_cast<ptrdiff_t>(at), n,
                bytes.begin() + static_cast<ptrdiff_t>(c.offset + at));
  }
}

void CrashFiles::apply(Names& names, const NameChange& change) {
  if (!change.from.empty()) names.erase(change.from);
  if (!change.to.empty()) names[change.to] = change.inode;
}

void CrashFiles::change(NameChange change) {
  apply(now_, change);
  if (!change.from.empty()) changed(change.from);
  if (!change.to.empty()) changed(change.to);
  changes_.push_back(std::move(change));
}

void CrashFiles::restart_process() {
  dead_ = false;
  die_at_ = fail_at_ = operations_ = 0;
  ++life_;
}

uint64_t CrashFiles::seed_that_loses_all() {
  uint64_t seed = 0;
  while (std::mt19937_64(seed)() % 5 != 0) ++seed;
  return seed;
}

void CrashFiles::crash(uint64_t seed) {
  std::mt19937_64 random(seed);
  const uint64_t mode = random() % 5;  // 0: all unsynced is lost, 1: all is kept, else a part
  const uint64_t first_names = mode == 2 ? random() % (changes_.size() + 1) : 0;
  for (size_t i = 0; i < changes_.size(); ++i)
    if (mode == 1 || i < first_names || (mode > 2 && random() % 2 == 0)) apply(durable_, changes_[i]);
  std::set<Inode*> inodes;
  for (const auto& [name, inode] : durable_)
    if (inode) inodes.insert(inode.get());
  for (const auto& [name, inode] : durable_) {
    if (!inode || inodes.erase(inode.get()) == 0) continue;
    for (const Change& c : inode->changes)
      replay(inode->durable, c, [&](uint64_t) { return mode == 1 || (mode != 0 && random() % 2 == 0); });
    inode->changes.clear();
    inode->now = inode->durable;
  }
  changes_.clear();
  now_ = durable_;
  ++changed_["/"];
  restart_process();
}

Result<std::unique_ptr<File>> CrashFiles::open(const std::string& path, OpenMode mode) {
  const bool create = mode == OpenMode::create_new || mode == OpenMode::create_for_guest;
  US_CHECK(step(create ? Operation::name : Operation::look, path));
  const auto found = now_.find(path);
  if (create) {
    if (found != now_.end()) return fail(ErrorCode::failed, path + " exists");
    if (!now_.contains(parent_of(path))) return missing(path);
    change({"", path, std::make_shared<Inode>()});
  } else if (found == now_.end() || !found->second) {
    return missing(path);
  }
  US_CHECK(end());
  return std::make_unique<MemoryFile>(*this, now_.at(path), path);
}

Result<bool> CrashFiles::exists(const std::string& path) {
  US_CHECK(step(Operation::look, path));
  US_CHECK(end());
  return now_.contains(path);
}

Status CrashFiles::rename(const std::string& from, const std::string& to) {
  US_CHECK(step(Operation::name, to));
  const auto found = now_.find(from);
  if (found == now_.end()) return missing(from);
  change({from, to, found->second});
  return end();
}

Status CrashFiles::remove(const std::string& path) {
  US_CHECK(step(Operation::name, path));
  if (now_.contains(path)) change({path, "", nullptr});
  return end();
}

Status CrashFiles::make_directory(const std::string& path) {
  US_CHECK(step(Operation::name, path));
  if (!now_.contains(path)) change({"", path, nullptr});
  return end();
}

Status CrashFiles::sync_directory(const std::string& path) {
  US_CHECK(step(Operation::sync_names, path));
  const auto touches = [&](const NameChange& c) {
    return (!c.from.empty() && parent_of(c.from) == path) || (!c.to.empty() && parent_of(c.to) == path);
  };
  std::vector<NameChange> rest;
  for (const NameChange& c : changes_) {
    if (touches(c))
      apply(durable_, c);
    else
      rest.push_back(c);
  }
  changes_ = std::move(rest);
  return end();
}

Result<std::vector<std::string>> CrashFiles::list(const std::string& directory) {
  US_CHECK(step(Operation::look, directory));
  if (!now_.contains(directory)) return missing(directory);
  std::vector<std::string> names;
  for (const auto& [path, inode] : now_)
    if (path != directory && parent_of(path) == directory) names.push_back(path.substr(directory.size() + 1));
  US_CHECK(end());
  return names;
}

Result<uint64_t> CrashFiles::free_space(const std::string& path) {
  US_CHECK(step(Operation::look, path));
  US_CHECK(end());
  return uint64_t{1} << 40;
}

std::string CrashFiles::content(const std::string& path) const {
  const Bytes* found = bytes(path);
  return found != nullptr ? std::string(as_text(*found)) : "";
}
const Bytes* CrashFiles::bytes(const std::string& path) const {
  const auto found = now_.find(path);
  return found == now_.end() || !found->second ? nullptr : &found->second->now;
}
const Bytes* CrashFiles::durable_bytes(const std::string& path) const {
  const auto found = durable_.find(path);
  return found == durable_.end() || !found->second ? nullptr : &found->second->durable;
}
std::vector<std::string> CrashFiles::paths() const {
  std::vector<std::string> all;
  for (const auto& [path, inode] : now_) all.push_back(path);
  return all;
}

void CrashFiles::put(const std::string& path, const std::string& content) {
  auto inode = std::make_shared<Inode>();
  const ByteView bytes = as_bytes(content);
  inode->now.assign(bytes.begin(), bytes.end());
  inode->durable = inode->now;
  now_[path] = durable_[path] = inode;
  changed(path);
}

void CrashFiles::replace_all(const std::string& directory,
                             const std::map<std::string, std::string>& contents) {
  sync_all();
  std::erase_if(now_,
                [&](const auto& entry) { return entry.second && entry.first.starts_with(directory + "/"); });
  durable_ = now_;
  for (const auto& [path, content] : contents) put(path, content);
}

void CrashFiles::sync_all() {
  for (const NameChange& c : changes_) apply(durable_, c);
  changes_.clear();
}

void CrashFiles::flip(const std::string& path, uint64_t bit) {
  const auto inode = now_.at(path);
  for (Bytes* copy : {&inode->now, &inode->durable})
    if (bit / 8 < copy->size()) (*copy)[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  changed(path);
}

}  // namespace understudy::store
