// Recovery points as the commands speak of them. A point is an Understudy_RecoveryPoint; lists are oldest
// first, as the host gives them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/management.h"

namespace understudy::cli {

// Of the VM with this Understudy_ReplicationStatus.
Result<std::vector<cim::Instance>> points_of(Management& management, const cim::Instance& status);

std::string points_table(const std::vector<cim::Instance>& points);  // newest first; empty when there is none
std::string point_age(const cim::Instance& point);                   // "14 s", by the clock of the host
std::string point_words(const cim::Instance& point);                 // id, type, why it is kept, cut

// How long ago a replica heard of its primary: "14 s"; "" when it never did in this run of its daemon.
std::string primary_heard(const cim::Instance& status);
// "has run here for 3 min since its failover; what it wrote takes up 31.2 MiB"; "" when it is not failed
// over.
std::string ran_here(const cim::Instance& status);
// What reverts left behind: "5.0 MiB of generation 4, since ...", oldest first.
std::vector<std::string> set_aside(const cim::Instance& status);

// "10m" (s, m, h, d: so long ago), or ISO 8601: local time, or with an offset. What `point list` prints is
// read too.
struct Moment {
  std::optional<Duration> ago;  // by the clock of the host
  Wall at;                      // when it is not `ago`
};
Result<Moment> parse_moment(const std::string& text);

// The point whose id begins with this (at least four characters), or the newest that is not later than that.
// ErrorCode::not_found when there is none, or more than one.
Result<size_t> point_by_id(const std::vector<cim::Instance>& points, const std::string& vm,
                           const std::string& id);
Result<size_t> point_by_time(const std::vector<cim::Instance>& points, const std::string& vm,
                             const std::string& time);

}  // namespace understudy::cli
