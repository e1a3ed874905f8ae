// What a decoder starts from; specialise for a type that cannot be made from nothing.
#pragma once

#include "base/result.h"

namespace understudy {

template <class T>
struct Blank {
  static T make() { return T{}; }
};
template <>
struct Blank<Error> {
  static Error make() { return Error(ErrorCode::failed, {}); }
};

}  // namespace understudy
