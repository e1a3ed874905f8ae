// The key of a host, made where it stays, and what another host has to know to sign it: its public half, in a
// request that proves that the other half is there (PKCS#10). EC P-256 and nothing else. Pure functions.
#pragma once

#include <array>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy::net {

inline constexpr size_t kMostRequest = 4096;  // ours has some 200 bytes

using PublicKey = std::array<std::byte, 65>;  // a point, uncompressed (SEC 1)

struct HostKey {
  std::string pem;  // the private key
  PublicKey public_key;
  Bytes request;  // DER; it names nobody
};
Result<HostKey> make_host_key();

// The public key of a request, when who made it has the private one. Names, extensions and all else that it
// asks for are not looked at. ErrorCode::invalid_parameter.
Result<PublicKey> read_request(ByteView der);

}  // namespace understudy::net
