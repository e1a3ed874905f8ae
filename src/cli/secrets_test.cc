#include "cli/secrets.h"

#include <gtest/gtest.h>

namespace understudy::cli {
namespace {

TEST(Secrets, AreRemoved) {
  for (const auto& [text, cleaned] : std::initializer_list<std::pair<const char*, const char*>>{
           {"password = \"a b\\\"c\" # x", "password = \"[removed]\" # x"},
           {"DB_PASSWORD=hunter2 next", "DB_PASSWORD=[removed] next"},
           {"<graphics type='vnc' passwd='geheim wort' port='1'/>",
            "<graphics type='vnc' passwd='[removed]' port='1'/>"},
           {"<passphrase>no one</passphrase>", "<passphrase>[removed]</passphrase>"},
           {R"({"password":"x y","user":"ann"})", R"({"password":"[removed]","user":"ann"})"},
           {R"({"text":"{\"api_token\": \"x y\", \"user\": \"ann\"}"})",
            R"({"text":"{\"api_token\": \"[removed]\", \"user\": \"ann\"}"})"},
           {"ann:administrator:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "ann:administrator:[removed]"},
           {"root:$6$salt$hash:19000", "root:[removed]:19000"},
           {"Authorization: Basic YWRtaW46cmVoZWFyc2U= end", "Authorization: Basic [removed] end"},
           {"qemu+ssh://ann:pw@hostb/system", "qemu+ssh://ann:[removed]@hostb/system"},
           {"a\n-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\nb", "a\n[removed]\nb"},
           {"-----BEGIN PRIVATE KEY-----\nMHc=\ncut off", "[removed]"},
           {"passwd: x", "passwd: [removed]"},
           {"password = ", "password = "},
           {"password=\"open\nnext", "password=\"[removed]\nnext"}})
    EXPECT_EQ(without_secrets(text), cleaned);
}

TEST(Secrets, WhatIsNoneStays) {
  for (const char* text :
       {"password_file = \"/etc/understudy/users\"", "key = \"/etc/understudy/tls/host.key\"",
        "a basic rule of the token ring", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "https://hostb:5986/wsman", "costs 5$ or 6$", "\"interval\":30", "<secret usage='x'/>", "", "$",
        "://"})
    EXPECT_EQ(without_secrets(text), text);
}

}  // namespace
}  // namespace understudy::cli
