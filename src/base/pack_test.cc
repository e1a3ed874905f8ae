#include "base/pack.h"

#include <gtest/gtest.h>

namespace understudy {
namespace {

enum class Colour : uint8_t { red, green };
struct Leaf {
  Colour colour = Colour::red;
  std::optional<uint16_t> size;
  bool operator==(const Leaf&) const = default;
};
template <class F>
void fields(F& f, Leaf& leaf) {
  f.choice(leaf.colour, Colour::green);
  f(leaf.size);
}
struct Tree {
  std::string name;
  std::vector<Tree> children;
  std::map<std::string, Leaf> leaves;
  std::variant<std::monostate, int64_t, double, Bytes> extra;
  Result<bool> outcome{true};
};
template <class F>
void fields(F& f, Tree& tree) {
  f(tree.name, tree.children, tree.leaves, tree.extra, tree.outcome);
}

Tree sample() {
  Tree tree;
  tree.name = std::string("r\0\xff", 3);
  tree.children.resize(2);
  tree.children[1].leaves = {{"a", {Colour::green, 7}}, {"b", {}}};
  tree.children[1].extra = int64_t{-5};
  tree.children[0].outcome = fail(ErrorCode::too_large, "so much", "take less");
  tree.extra = Bytes{std::byte{1}, std::byte{2}};
  return tree;
}

TEST(Pack, WhatGoesInComesOut) {
  const Bytes bytes = pack(sample());
  const auto back = unpack<Tree>(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->name, sample().name);
  EXPECT_EQ(back->children.at(1).leaves, sample().children[1].leaves);
  EXPECT_EQ(std::get<int64_t>(back->children[1].extra), -5);
  EXPECT_EQ(back->children[0].outcome.error(), Error(ErrorCode::too_large, "so much", "take less"));
  EXPECT_EQ(pack(*back), bytes);
}

TEST(Pack, EveryCutAndEveryByteMoreIsRefused) {
  Bytes bytes = pack(sample());
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(unpack<Tree>(ByteView(bytes).first(n))) << n;
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(unpack<Tree>(bytes));
}

TEST(Pack, NoFlippedBitMakesASecondFormOfAValue) {
  const Bytes good = pack(sample());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bytes = good;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto read = unpack<Tree>(bytes);
    EXPECT_TRUE(!read || pack(*read) == bytes) << bit;
  }
}

TEST(Pack, ACountIsNotBelievedBeforeItsBytesAreThere) {
  EXPECT_FALSE(unpack<std::vector<uint64_t>>(as_bytes("\xff\xff\xff\x7f........")));
  EXPECT_FALSE(unpack<std::string>(as_bytes("\xff\xff\xff\xff........")));
}

TEST(Pack, NestingHasAnEnd) {
  Tree deep;
  for (size_t i = 1; i < kMostNested; ++i) {
    Tree outer;
    outer.children.push_back(std::move(deep));
    deep = std::move(outer);
  }
  EXPECT_TRUE(unpack<Tree>(pack(deep)));
  Tree deeper;
  deeper.children.push_back(std::move(deep));
  EXPECT_FALSE(unpack<Tree>(pack(deeper)));
}

TEST(Pack, WhatAnEnumerationOrAVariantDoesNotHaveIsRefused) {
  EXPECT_FALSE(unpack<Leaf>(as_bytes(std::string_view("\x02\x00", 2))));
  EXPECT_FALSE(unpack<Leaf>(as_bytes(std::string_view("\x01\x02", 2))));
  using Either = std::variant<bool, std::string>;
  EXPECT_FALSE(unpack<Either>(as_bytes("\x02")));
  EXPECT_FALSE(unpack<std::vector<Error>>(as_bytes(std::string_view("\1\0\0\0\xff\0\0\0\0\0\0\0\0", 13))));
}

}  // namespace
}  // namespace understudy
