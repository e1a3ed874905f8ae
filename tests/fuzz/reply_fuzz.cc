// What a server answers, as the command reads it: an instance that was read is written again, and reads the
// same.
#include "cim/schema.h"
#include "fuzz/fuzz.h"
#include "wsman/codec.h"
#include "wsman/fault.h"

US_FUZZER(reply, input) {
  using namespace understudy;
  const auto tree = wsman::parse_xml(input);
  if (!tree) return;
  (void)wsman::read_fault(*tree);
  (void)wsman::read_error_header(*tree);
  const cim::XmlNode* body = tree->child("Body");
  const cim::XmlNode& content = body && !body->children.empty() ? body->children.front() : *tree;
  (void)wsman::read_output(content, "Msvm_ReplicationService", "CreateReplicationRelationship");
  (void)wsman::read_output(content, "Msvm_VirtualSystemManagementService", "GetSummaryInformation");
  const auto instance = wsman::read_instance(content);
  if (!instance || !cim::find_class(instance->class_name())) return;
  const auto write = [](const cim::Instance& one) {
    wsman::XmlWriter out;
    wsman::write_instance(out, one);
    return out.take();
  };
  const std::string text = write(*instance);
  const auto again = wsman::parse_xml(text);
  US_ASSERT(again);
  const auto same = wsman::read_instance(*again);
  US_ASSERT(same && write(*same) == text);
}
