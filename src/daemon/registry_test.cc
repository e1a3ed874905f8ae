#include "daemon/registry.h"

#include <gtest/gtest.h>

#include <map>

namespace understudy::daemon {
namespace {

struct MapDb : core::StateDb {
  std::map<std::string, std::map<std::string, std::string>> rows;
  Status put(const std::string& kind, const std::string& key, const std::string& text) override {
    rows[kind][key] = text;
    return {};
  }
  Status remove(const std::string& kind, const std::string& key) override {
    rows[kind].erase(key);
    return {};
  }
  Result<std::vector<std::pair<std::string, std::string>>> load(const std::string& kind) override {
    return std::vector<std::pair<std::string, std::string>>(rows[kind].begin(), rows[kind].end());
  }
};

TEST(Registry, TheNarrowestEntryAdmits) {
  MapDb db;
  Registry registry(db);
  EXPECT_EQ(registry.entry_for({"a.dom.example"}).error().code(), ErrorCode::access_denied);
  ASSERT_TRUE(registry.add_entry({"*", "/any", ""}));
  ASSERT_TRUE(registry.add_entry({"*.dom.example", "/domain", ""}));
  ASSERT_TRUE(registry.add_entry({"A.dom.example", "/a", ""}));
  EXPECT_EQ(registry.entry_for({"a.dom.example"})->replica_storage_location, "/a");
  EXPECT_EQ(registry.entry_for({"b.dom.example"})->replica_storage_location, "/domain");
  EXPECT_EQ(registry.entry_for({"c.b.dom.example"})->replica_storage_location, "/any");
  EXPECT_EQ(registry.entry_for({"dom.example"})->replica_storage_location, "/any");
  EXPECT_EQ(registry.add_entry({"a.DOM.example", "/b", ""}).error().code(), ErrorCode::invalid_parameter);
}

TEST(Registry, AGroupIsThatOfTheEntriesThatAdmit) {
  MapDb db;
  Registry registry(db);
  EXPECT_FALSE(registry.same_group({"a.dom.example"}, {"a.dom.example"})) << "nothing admits it";
  ASSERT_TRUE(registry.add_entry({"a.dom.example", "/s", "site"}));
  ASSERT_TRUE(registry.add_entry({"*.dom.example", "/s", "site"}));
  ASSERT_TRUE(registry.add_entry({"b.dom.example", "/s", "other"}));
  ASSERT_TRUE(registry.add_entry({"c.dom.example", "/s", ""}));
  ASSERT_TRUE(registry.add_entry({"d.dom.example", "/s", ""}));
  ASSERT_TRUE(registry.add_entry({"e.dom.example", "/s", "Site"}));
  EXPECT_TRUE(registry.same_group({"a.dom.example"}, {"z.dom.example"}));
  EXPECT_TRUE(registry.same_group({"nobody", "z.dom.example"}, {"a.dom.example"}));
  EXPECT_FALSE(registry.same_group({"a.dom.example"}, {"b.dom.example"}));
  EXPECT_FALSE(registry.same_group({"c.dom.example"}, {"d.dom.example"})) << "no tag is no group";
  EXPECT_FALSE(registry.same_group({"a.dom.example"}, {"e.dom.example"}));
  EXPECT_FALSE(registry.same_group({"a.dom.example"}, {"a.elsewhere"}));
}

TEST(Registry, EntriesAreChangedAndRemovedForGood) {
  MapDb db;
  Registry registry(db);
  ASSERT_TRUE(registry.add_entry({"Host-A", "/a", ""}));
  ASSERT_TRUE(registry.add_entry({"*", "/any", ""}));
  EXPECT_EQ(registry.modify_entry({"host-b", "/b", ""}).error().code(), ErrorCode::invalid_parameter);
  EXPECT_EQ(registry.remove_entry("host-b").error().code(), ErrorCode::invalid_parameter);

  ASSERT_TRUE(registry.modify_entry({"host-a", "/moved", "tag"}));
  EXPECT_EQ(registry.entry_for({"host-a"}), (AuthorizationEntry{"Host-A", "/moved", "tag"}));
  Registry changed(db);
  ASSERT_TRUE(changed.load());
  EXPECT_EQ(changed.entry_for({"host-a"}), registry.entry_for({"host-a"}));

  ASSERT_TRUE(registry.remove_entry("HOST-A"));
  EXPECT_EQ(registry.entry_for({"host-a"})->replica_storage_location, "/any");
  ASSERT_TRUE(registry.remove_entry("*"));
  EXPECT_EQ(registry.entry_for({"host-a"}).error().code(), ErrorCode::access_denied);
  Registry without(db);
  ASSERT_TRUE(without.load());
  EXPECT_TRUE(without.entries().empty());
}

TEST(Registry, IsTheSameAfterALoad) {
  MapDb db;
  Registry registry(db);
  ServiceSettings settings;
  settings.recovery_server_enabled = true;
  settings.https_port = 8443;
  ASSERT_TRUE(registry.store_settings(settings));
  ASSERT_TRUE(registry.add_entry({"host-a", "/srv", "tag"}));
  Registry again(db);
  ASSERT_TRUE(again.load());
  EXPECT_EQ(again.settings(), settings);
  EXPECT_EQ(again.entries(), registry.entries());
}

}  // namespace
}  // namespace understudy::daemon
