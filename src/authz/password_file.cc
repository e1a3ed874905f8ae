#include "authz/password_file.h"

#include <argon2.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <semaphore>
#include <vector>

#include "authz/text_file.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/time.h"

namespace understudy::authz {
namespace {

constexpr Duration kRememberedFor = Duration::seconds(300);
constexpr auto kWaitForTurn = std::chrono::seconds(10);
constexpr size_t kSaltLength = 16;
constexpr size_t kHashLength = 32;

using Digest = std::array<uint8_t, 32>;

struct User {
  Roles roles;
  std::string hash;
};
using Users = std::map<std::string, User, std::less<>>;

void fill_random(void* into, size_t size) {
  US_ASSERT(getrandom(into, size, 0) == static_cast<ssize_t>(size));
}

Result<std::string> hash_password(std::string_view password) {
  uint8_t salt[kSaltLength];
  fill_random(salt, sizeof salt);
  std::string encoded(
      argon2_encodedlen(kArgonPasses, kArgonKib, kArgonLanes, kSaltLength, kHashLength, Argon2_id), '\0');
  const int rc = argon2id_hash_encoded(kArgonPasses, kArgonKib, kArgonLanes, password.data(), password.size(),
                                       salt, sizeof salt, kHashLength, encoded.data(), encoded.size());
  if (rc != ARGON2_OK)
    return fail(ErrorCode::out_of_memory,
                std::string("cannot hash the password: ") + argon2_error_message(rc));
  encoded.resize(encoded.find('\0') == std::string::npos ? encoded.size() : encoded.find('\0'));
  return encoded;
}

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostUserName &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c > ' ' && c != 127 && c != ':' && c != '#'; });
}

struct Line {
  std::string_view name;
  std::string_view role;
  std::string_view hash;
};

// The parts of a user's line, or nothing: a comment, an empty line.
std::optional<Line> split(std::string_view line) {
  line = significant(line);
  if (line.empty()) return std::nullopt;
  const size_t first = line.find(':');
  if (first == std::string_view::npos) return Line{line, {}, {}};
  const size_t second = line.find(':', first + 1);
  if (second == std::string_view::npos) return Line{line.substr(0, first), line.substr(first + 1), {}};
  return Line{line.substr(0, first), line.substr(first + 1, second - first - 1), line.substr(second + 1)};
}

Result<Users> parse_users(const std::string& path, std::string_view text) {
  Users users;
  size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    const auto parts = split(line);
    if (!parts) continue;
    auto roles = parse_roles(parts->role);
    if (!good_name(parts->name) || !roles || parts->hash.substr(0, 10) != "$argon2id$")
      return fail(ErrorCode::corrupt,
                  path + " line " + std::to_string(number) + " is not name:role:$argon2id$...",
                  "repair the line, or add the user again: understudy user add");
    if (users.size() == kMostUsers)
      return fail(ErrorCode::too_large, path + " has more than " + std::to_string(kMostUsers) + " users");
    users[std::string(parts->name)] = {std::move(*roles), std::string(parts->hash)};
  }
  return users;
}

bool same_digest(const Digest& a, const Digest& b) {
  uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

}  // namespace

struct PasswordFile::State {
  std::string path;
  std::mutex lock;  // users, stamp, remembered
  Users users;
  std::optional<FileStamp> stamp;
  struct Remembered {
    Digest digest;
    Monotonic until;
  };
  std::deque<Remembered> remembered;  // oldest first
  std::counting_semaphore<kMostVerifications> turns{kMostVerifications};
  std::atomic<uint64_t> computed{0};
  std::string decoy;  // checked in place of a user who does not exist
  Digest key{};

  void refresh();
  std::optional<User> find(std::string_view name);
  Digest digest(std::string_view hash, std::string_view password) const;
  bool remembers(const Digest& digest);
  void remember(const Digest& digest);
};

// Called with the lock held.
void PasswordFile::State::refresh() {
  const FileStamp now = FileStamp::of(path);
  if (stamp && *stamp == now) return;
  stamp = now;
  users.clear();
  const auto text = read_text_file(path, kMostUserFile);
  auto parsed = text ? parse_users(path, *text) : fail(text.error());
  if (parsed)
    users = std::move(*parsed);
  else
    log_error("login", "no password is accepted", {{"cause", parsed.error().text()}});
}

std::optional<User> PasswordFile::State::find(std::string_view name) {
  const std::lock_guard hold(lock);
  refresh();
  const auto found = users.find(name);
  if (found == users.end()) return std::nullopt;
  return found->second;
}

