#include "wsman/xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wsman/test_envelope.h"

namespace understudy::wsman {
namespace {

TEST(Xml, ReadsNamesNamespacesTextAndAttributes) {
  const auto root = parse_xml(
      R"(<?xml version="1.0"?><!-- c --><a:r xmlns:a="urn:a" xmlns="urn:d" a:x="1&amp;2" y="&#65;">t1<b/><![CDATA[<&]]>&lt;&quot;é</a:r>)");
  ASSERT_TRUE(root) << root.error().text();
  EXPECT_EQ(canonical(*root), "{urn:a}r x=1&2 y=A\n  {urn:d}b ''\n");
  EXPECT_EQ(root->text, "t1<&<\"é");
}

TEST(Xml, UnderstandsUtf16) {
  const std::string plain = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>x</a>";
  std::string wide = "\xff\xfe";
  for (const char c : plain) wide += {c, '\0'};
  EXPECT_EQ(canonical(wide), "{}a 'x'\n");
}

std::string nested(size_t depth) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += "<a>";
  for (size_t i = 0; i < depth; ++i) text += "</a>";
  return text;
}

TEST(Xml, RefusesWhatIsHostile) {
  const std::string billion = R"(<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>)";
  std::string many_attributes = "<a";
  for (size_t i = 0; i < limits::kMostXmlNodes; ++i) many_attributes += " a" + std::to_string(i) + "=''";
  many_attributes += "/>";
  std::string many_elements = "<a>";
  for (size_t i = 0; i < limits::kMostXmlNodes; ++i) many_elements += "<b/>";
  many_elements += "</a>";
  const struct {
    const char* what;
    std::string text;
    const char* says;
  } table[] = {
      {"nothing", "", "no XML"},
      {"blanks", "  \n", "not well-formed"},
      {"text", "hello", "not well-formed"},
      {"a billion laughs", billion, "DOCTYPE"},
      {"an external subset", R"(<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>)", "DOCTYPE"},
      {"an external entity", R"(<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>)",
       "DOCTYPE"},
      {"a parameter entity", R"(<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]><a/>)",
       "DOCTYPE"},
      {"an empty DOCTYPE", "<!DOCTYPE a><a/>", "DOCTYPE"},
      {"an undeclared entity", "<a>&nbsp;</a>", "not well-formed"},
      {"too deep", nested(limits::kMostXmlDepth + 1), "too deep"},
      {"far too deep", nested(30000), "too deep"},
      {"too many elements", many_elements, "too many"},
      {"too many attributes", many_attributes, "XML"},
      {"too large", "<a>" + std::string(limits::kMostEnvelope, 'x') + "</a>", "more than"},
      {"cut", "<a><b>", "not well-formed"},
      {"two roots", "<a/><b/>", "not well-formed"},
      {"crossed", "<a><b></a></b>", "not well-formed"},
      {"an attribute twice", "<a x='1' x='2'/>", "not well-formed"},
      {"a prefix without namespace", "<p:a/>", "not well-formed"},
      {"a NUL", std::string("<a>\0</a>", 8), "not well-formed"},
      {"a control character", "<a>\x01</a>", "not well-formed"},
      {"a reference to NUL", "<a>&#0;</a>", "not well-formed"},
      {"bad UTF-8", "<a>\xff\xfe</a>", "not well-formed"},
      {"a surrogate", "<a>\xed\xa0\x80</a>", "not well-formed"},
      {"an unknown encoding", "<?xml version='1.0' encoding='x-none'?><a/>", "not well-formed"},
      {"a bare ampersand", "<a>a & b</a>", "not well-formed"},
  };
  for (const auto& row : table) {
    const auto tree = parse_xml(row.text);
    ASSERT_FALSE(tree) << row.what;
    EXPECT_THAT(tree.error().message(), testing::HasSubstr(row.says)) << row.what;
  }
  EXPECT_TRUE(parse_xml(nested(limits::kMostXmlDepth)));
}

TEST(Xml, EscapesWhatXmlCannotCarry) {
  EXPECT_EQ(escape_xml("<a href=\"x\">&\r\n\t"), "&lt;a href=&quot;x&quot;&gt;&amp;&#13;&#10;&#9;");
  EXPECT_EQ(escape_xml(std::string("a\0b\x01\x7f", 5)), "a?b?\x7f");
  EXPECT_EQ(escape_xml("é€😀"), "é€😀");
  EXPECT_EQ(escape_xml("\xff\xc3(\xed\xa0\x80\xc0\x80\xef\xbf\xbf\xf4\x90\x80\x80"),
            std::string("??") + "(" + std::string(12, '?'));
}

TEST(XmlWriter, WritesWhatTheParserReads) {
  XmlWriter out;
  out.open("a", {{"x", "1<2"}}).leaf("b", "t&t").empty("c", {{"y", "\""}}).open("d").close().close();
  EXPECT_EQ(out.take(), R"(<a x="1&lt;2"><b>t&amp;t</b><c y="&quot;"/><d></d></a>)");
}

TEST(XmlWriter, AttributesKeepTheirSpace) {
  XmlWriter out;
  out.empty("a", {{"x", " 1\t2\r\n3 "}});
  const auto root = parse_xml(out.take());
  ASSERT_TRUE(root);
  EXPECT_EQ(*root->attribute("x"), " 1\t2\r\n3 ");
}

}  // namespace
}  // namespace understudy::wsman
