// Enumerations: what a client asks for, and what it has not pulled yet. The table of open enumerations lives
// as long as the service; any thread.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "authz/identity.h"
#include "base/limits.h"
#include "base/time.h"
#include "cim/operation.h"
#include "cim/xml_tree.h"

namespace understudy::wsman {

inline constexpr size_t kMostEnumerationsOfOne =
    64;  // of one caller, so that nobody takes all of limits::kMostEnumerations
inline constexpr size_t kMostItemsKept = 50000;  // over all of them

enum class EnumerationMode : uint8_t { object, endpoint, object_and_endpoint };

struct EnumerateBody {
  bool optimise = false;     // first items in the answer to Enumerate
  size_t most_elements = 1;  // in that answer
  EnumerationMode mode = EnumerationMode::object;
  cim::Filter filter;
};
struct PullBody {
  std::string context;
  size_t most_elements = 1;                                     // absent means one: libvirt drops all others
  size_t most_characters = std::numeric_limits<size_t>::max();  // of the items, but for the first
};

// n:Enumerate and n:Pull, children in any order, what is foreign is left aside.
cim::Outcome<EnumerateBody> read_enumerate(const cim::XmlNode* body);
cim::Outcome<PullBody> read_pull(const cim::XmlNode* body);
// The context of n:Release (or n:Pull); empty when there is none.
std::string read_context(const cim::XmlNode* body);

// What is left of one enumeration. Taken out of the table while it is worked on.
struct Enumeration {
  std::string owner;  // who may pull
  EnumerationMode mode = EnumerationMode::object;
  std::vector<cim::Item> items;
  size_t next = 0;
  bool finished() const { return next == items.size(); }
  size_t left() const { return items.size() - next; }
};

std::string owner_of(const authz::Identity& identity);

class EnumerationTable {
 public:
  explicit EnumerationTable(const Clock& clock) : clock_(clock) {}
  // Its context; w:QuotaLimit when there are too many. A context that is put back keeps its name.
  cim::Outcome<std::string> put(Enumeration enumeration, std::string context = {});
  // Takes it out; null when there is none of that name, it is idle too long, or it is somebody else's.
  std::unique_ptr<Enumeration> take(const std::string& context, const std::string& owner);
  size_t size() const;

 private:
  struct Entry {
    Enumeration enumeration;
    Monotonic until;
  };
  void drop_expired(Monotonic now);

  const Clock& clock_;
  mutable std::mutex lock_;
  std::map<std::string, Entry> entries_;
};

}  // namespace understudy::wsman
