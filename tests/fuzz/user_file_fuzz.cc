// The file of users, from which one is removed: what is not understood is left as it is; else that user is
// gone, and nothing else changes but line ends.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "authz/password_file.h"
#include "fuzz/fuzz.h"

namespace {

// Gone when the program ends.
struct Place {
  std::filesystem::path folder;
  Place() {
    std::string name = std::filesystem::temp_directory_path() / "fuzz-XXXXXX";
    US_ASSERT(mkdtemp(name.data()) != nullptr);
    folder = name;
  }
  ~Place() { std::filesystem::remove_all(folder); }
  std::string file() const { return folder / "users"; }
};

void write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}
std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

US_FUZZER(user_file, input) {
  using namespace understudy;
  static const Place place;
  write(place.file(), input);
  const Status removed = authz::remove_user(place.file(), "ada");
  const std::string now = read(place.file());
  if (!removed) {
    US_ASSERT(now == input);
    US_ASSERT(removed.error().code() != ErrorCode::not_found ||
              removed.error().message().find("ada") != std::string::npos);
    return;
  }
  US_ASSERT(now.size() <= input.size());
  const Status again = authz::remove_user(place.file(), "ada");
  US_ASSERT(!again && again.error().code() == ErrorCode::not_found);
  US_ASSERT(read(place.file()) == now);
}
