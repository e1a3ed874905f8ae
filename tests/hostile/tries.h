// What a process that runs any code can try. An order is a verb and its words; the outcome is "yes", or "no"
// with errno's name.
#pragma once

#include <sstream>
#include <string>

namespace understudy::hostile {

std::string judged(bool worked);
std::string try_to(const std::string& verb, std::istringstream& words);

}  // namespace understudy::hostile
