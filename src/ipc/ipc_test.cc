#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>

#include "base/pack.h"
#include "cim/embedded.h"
#include "ipc/confine.h"
#include "ipc/sessions.h"
#include "ipc/tree_text.h"
#include "wsman/xml.h"

namespace understudy::ipc {
namespace {

using testing::HasSubstr;

constexpr Duration kLong = Duration::seconds(20);

const cim::XmlParser kParse = [](std::string_view text) { return wsman::parse_xml(text); };

// Remembers what came, and answers with what the test has laid out.
class Recorder final : public cim::Dispatcher {
 public:
  cim::Outcome<cim::Response> handle(const cim::Caller& caller, const cim::Request& request) override {
    const std::lock_guard lock(mutex_);
    callers_.push_back(caller);
    requests_.push_back(request);
    return answer_;
  }
  void answer_with(cim::Outcome<cim::Response> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  std::vector<cim::Caller> callers() {
    const std::lock_guard lock(mutex_);
    return callers_;
  }
  std::vector<cim::Request> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::vector<cim::Caller> callers_;
  std::vector<cim::Request> requests_;
  cim::Outcome<cim::Response> answer_ = cim::Response{};
};

// Takes the token for the principal.
class Believer final : public authz::TicketJudge {
 public:
  Result<authz::Ticket> judge(const std::string& token) override { return authz::Ticket{token, "proof"}; }
};

class TwoProcesses : public testing::Test {
 protected:
  explicit TwoProcesses(Clients clients = Clients::remote, size_t most = 8) {
    server_.emplace(local_, clients, most);
    auto ends = net::socket_pair(SOCK_SEQPACKET);
    front_.emplace(std::move(ends->ours));
    daemon_.emplace(std::move(ends->theirs));
    sessions_.emplace(*front_, kParse);
  }
  std::unique_ptr<session::Session> open() {
    auto session = sessions_->open();
    EXPECT_TRUE(session);
    auto message = daemon_->receive(kLong, {});
    EXPECT_EQ(message->notice, Notice::lane);
    server_->take(std::move(message->descriptors.at(0)));
    return std::move(*session);
  }
  static authz::Evidence card(const std::string& name) {
    authz::Evidence evidence;
    evidence.from = "192.0.2.7:99";
    evidence.certificate = authz::CertificateSeen{"FF", name};
    return evidence;
  }

