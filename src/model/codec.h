// The members of the model's types in JSON, with their bounds: encode(value) and decode<T>(text) of json.h
// work on each of them, and they nest in others. Encoding never fails: what is out of bounds is refused by
// the decoder, so values from outside are checked before (check() of a definition). Any thread.
#pragma once

#include "model/disk.h"
#include "model/holdings.h"
#include "model/job.h"
#include "model/json.h"
#include "model/lineage.h"
#include "model/network.h"
#include "model/recovery_point.h"
#include "model/settings.h"
#include "model/vm_definition.h"

namespace understudy {

void fields(JsonFields& f, Error& error);  // the code by its name; one we do not know reads as `failed`
void fields(JsonFields& f, Lineage& lineage);
void fields(JsonFields& f, DiskGeometry& disk);
void fields(JsonFields& f, Cursor& cursor);
void fields(JsonFields& f, TransferKey& key);
void fields(JsonFields& f, Staging& staging);
void fields(JsonFields& f, Finding& finding);
void fields(JsonFields& f, HostState& host);
void fields(JsonFields& f, Holdings& holdings);
void fields(JsonFields& f, RecoveryPoint& point);
void fields(JsonFields& f, Job& job);
void fields(JsonFields& f, ReplicationSettings& settings);
void fields(JsonFields& f, ServiceSettings& settings);
void fields(JsonFields& f, AuthorizationEntry& entry);
void fields(JsonFields& f, NicSettings& settings);
void fields(JsonFields& f, VmDisk& disk);
void fields(JsonFields& f, VmNic& nic);
void fields(JsonFields& f, VmController& controller);
void fields(JsonFields& f, VmDevice& device);
void fields(JsonFields& f, VmDefinition& definition);

}  // namespace understudy
