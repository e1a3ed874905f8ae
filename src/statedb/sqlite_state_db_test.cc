#include "statedb/sqlite_state_db.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

namespace understudy::statedb {
namespace {

struct TempFolder {
  std::filesystem::path path;
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "us-statedb-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path); }
};

TEST(StateDb, KeepsWhatWasPutOverAReopen) {
  TempFolder folder;
  const std::string file = folder.path / "state.db";
  {
    auto db = open_state_db(file);
    ASSERT_TRUE(db) << db.error().text();
    ASSERT_TRUE((*db)->put("engine", "b", "old"));
    ASSERT_TRUE((*db)->put("engine", "b", "two"));
    ASSERT_TRUE((*db)->put("engine", "a", std::string("with 'quotes' and \0 zero", 24)));
    ASSERT_TRUE((*db)->put("service", "settings", "{}"));
    ASSERT_TRUE((*db)->put("engine", "c", "gone"));
    ASSERT_TRUE((*db)->remove("engine", "c"));
  }
  EXPECT_EQ(std::filesystem::status(file).permissions() & std::filesystem::perms::others_all,
            std::filesystem::perms::none);
  auto db = open_state_db(file);
  const auto rows = (*db)->load("engine");
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].second.size(), 24u);
  EXPECT_EQ((*rows)[1], std::make_pair(std::string("b"), std::string("two")));
}

TEST(StateDb, RefusesANewerVersionAndGarbage) {
  TempFolder folder;
  const std::string file = folder.path / "state.db";
  ASSERT_TRUE(open_state_db(file));
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &raw), SQLITE_OK);
  sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr);
  sqlite3_close(raw);
  const auto newer = open_state_db(file);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), ErrorCode::corrupt);
  const std::string garbage = folder.path / "garbage.db";
  std::ofstream(garbage) << std::string(8192, 'x');
  EXPECT_FALSE(open_state_db(garbage));
}

}  // namespace
}  // namespace understudy::statedb
