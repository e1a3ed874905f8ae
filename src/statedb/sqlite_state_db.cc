#include "statedb/sqlite_state_db.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/fault_point.h"

namespace understudy::statedb {
namespace {

constexpr int kSchemaVersion = 1;

class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  Statement& bind(int at, const std::string& text) {
    sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return *this;
  }
  int step() { return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_); }
  std::string text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return data == nullptr ? std::string()
                           : std::string(data, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  int number(int column) const { return sqlite3_column_int(statement_, column); }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

class SqliteStateDb final : public core::StateDb {
 public:
  SqliteStateDb(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  ~SqliteStateDb() override { sqlite3_close(db_); }
  SqliteStateDb(const SqliteStateDb&) = delete;
  SqliteStateDb& operator=(const SqliteStateDb&) = delete;

  Status put(const std::string& kind, const std::string& key, const std::string& text) override {
    US_CHECK(fault_point("statedb.before-put"));
    Statement statement(db_,
                        "INSERT INTO state (kind, key, text) VALUES (?, ?, ?) "
                        "ON CONFLICT (kind, key) DO UPDATE SET text = excluded.text");
    if (statement.bind(1, kind).bind(2, key).bind(3, text).step() != SQLITE_DONE) return error("store");
    return fault_point("statedb.after-put");
  }

  Status remove(const std::string& kind, const std::string& key) override {
    Statement statement(db_, "DELETE FROM state WHERE kind = ? AND key = ?");
    if (statement.bind(1, kind).bind(2, key).step() != SQLITE_DONE) return error("remove");
    return {};
  }

  Result<std::vector<std::pair<std::string, std::string>>> load(const std::string& kind) override {
    Statement statement(db_, "SELECT key, text FROM state WHERE kind = ? ORDER BY key");
    statement.bind(1, kind);
    std::vector<std::pair<std::string, std::string>> rows;
    for (;;) {
      const int code = statement.step();
      if (code == SQLITE_DONE) return rows;
      if (code != SQLITE_ROW) return error("read");
      rows.emplace_back(statement.text(0), statement.text(1));
    }
  }

  Status prepare() {
    sqlite3_busy_timeout(db_, 5000);
    for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"})
      if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("open");
    int version = 0;
    {
      Statement statement(db_, "PRAGMA user_version");
      if (statement.step() != SQLITE_ROW) return error("open");
      version = statement.number(0);
    }
    if (version > kSchemaVersion)
      return fail(ErrorCode::corrupt,
                  "state database " + path_ + " has version " + std::to_string(version) +
                      ", this program knows up to " + std::to_string(kSchemaVersion),
                  "install the newer Understudy that wrote it");
    if (version == kSchemaVersion) return {};
    const char* create =
        "BEGIN; CREATE TABLE state (kind TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, "
        "PRIMARY KEY (kind, key)) WITHOUT ROWID; PRAGMA user_version = 1; COMMIT";
    if (sqlite3_exec(db_, create, nullptr, nullptr, nullptr) != SQLITE_OK) return error("create");
    return {};
  }

 private:
  tl::unexpected<Error> error(const char* what) {
    const int code = sqlite3_errcode(db_);
    const ErrorCode mapped = code == SQLITE_FULL                               ? ErrorCode::no_space
                             : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ErrorCode::corrupt
                                                                               : ErrorCode::failed;
    return fail(mapped, "state database " + path_ + ": cannot " + what + ": " + sqlite3_errmsg(db_),
                mapped == ErrorCode::no_space ? "free space on its file system" : "");
  }
  sqlite3* db_;
  std::string path_;
};

}  // namespace

Result<std::unique_ptr<core::StateDb>> open_state_db(const std::string& path) {
  sqlite3* raw = nullptr;
  const mode_t before = umask(0077);
  const int code = sqlite3_open_v2(
      path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  umask(before);
  auto db = std::make_unique<SqliteStateDb>(raw, path);
  if (code != SQLITE_OK)
    return fail(ErrorCode::failed, "state database " + path + ": cannot open: " + sqlite3_errstr(code),
                "check the folder and its rights");
  US_CHECK(db->prepare());
  return db;
}

}  // namespace understudy::statedb
