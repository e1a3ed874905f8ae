#include "core/slots.h"

#include <gtest/gtest.h>

namespace understudy::core {
namespace {
Uuid id(uint8_t n) {
  std::array<uint8_t, 16> bytes{};
  bytes[0] = n;
  return Uuid::from_bytes(bytes);
}

TEST(Slots, AreGrantedInOrderAndNeverTwice) {
  Slots slots(2);
  EXPECT_TRUE(slots.request(id(1)));
  EXPECT_TRUE(slots.request(id(1)));
  EXPECT_TRUE(slots.request(id(2)));
  EXPECT_FALSE(slots.request(id(3)));
  EXPECT_FALSE(slots.request(id(4)));
  EXPECT_EQ(slots.release(id(1)), id(3));
  EXPECT_EQ(slots.release(id(1)), std::nullopt);
  EXPECT_EQ(slots.release(id(4)), std::nullopt);  // gives up waiting
  EXPECT_EQ(slots.release(id(3)), std::nullopt);
}
}  // namespace
}  // namespace understudy::core
