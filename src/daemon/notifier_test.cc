#include "daemon/notifier.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace understudy::daemon {
namespace {

using enum ReplicationHealth;

// A program that writes what it was given into a pipe that the test reads: nobody waits for a while.
class Notifications : public testing::Test {
 protected:
  Notifications() {
    std::string name = testing::TempDir() + "/notify-XXXXXX";
    folder_ = mkdtemp(name.data());
    pipe_ = folder_ + "/told";
    EXPECT_EQ(mkfifo(pipe_.c_str(), 0600), 0);
    read_ = open(pipe_.c_str(), O_RDWR | O_CLOEXEC);
    state_.vm = *Uuid::parse("11111111-2222-4333-8444-555555555555");
    state_.name = "db $(touch x)";
    state_.phase = core::Phase::idle;
  }
  ~Notifications() override {
    close(read_);
    std::filesystem::remove_all(folder_);
  }
  std::string script(const std::string& body) {
    std::ofstream(folder_ + "/script") << "#!/bin/sh\n" << body;
    chmod((folder_ + "/script").c_str(), 0755);
    return folder_ + "/script";
  }
  std::string told(int seconds = 30) {
    pollfd ready{read_, POLLIN, 0};
    if (poll(&ready, 1, seconds * 1000) <= 0) return "nothing";
    char buffer[4096];
    const ssize_t n = read(read_, buffer, sizeof buffer);
    return {buffer, static_cast<size_t>(std::max<ssize_t>(n, 0))};
  }
  static core::Health health(ReplicationHealth level, int64_t since = 1) {
    return {level, level == ok ? "" : "line\none", "do it", Wall{since * 1'000'000}};
  }
  std::string folder_, pipe_;
  int read_ = -1;
  core::State state_;
};

TEST_F(Notifications, TellEachChangeOnce) {
  Notifier notifier(script("echo \"$1|$2|$UNDERSTUDY_HEALTH_BEFORE|$UNDERSTUDY_CAUSE|$UNDERSTUDY_NEXT|"
                           "$UNDERSTUDY_ROLE|$UNDERSTUDY_VM_ID|$UNDERSTUDY_SINCE|$HOME\" >" +
                           pipe_ + "\n"),
                    Duration::seconds(30), "hosta");
  notifier.observe(state_, health(ok));  // where it begins
  notifier.observe(state_, health(warning));
  notifier.observe(state_, health(warning));
  EXPECT_EQ(told(),
            "db $(touch x)|warning|ok|line one|do it|primary|11111111-2222-4333-8444-555555555555|"
            "1970-01-01T00:00:01.000000Z|\n");
  notifier.observe(state_, health(warning, 2));  // another cause
  EXPECT_NE(told().find("|warning|warning|"), std::string::npos);
  notifier.observe(state_, health(critical, 2));
  EXPECT_NE(told().find("|critical|warning|"), std::string::npos);
  notifier.observe(state_, health(ok, 9));
  EXPECT_NE(told().find("|ok|critical|"), std::string::npos);
  notifier.observe(state_, health(ok, 10));
  core::State other = state_;
  other.vm = *Uuid::parse("22222222-2222-4333-8444-555555555555");
  notifier.observe(other, health(critical));  // bad from the start
  EXPECT_NE(told().find("|critical|none|"), std::string::npos) << "and nothing came of what stayed ok";
}

TEST_F(Notifications, EndWhatTakesTooLong) {
  Notifier notifier(script("echo begun >" + pipe_ + "\nexec sleep 600\n"), Duration::millis(200), "hosta");
  notifier.observe(state_, health(warning));
  EXPECT_EQ(told(), "begun\n");
  notifier.observe(state_, health(critical));
  EXPECT_EQ(told(), "begun\n");  // the first one was ended
}

TEST_F(Notifications, NeedNoProgram) {
  Notifier none("", Duration::seconds(1), "hosta");
  none.observe(state_, health(critical));
  Notifier gone(folder_ + "/nothing", Duration::seconds(1), "hosta");
  gone.observe(state_, health(critical));
  gone.stop();
}

}  // namespace
}  // namespace understudy::daemon
