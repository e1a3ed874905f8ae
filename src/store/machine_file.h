// The file machine-GENERATION-SEQUENCE: a VM as of a point (docs/spec/store.md, "Machine"). Any thread.
#pragma once

#include <string>
#include <string_view>

#include "store/replica_store.h"

namespace understudy::store {

// invalid_parameter when it is larger than what is kept.
Status check_machine(const Machine& machine);
std::string encode_machine(const Machine& machine);
Result<Machine> decode_machine(std::string_view text);

// not_found or corrupt when it is not there as it was written.
Result<Machine> read_machine(Files& files, const std::string& path);

}  // namespace understudy::store
