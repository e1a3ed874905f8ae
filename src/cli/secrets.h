// What must not leave the host. A pure function.
#pragma once

#include <string>
#include <string_view>

namespace understudy::cli {

inline constexpr std::string_view kRemoved = "[removed]";

// The text with kRemoved in the place of private keys (PEM), password hashes, HTTP credentials, the password
// in a URI, and the value of every name that ends in password, passwd, passphrase, secret, token or psk, in
// the manner of TOML, JSON (also in a JSON text), XML and the shell. Rather too much than too little: a value
// without quotes ends at a blank.
std::string without_secrets(std::string_view text);

}  // namespace understudy::cli
