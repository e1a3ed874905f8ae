// The other end of an enrolment: makes a key, has it signed by who made the token, and writes what a host
// needs. What comes over the network is read by a process of its own. Free functions.
#pragma once

#include <functional>
#include <string>

#include "base/cancel.h"
#include "enrol/token.h"
#include "net/certificate.h"
#include "net/socket.h"

namespace understudy::enrol {

// To the process: a packed Errand, with a connected socket and its end of a lane. Both stay the caller's.
using Give = std::function<Status(ByteView errand, int connection, int lane)>;

// ErrorCode::in_use, before anybody is asked, when there is a host's certificate in `out` already. Errors
// name host and port. Blocks some 10 s for each step at most.
Result<net::CertificateInfo> accept(const Token& token, const std::string& host, uint16_t port,
                                    const std::string& out, const Give& give);

// In the process: the whole conversation with the other host, what came of it to the lane, and the word that
// it is kept when the lane says so. `errand` is packed.
void carry_out(ByteView errand, net::Fd connection, net::Fd lane, const CancelToken& stop);

}  // namespace understudy::enrol
