#include "base/base64.h"

#include <gtest/gtest.h>

namespace understudy {
namespace {

TEST(Base64, IsThatOfTheRfc) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {std::string_view("\x00\xff\xfe\xfb", 4), "AP/++w=="},
  };
  for (const auto& [bytes, text] : rows) {
    EXPECT_EQ(to_base64(as_bytes(bytes)), text);
    EXPECT_EQ(base64_size(bytes.size()), text.size());
    const auto back = from_base64(text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(as_text(*back), bytes);
  }
}

TEST(Base64, RefusesEverythingElse) {
  for (const std::string_view text :
       {"Zg", "Zg=", "Z===", "====", "=", "Zh==", "Zm9=", "Zm9vYg==Zg==", "Zg==Zm9v", "Zm 9", "Zm9v\n",
        "Zm9-", "Zm9_", "Z=9v", "Zg=v", "Zm9v===="})
    EXPECT_FALSE(from_base64(text)) << text;
  for (int c = 0; c < 256; ++c) {
    const std::string text = {'Z', 'm', '9', static_cast<char>(c)};
    const auto read = from_base64(text);
    if (!read) continue;
    EXPECT_EQ(to_base64(*read), text);
  }
}

}  // namespace
}  // namespace understudy
