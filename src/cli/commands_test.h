// The commands against the real providers in one process, and a waiter for which time passes at once. For
// tests.
#pragma once

#include <sstream>

#include "cli/commands.h"
#include "providers/providers_test.h"

namespace understudy::cli {

// Time passes only when somebody waits; `on_wait` is what happens meanwhile.
class FakeWaiter final : public Waiter {
 public:
  Monotonic now() override { return now_; }
  Status wait(Duration time) override {
    now_ = now_ + time;
    if (++waits > 1000) return fail(ErrorCode::timeout, "waited for ever");
    return on_wait ? on_wait() : Status();
  }
  std::function<Status()> on_wait;
  int waits = 0;

 private:
  Monotonic now_{1};
};

class InProcess final : public Management {
 public:
  explicit InProcess(cim::Dispatcher& dispatcher) : dispatcher_(dispatcher) { caller_.name = "root"; }
  std::string server() const override { return "this host"; }
  Result<std::vector<cim::Instance>> enumerate(const std::string& query) override {
    cim::EnumerateRequest request;
    request.class_name = query;
    if (query.find(' ') != std::string::npos) {
      request.class_name = "*";
      request.filter.kind = cim::Filter::Kind::wql;
      request.filter.query = cim::wql::parse(query);
    }
    US_TRY(const cim::Response response, ask(request));
    std::vector<cim::Instance> instances;
    for (const cim::Item& item : response.items) instances.push_back(item.instance);
    return instances;
  }
  Result<cim::InvokeResult> invoke(const cim::ObjectPath& path, const std::string& method,
                                   const cim::Instance& parameters) override {
    US_TRY(const cim::Response response, ask(cim::InvokeRequest{path, method, parameters}));
    if (!response.invoked) return fail(ErrorCode::protocol, "no result");
    return *response.invoked;
  }

 private:
  Result<cim::Response> ask(const cim::Request& request) {
    auto outcome = dispatcher_.handle(caller_, request);
    if (!outcome) return fail(outcome.error().error);
    return *outcome;
  }
  cim::Dispatcher& dispatcher_;
  cim::Caller caller_;
};

class Commands : public providers::ProvidersTest {
 protected:
  int understudy(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    Console console{out_, err_, interactive_, false, nullptr, nullptr, redraws_};
    console.ask = console.ask_password = [this](const std::string& prompt) -> Result<std::string> {
      err_ << prompt;
      return answer_;
    };
    return run(words, console, waiter_,
               [this](const Arguments&, const Console&) -> Result<std::unique_ptr<Management>> {
                 return std::make_unique<InProcess>(manager_);
               });
  }
  Job& job(const Uuid& id) {
    for (auto& view : host_.views)
      for (Job& one : view.state.jobs)
        if (one.id == id) return one;
    ADD_FAILURE() << "no such job";
    return host_.views[1].state.jobs.front();
  }
  void end_job_after(int waits) {
    waiter_.on_wait = [this, waits]() -> Status {
      if (waiter_.waits == waits) job(providers::kJob).state = JobState::completed;
      return {};
    };
  }

  std::ostringstream out_, err_;
  bool interactive_ = false;
  bool redraws_ = false;
  std::string answer_;
  FakeWaiter waiter_;
};

}  // namespace understudy::cli
