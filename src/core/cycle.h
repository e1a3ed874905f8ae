// What the rules of a primary share: facts of an inventory, and the few ways in which a cycle is left. Used
// by primary.cc, resync.cc and points.cc only.
#pragma once

#include <string>
#include <vector>

#include "core/step.h"

namespace understudy::core::rules {

const VmFacts& vm_of(const Step& step);        // of an inventory in which the hypervisor answered
const Holdings* replica_of(const Step& step);  // null: it did not answer
bool has(const std::vector<std::string>& names, const std::string& name);
bool usable(const VmFacts& facts, const std::string& checkpoint);

// Waits for somebody; the cause says for what.
void halt(Step& step, Error error);
// Back to idle after something did not work: says why, and tries again later.
void retry_later(Step& step, const Error& error);
void begin_settling(Step& step);
void forget_relationship(Step& step);  // its row too; the jobs are shown for a while
void release_slot(Step& step);
// The cut's checkpoint becomes what the next cut continues; the one before it is retired.
void advance_base(State& state);
void drop_cut(State& state);
// Nothing that was recorded or sent of a copy counts any more; obligations remove its checkpoints.
void forget_copy(State& state);

// Fills in type, keep and freeze of a cut that is about to be asked for.
Freeze choose_point(Step& step, Cut& cut);
void stop_comparing(Step& step);  // by request
// What came of it: the schedule and the counts that follow from a cut that was made.
void note_freeze(Step& step, const OpenedJob& job);
void fail_wanted_point(Step& step, const Error& error);  // no error when none is wanted

}  // namespace understudy::core::rules
