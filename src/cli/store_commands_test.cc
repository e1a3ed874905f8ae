// A replica in a folder, looked at without its daemon: what `store check` says of damage.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "cli/commands_test.h"
#include "files/posix_files.h"
#include "store/replica_life_test_support.h"

namespace understudy::cli {
namespace {

using store::succeeded;
using testing::HasSubstr;

class StoreCommands : public Commands {
 protected:
  void SetUp() override {
    files::PosixFiles files;
    auto made = store::ReplicaStore::create(files, folder_, store::test_identity());
    ASSERT_OK(made);
    std::mt19937_64 random(1);
    store::DiskSet disks = store::empty_disks();
    store::change_disks(random, disks);
    ASSERT_OK(store::send(**made, store::delta_key(1, 0), store::whole_disks(disks)));
    ASSERT_OK((*made)->finish(store::point_request(1, 0), {}));
  }
  void lose_checksums() {
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder_))
      if (file.path().extension() == ".sums") std::filesystem::resize_file(file.path(), 0);
  }

  store::TempDirectory dir_;
  const std::string folder_ = dir_ / store::kVm.lower();
};

TEST_F(StoreCommands, CheckPrintsOneDocumentThatHasTheErrorToo) {
  EXPECT_EQ(understudy({"store", "check", folder_, "--json"}), 0) << err_.str();
  const auto good = JsonObject::parse(out_.str());
  ASSERT_TRUE(good);
  EXPECT_EQ(out_.str().find("error"), std::string::npos);

  lose_checksums();
  EXPECT_EQ(understudy({"store", "check", folder_, "--json"}), 1);
  EXPECT_EQ(std::ranges::count(out_.str(), '\n'), 1);
  const auto bad = JsonObject::parse(out_.str());
  ASSERT_TRUE(bad) << out_.str();
  EXPECT_EQ(bad->objects("replicas")->size(), 1U);
  EXPECT_THAT(out_.str(), HasSubstr(R"("error":{"code":"corrupt")"));
  EXPECT_THAT(err_.str(), HasSubstr("understudy: 1 of 1 recovery points cannot be checked"));
}

TEST_F(StoreCommands, AnErrorBeforeAnyResultIsTheDocument) {
  EXPECT_EQ(understudy({"store", "check", dir_ / "nothing", "--json"}), 4);
  EXPECT_EQ(std::ranges::count(out_.str(), '\n'), 1);
  EXPECT_TRUE(JsonObject::parse(out_.str()));
  EXPECT_THAT(out_.str(), HasSubstr(R"({"error":{"code":"not_found")"));
}

}  // namespace
}  // namespace understudy::cli
