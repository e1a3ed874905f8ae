// The classes of root\virtualization\v2 as this host answers them: one entry for each class, a function that
// makes its instances out of what Host says, and one for its methods.
#pragma once

#include "cim/object_manager.h"
#include "cim/xml_tree.h"
#include "providers/host.h"

namespace understudy::providers {

// `host` outlives the manager. `parse_xml` reads embedded instances; any thread.
void register_providers(cim::ObjectManager& manager, Host& host, cim::XmlParser parse_xml);

}  // namespace understudy::providers