// A cheap keyed hash over stored hash and password: a changed password never matches what is remembered. The
// key lives in this process only.
Digest PasswordFile::State::digest(std::string_view hash, std::string_view password) const {
  std::string text(hash);
  text += '\0';
  text += password;
  Digest digest;
  argon2_context context{};
  context.out = digest.data();
  context.outlen = static_cast<uint32_t>(digest.size());
  context.pwd = reinterpret_cast<uint8_t*>(text.data());
  context.pwdlen = static_cast<uint32_t>(text.size());
  context.salt = const_cast<uint8_t*>(key.data());
  context.saltlen = 16;
  context.secret = const_cast<uint8_t*>(key.data());
  context.secretlen = static_cast<uint32_t>(key.size());
  context.t_cost = 1;
  context.m_cost = 8;
  context.lanes = context.threads = 1;
  context.version = ARGON2_VERSION_13;
  US_ASSERT(argon2_ctx(&context, Argon2_id) == ARGON2_OK);
  return digest;
}

bool PasswordFile::State::remembers(const Digest& digest) {
  const Monotonic now = SystemClock().now().monotonic;
  const std::lock_guard hold(lock);
  while (!remembered.empty() && remembered.front().until < now) remembered.pop_front();
  return std::any_of(remembered.begin(), remembered.end(),
                     [&](const Remembered& r) { return same_digest(r.digest, digest); });
}

void PasswordFile::State::remember(const Digest& digest) {
  const Monotonic until = SystemClock().now().monotonic + kRememberedFor;
  const std::lock_guard hold(lock);
  if (remembered.size() == kMostRemembered) remembered.pop_front();
  remembered.push_back({digest, until});
}

PasswordFile::PasswordFile(std::string path) : state_(std::make_unique<State>()) {
  state_->path = std::move(path);
  fill_random(state_->key.data(), state_->key.size());
  auto decoy = hash_password("nobody has this password");
  US_ASSERT(decoy);
  state_->decoy = std::move(*decoy);
}
PasswordFile::~PasswordFile() = default;
PasswordFile::PasswordFile(PasswordFile&&) noexcept = default;

uint64_t PasswordFile::computed() const {
  return state_->computed;
}

Result<Roles> PasswordFile::verify(std::string_view name, std::string_view password) {
  const auto refused = [] { return fail(ErrorCode::unauthenticated, "user name or password is wrong"); };
  if (name.size() > kMostUserName || password.size() > kMostPassword) return refused();
  const std::optional<User> user = state_->find(name);
  const std::string& hash = user ? user->hash : state_->decoy;
  const Digest digest = state_->digest(hash, password);
  if (state_->remembers(digest) && user) return user->roles;
  if (!state_->turns.try_acquire_for(kWaitForTurn))
    return fail(ErrorCode::timeout, "too many logins are being checked", "try again");
  const int rc = argon2id_verify(hash.c_str(), password.data(), password.size());
  state_->turns.release();
  ++state_->computed;
  if (rc != ARGON2_OK || !user) return refused();
  state_->remember(digest);
  return user->roles;
}

namespace {

// The file's lines without those of `name`, comments and order kept; empty when there is no file.
Result<std::pair<std::string, bool>> without_user(const std::string& path, std::string_view name) {
  std::string kept;
  bool found = false;
  const auto text = read_text_file(path, kMostUserFile);
  if (!text && text.error().code() != ErrorCode::not_found) return fail(text.error());
  if (text) {
    US_CHECK(parse_users(path, *text));
    for (const std::string_view line : lines_of(*text)) {
      const auto parts = split(line);
      if (parts && parts->name == name)
        found = true;
      else
        kept.append(line).append("\n");
    }
  }
  return std::pair{kept, found};
}

}  // namespace

Status set_user(const std::string& path, std::string_view name, const Roles& roles,
                std::string_view password) {
  if (!good_name(name))
    return fail(ErrorCode::invalid_parameter, "'" + std::string(name) + "' is not a user name",
                "1 to 64 printable characters without blanks, ':' and '#'");
  if (password.size() < kLeastPassword || password.size() > kMostPassword)
    return fail(ErrorCode::invalid_parameter,
                "the password has " + std::to_string(password.size()) + " bytes",
                "choose one of " + std::to_string(kLeastPassword) + " to " + std::to_string(kMostPassword));
  US_TRY(auto others, without_user(path, name));
  US_TRY(const std::string hash, hash_password(password));
  others.first.append(name).append(":").append(text_of(roles)).append(":").append(hash).append("\n");
  US_CHECK(parse_users(path, others.first));
  return replace_text_file(path, others.first);
}

Status remove_user(const std::string& path, std::string_view name) {
  US_TRY(const auto others, without_user(path, name));
  if (!others.second)
    return fail(ErrorCode::not_found, "there is no user '" + std::string(name) + "' in " + path);
  return replace_text_file(path, others.first);
}

}  // namespace understudy::authz
