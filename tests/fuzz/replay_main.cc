// Gives a fuzzer what is in its corpus, without libFuzzer, in every build: `fuzz_replay CORPUS NAME`. The
// last line before an end that was not meant names the input.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "base/log.h"
#include "fuzz/fuzz.h"

int main(int argc, char** argv) {
  using understudy::fuzz::Fuzzer;
  if (argc != 3) return 2;
  understudy::set_log(understudy::LogLevel::error, true);
  const std::filesystem::path folder = std::filesystem::path(argv[1]) / argv[2];
  const Fuzzer* fuzzer = Fuzzer::first;
  while (fuzzer != nullptr && fuzzer->name != argv[2]) fuzzer = fuzzer->next;
  std::vector<std::filesystem::path> inputs;
  if (std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) inputs.push_back(entry.path());
  std::sort(inputs.begin(), inputs.end());
  if (fuzzer == nullptr || inputs.empty()) {
    std::cerr << "no fuzzer " << argv[2] << ", or nothing in " << folder << "\n";
    return 1;
  }
  for (const auto& path : inputs) {
    std::cout << path.filename().string() << std::endl;
    std::ifstream file(path, std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    fuzzer->function(input);
  }
  std::cout << fuzzer->name << ": " << inputs.size() << " inputs" << std::endl;
}