  Recorder recorder_;
  Believer believer_;
  authz::Gate gate_{nullptr,
                    *authz::CertificateMap::parse("cn:ops ops operator\ncn:eve eve reader", "map"),
                    nullptr,
                    {&believer_, *authz::KerberosMap::parse("ada@R ada operator", "map")}};
  session::LocalSessions local_{gate_, recorder_};
  std::optional<SessionServer> server_;
  std::optional<Control> front_, daemon_;
  std::optional<RemoteSessions> sessions_;
};

TEST_F(TwoProcesses, ARequestArrivesInTheNameOfWhoLoggedInAndTheAnswerComesBack) {
  const auto session = open();
  EXPECT_EQ(session->log_in(card("ops")),
            authz::Identity("ops", authz::Role::operator_, "certificate", "192.0.2.7:99"));
  cim::Instance instance("Msvm_ComputerSystem");
  instance.set("Name", "a\0b").set("Numbers", std::vector<cim::Value::Scalar>{uint64_t{1}, uint64_t{2}});
  instance.set("Inner", std::make_shared<const cim::Instance>("Msvm_Error"))
      .set("When", cim::DateTime{true, -3});
  cim::Response response;
  response.items.push_back({{"Msvm_ComputerSystem", {{"Name", "a"}}}, instance, {"Name"}});
  response.invoked = cim::InvokeResult{4096, instance, Error(ErrorCode::in_use, "x", "y")};
  recorder_.answer_with(response);

  cim::EnumerateRequest request{"*", {}};
  request.filter.kind = cim::Filter::Kind::wql;
  request.filter.query = cim::wql::parse("SELECT a, b FROM C WHERE (a = 5 OR NOT b LIKE 'x%') AND c IS NULL");
  const auto answer = session->handle(request);
  ASSERT_TRUE(answer);
  EXPECT_EQ(pack(*answer), pack(response));
  ASSERT_EQ(recorder_.requests().size(), 1U);
  EXPECT_EQ(pack(recorder_.requests()[0]), pack(cim::Request(request)));
  EXPECT_EQ(recorder_.callers()[0].name, "ops");
  EXPECT_EQ(recorder_.callers()[0].role, "operator");
  EXPECT_EQ(recorder_.callers()[0].from, "192.0.2.7:99");

  recorder_.answer_with(tl::unexpected(cim::Fault{Error(ErrorCode::not_found, "no"), "a:X", "Y"}));
  const auto fault = session->handle(cim::GetRequest{{"C", {{"k", "v"}}}});
  ASSERT_FALSE(fault);
  EXPECT_EQ(fault.error().subcode, "a:X");
}

TEST_F(TwoProcesses, NobodyIsLetInWithoutAProofAndARefusalEndsTheProofBefore) {
  const auto session = open();
  EXPECT_EQ(session->handle(cim::GetRequest{}).error().subcode, "w:AccessDenied");
  EXPECT_TRUE(session->log_in(card("ops")));
  EXPECT_TRUE(session->handle(cim::GetRequest{}));
  EXPECT_EQ(session->log_in(card("stranger")).error().code(), ErrorCode::unauthenticated);
  EXPECT_EQ(session->handle(cim::GetRequest{}).error().subcode, "w:AccessDenied");
  EXPECT_TRUE(session->log_in(card("eve")));
  EXPECT_TRUE(session->handle(cim::GetRequest{}));
  EXPECT_EQ(recorder_.callers().back().role, "reader");
  EXPECT_EQ(recorder_.requests().size(), 2U);
}

TEST_F(TwoProcesses, ATokenIsGoodForOneRequest) {
  const auto session = open();
  authz::Evidence evidence;
  evidence.from = "192.0.2.7:99";
  for (int n = 0; n < 2; ++n) {
    evidence.token = "ada@R";
    EXPECT_EQ(session->log_in(evidence),
              authz::Identity("ada", authz::Role::operator_, "kerberos", "192.0.2.7:99", "proof"));
    EXPECT_TRUE(session->handle(cim::GetRequest{}));
    EXPECT_EQ(session->handle(cim::GetRequest{}).error().subcode, "w:AccessDenied");
  }
  evidence.token = "eve@R";
  EXPECT_EQ(session->log_in(evidence).error().code(), ErrorCode::unauthenticated);
  EXPECT_EQ(recorder_.requests().size(), 2U);
}

TEST_F(TwoProcesses, TheFrontOfTheNetworkCannotClaimTheLocalSocket) {
  const auto session = open();
  authz::Evidence root = card("ops");
  root.unix_uid = 0;
  EXPECT_EQ(session->log_in(root).error().code(), ErrorCode::not_available);
  EXPECT_EQ(session->handle(cim::GetRequest{}).error().error.code(), ErrorCode::not_available);
  EXPECT_TRUE(recorder_.requests().empty());
}

class LocalFront : public TwoProcesses {
 protected:
  LocalFront() : TwoProcesses(Clients::local) {}
};
TEST_F(LocalFront, HasTheKernelsWordAndNoOther) {
  authz::Evidence root;
  root.from = "unix";
  root.unix_uid = 0;
  EXPECT_EQ(open()->log_in(root)->roles, authz::Role::administrator);
  EXPECT_EQ(open()->log_in(card("ops")).error().code(), ErrorCode::not_available);
}

TEST_F(TwoProcesses, NonsenseEndsTheSessionAndNothingElse) {
  auto good = open();
  EXPECT_TRUE(good->log_in(card("ops")));
  for (const std::string& nonsense :
       {std::string(64, '\xff'), std::string("\x01\x03\0\0\x02\0\0\0\x09\x09", 10),
        std::string("\x01\x02\0\0\0\0\0\0", 8), std::string("\x01\x03\0\0\xff\xff\xff\xff", 8)}) {
    auto lane = Lanes(*front_).open();
    server_->take(std::move(daemon_->receive(kLong, {})->descriptors.at(0)));
    net::PlainStream stream({std::move(*lane), "test"}, {});
    EXPECT_TRUE(stream.write_all(as_bytes(nonsense), kLong));
    std::byte byte;
    const auto end = stream.read({&byte, 1}, kLong);
    EXPECT_TRUE(!end || *end == 0);
  }
  EXPECT_TRUE(good->handle(cim::GetRequest{}));
}

class SmallHouse : public TwoProcesses {
 protected:
  SmallHouse() : TwoProcesses(Clients::remote, 2) {}
};
TEST_F(SmallHouse, TakesNoMoreSessionsThanItHolds) {
  const auto one = open();
  EXPECT_TRUE(one->log_in(card("ops")));
  const auto two = open();
  EXPECT_TRUE(two->log_in(card("ops")));
  EXPECT_EQ(open()->log_in(card("ops")).error().code(), ErrorCode::not_available);
}

TEST_F(TwoProcesses, EmbeddedInstancesArriveWithoutXml) {
  cim::Instance disk("Msvm_StorageAllocationSettingData"), settings("Msvm_ReplicationSettingData");
  disk.set("InstanceID", "d<&>");
  settings.set("IncludedDisks",
               std::vector<cim::Value::Scalar>{cim::format_embedded(disk), std::string("plain")});
  const std::string text = cim::format_embedded(settings);
  cim::InvokeRequest call{{"C", {}}, "M", cim::Instance("METHOD_INPUT")};
  call.parameters.set("Settings", text).set("Name", "a < b").set("Bad", "<a><b></a>");
  call.parameters.set("List", std::vector<cim::Value::Scalar>{text, std::string("x")});
  const auto session = open();
  EXPECT_TRUE(session->log_in(card("ops")));
  EXPECT_TRUE(session->handle(call));

  const auto request = recorder_.requests().at(0);
  const cim::Instance& came = std::get<cim::InvokeRequest>(request).parameters;
  EXPECT_EQ(came.get("Name").text(), "a < b");
  const std::string tree = *came.get("Settings").text();
  EXPECT_EQ(std::get<std::string>(came.get("List").array()->at(0)), tree);
  const auto read = cim::parse_embedded(read_tree_text, tree, "Msvm_ReplicationSettingData");
  ASSERT_TRUE(read) << read.error().text();
  const auto& disks = *read->get("IncludedDisks").array();
  EXPECT_EQ(std::get<std::string>(disks[1]), "plain");
  const auto inner = cim::parse_embedded(read_tree_text, std::get<std::string>(disks[0]),
                                         "Msvm_StorageAllocationSettingData");
  ASSERT_TRUE(inner) << inner.error().text();
  EXPECT_EQ(inner->get("InstanceID").text(), "d<&>");
  EXPECT_EQ(read_tree_text(*came.get("Bad").text()).error(), kParse("<a><b></a>").error());
  for (const std::string& other : {std::string("<a/>"), std::string("\x01junk"), std::string()})
    EXPECT_EQ(read_tree_text(other).error().code(), ErrorCode::invalid_parameter);
}

// In a process of its own: there is no way back. What it tries, by a letter each; those that worked come
// back.
std::string tried_in_confinement(size_t most_file) {
  int report[2];
  EXPECT_EQ(pipe(report), 0);
  const std::string parent = std::to_string(getpid());
  const net::Fd listener = *net::listen_tcp("127.0.0.1", 0);
  const uint16_t port = *net::bound_port(listener);
  const std::string root = testing::TempDir() + "understudy-empty-" + parent;
  EXPECT_EQ(mkdir(root.c_str(), 0755), 0);
  const std::string own = root + "/own";
  EXPECT_EQ(fchown(net::Fd(open(own.c_str(), O_CREAT | O_WRONLY, 0600)).get(), 65534, 65534), 0);
  const pid_t child = fork();
  if (child == 0) {
    std::string worked;
    const auto attempt = [&worked](char letter, bool success) {
      if (success) worked += letter;
    };
    const int folder = most_file == 0 ? open("/etc", O_RDONLY | O_DIRECTORY) : -1;
    signal(SIGXFSZ, SIG_IGN);
    if (!confine({65534, 65534, root, 64, RLIM_INFINITY, most_file}))
      _exit(1);  // a sanitizer needs much address space
    attempt('e', open("/etc/passwd", O_RDONLY) >= 0);
    attempt('E', openat(folder, "passwd", O_RDONLY) >= 0);
    attempt('w', open("/new", O_WRONLY | O_CREAT, 0600) >= 0);
    attempt('p', open("/proc/self/status", O_RDONLY) >= 0);
    attempt('x', execl("/bin/true", "true", nullptr) == 0);
    attempt('k', kill(getppid(), 0) == 0);
    attempt('t', ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0);
    attempt('u', unshare(CLONE_NEWUSER) == 0);
    attempt('r', setuid(0) == 0);
    attempt('c', chroot("/") == 0);
    const int caller = socket(AF_INET, SOCK_STREAM, 0);
    attempt('s', caller >= 0);
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(port);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    attempt('n', connect(caller, reinterpret_cast<sockaddr*>(&there), sizeof there) == 0);
    const int file = open("/own", O_RDWR);
    attempt('o', file >= 0 && write(file, "xy", 2) == 2 && lseek(file, 0, SEEK_SET) == 0);
    attempt('b', file >= 0 && lseek(file, 4096, SEEK_SET) == 4096 && write(file, "x", 1) == 1);
    attempt('+', getuid() == 65534 && geteuid() == 65534 && getgid() == 65534);
    attempt('m', malloc(1 << 20) != nullptr);
    (void)!write(report[1], worked.data(), worked.size());
    _exit(0);
  }
  close(report[1]);
  std::string worked(64, 0);
  const ssize_t n = read(report[0], worked.data(), worked.size());
  close(report[0]);
  int status = 0;
  waitpid(child, &status, 0);
  unlink(own.c_str());
  rmdir(root.c_str());
  EXPECT_EQ(status, 0);
  return worked.substr(0, static_cast<size_t>(std::max<ssize_t>(n, 0)));
}

TEST(Confinement, LeavesMemoryAndWhatIsOpenAndNothingElse) {
  if (getuid() != 0) GTEST_SKIP() << "wants root, as the daemon that starts it";
  EXPECT_EQ(tried_in_confinement(0), "+m");
}

TEST(Confinement, LeavesAFileOfItsOwnWhereThatIsWanted) {
  if (getuid() != 0) GTEST_SKIP() << "wants root, as the daemon that starts it";
  EXPECT_EQ(tried_in_confinement(4096), "o+m");
}

TEST(Confinement, TravelsAsWords) {
  EXPECT_FALSE(confinement_of(0, nullptr));
  const Confinement wanted{5, 6, "/run/empty"};
  std::vector<std::string> words = words_of(wanted);
  std::vector<char*> given{nullptr};
  for (std::string& word : words) given.push_back(word.data());
  const auto read = confinement_of(static_cast<int>(given.size()), given.data());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->user, 5U);
  EXPECT_EQ(read->group, 6U);
  EXPECT_EQ(read->root, "/run/empty");
}

TEST(Control, CarriesDescriptorsAndEndsWithTheOtherSide) {
  auto ends = net::socket_pair(SOCK_SEQPACKET);
  Control ours(std::move(ends->ours));
  std::optional<Control> theirs(std::move(ends->theirs));
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const net::Fd in(pipe_ends[0]);
  ASSERT_TRUE(theirs->send(Notice::lane, as_bytes("x"), {pipe_ends[1]}));
  close(pipe_ends[1]);
  {
    const auto message = ours.receive(kLong, {});
    ASSERT_TRUE(message);
    EXPECT_EQ(as_text(message->payload), "x");
    ASSERT_EQ(message->descriptors.size(), 1U);
    EXPECT_EQ(write(message->descriptors[0].get(), "y", 1), 1);
  }
  char byte = 0;
  EXPECT_EQ(read(in.get(), &byte, 1), 1);
  EXPECT_EQ(read(in.get(), &byte, 1), 0);  // the copy is closed with the message
  EXPECT_EQ(ours.receive(Duration::millis(1), {}).error().code(), ErrorCode::timeout);
  EXPECT_EQ(theirs->send(Notice::lane, Bytes(kMostControl)).error().code(), ErrorCode::too_large);
  theirs.reset();
  EXPECT_EQ(ours.receive(kLong, {}).error().code(), ErrorCode::not_available);
}

}  // namespace
}  // namespace understudy::ipc
