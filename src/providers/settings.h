// What clients send as embedded instances, turned into settings: every rule of the documented value ranges in
// one place (docs/spec/cim.md). A property that is absent or NULL keeps the value it has in `settings`.
// Errors are invalid_parameter or not_supported and name the property. Pure functions.
#pragma once

#include <string_view>

#include "base/result.h"
#include "cim/value.h"
#include "cim/xml_tree.h"
#include "providers/host.h"

namespace understudy::providers {

// What can be said without knowing the VM; `host` gives its name and the defaults of its service. Without a
// thumbprint, and none in the service settings, it stays empty: Host takes the certificate it has.
Result<ReplicationSettings> replication_settings_from(const cim::Instance& given,
                                                      ReplicationSettings settings, Host& host);
// Of a connection to try: host, port and certificate. Port 0 is refused, and so is the thumbprint of a
// certificate that this host does not have.
Result<ReplicationSettings> connection_from(const cim::Instance& given, Host& host);
// IncludedDisks of this VM, as targets in the order of the VM's disks; empty when the property is NULL: all.
Result<std::vector<std::string>> included_disks_from(const cim::Instance& given, const VmView& view,
                                                     const cim::XmlParser& parse_xml);
Result<ServiceSettings> service_settings_from(const cim::Instance& given, ServiceSettings settings);
Result<AuthorizationEntry> authorization_entry_from(const cim::Instance& given, AuthorizationEntry entry);
// Elements of NetworkSettings, each for another of the VM's cards. Whether it is replicated is not looked at.
Result<std::vector<NicSettings>> network_settings_from(const std::vector<cim::Instance>& given,
                                                       const VmView& view, const std::vector<VmNic>& cards);

}  // namespace understudy::providers
