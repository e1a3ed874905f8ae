// Where the command reads and writes. Lives as long as the program; one thread.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace understudy::cli {

struct Console {
  std::ostream& out;         // results
  std::ostream& err;         // progress, questions, errors
  bool interactive = false;  // a person sits at both ends: questions may be asked
  bool draws = false;        // err is a terminal: progress may be drawn in place
  // A line of the terminal. ErrorCode::invalid_parameter when there is nobody to ask.
  std::function<Result<std::string>(const std::string& prompt)> ask;
  // The same without echo; a line of standard input where that is no terminal.
  std::function<Result<std::string>(const std::string& prompt)> ask_password;
  bool redraws = false;  // out is a terminal: a view may be drawn over and over
};

// The real one.
Console system_console();

// A bounded wait that a person can end. From the first wait on, Ctrl-C ends waits instead of the program.
class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual Monotonic now() = 0;
  // ErrorCode::cancelled when interrupted.
  virtual Status wait(Duration time) = 0;
};

class SignalWaiter final : public Waiter {
 public:
  ~SignalWaiter() override;
  Monotonic now() override;
  Status wait(Duration time) override;

 private:
  int fd_ = -1;  // signalfd of SIGINT and SIGTERM
};

}  // namespace understudy::cli
