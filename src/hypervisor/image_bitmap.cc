#include "hypervisor/image_bitmap.h"

#include "base/child.h"

namespace understudy::hypervisor {
namespace {
constexpr Duration kMost = Duration::seconds(30);
constexpr size_t kMostSaid = 4096;
}  // namespace

Status remove_bitmap(const std::string& image, const std::string& name) {
  std::string said;  // the beginning of it
  US_TRY(const std::optional<int> status,
         run_program(
             {{"qemu-img", "bitmap", "--remove", "-f", "qcow2", image, name}}, Said::errors,
             [&](std::string_view more) { said += more.substr(0, kMostSaid - said.size()); }, kMost));
  if (ended_well(status)) return {};
  if (said.find("itmap '" + name + "' not found") != std::string::npos) return {};
  if (!status) said = "qemu-img did not end in " + std::to_string(kMost.whole_seconds()) + " s";
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return fail(ErrorCode::in_use, "bitmap " + name + " of " + image + " cannot be removed: " + said,
              "is the VM being started? qemu-img info " + image);
}

}  // namespace understudy::hypervisor
