// The general machine between the front and the providers: authorization, classes and selectors, deep
// enumeration, filters, associations, and the checks of method calls that follow from the schema alone.
// Providers say what there is; nothing here knows what a replica is.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "cim/operation.h"
#include "cim/schema.h"

namespace understudy::cim {

// Who asks, for the length of one request.
struct Context {
  Caller caller;
  bool limited = false;  // to some VMs: not everything that a provider gives is for this caller
};

// The instances and methods of one concrete class. Lives as long as the ObjectManager; called on the front's
// threads, several at once. Instances carry the class's name and all their keys.
class Provider {
 public:
  virtual ~Provider() = default;
  virtual std::string_view class_name() const = 0;
  virtual Result<std::vector<Instance>> enumerate(const Context& context) = 0;
  // Those that may have these keys (one or some of them given); more may be given. Default: enumerate().
  virtual Result<std::vector<Instance>> candidates(const Context& context, const ObjectPath& keys);
  // The instance with these keys (all of them given), or nothing. Default: picked out of candidates().
  virtual Result<std::optional<Instance>> get(const Context& context, const ObjectPath& path);
  // Only for an association: the instances that refer to the object; more may be given. Default: enumerate().
  virtual Result<std::vector<Instance>> references(const Context& context, const ObjectPath& object);
  // `instance` is the existing target, `path` its full path; `parameters` are typed as the schema declares
  // them, those not given are NULL. An error is not a fault: it becomes the ReturnValue that errors.def has
  // for it. Default: not_supported.
  virtual Result<InvokeResult> invoke(const Context& context, const ObjectPath& path,
                                      const Instance& instance, std::string_view method,
                                      const Instance& parameters);
};

enum class Right : uint8_t { read, execute };
// Where a caller may do something.
struct Reach {
  bool everywhere = false;
  std::set<Uuid> vms;         // else: to these VMs,
  bool host_objects = false;  // and to what names none
};
// Whether the caller may do this, and where; `method` is empty for reading, `class_name` for reading at all.
// The error's text reaches the caller.
using Authorize = std::function<Result<Reach>(const Caller& caller, Right right, std::string_view class_name,
                                              std::string_view method)>;
// The VM that a GUID stands for: its own, that of a job or of a recovery point. One that is not known stands
// for itself.
using VmOf = std::function<Uuid(const Uuid& guid)>;

// A method call that is about to be carried out, or that has been answered: also one that was refused, which
// is only heard of then.
struct Called {
  const Uuid& call;  // the same for both
  const Caller& caller;
  std::string_view class_name, method;
  std::vector<std::string> objects;  // paths: the target, and what the parameters refer to
  const InvokeResult* result;        // none: it begins
};
// Hears of each, and a call does not begin before it has; any thread.
using Witness = std::function<void(const Called& called)>;

// handle() is thread-safe. add() is for composition: before the first handle(), on one thread.
class ObjectManager final : public Dispatcher {
 public:
  // `server_name` is what __SERVER reads as in a query: the Name of the host's own Msvm_ComputerSystem.
  // Without `vm_of` each GUID stands for itself.
  ObjectManager(Authorize authorize, std::string server_name, Witness witness = nullptr,
                VmOf vm_of = nullptr);
  ~ObjectManager() override;

  // One provider for each concrete class of the schema; anything else is a broken invariant.
  void add(std::unique_ptr<Provider> provider);

  Outcome<Response> handle(const Caller& caller, const Request& request) override;

 private:
  // object_manager.cc
  Outcome<Response> serve(const Context& context, const GetRequest& request) const;
  // The one instance that the selectors mean, in the class or below it.
  Outcome<Item> resolve(const Context& context, const ObjectPath& path) const;
  // All instances of the class and of those below it; only those that may have these keys, when there are
  // any.
  Outcome<std::vector<Item>> instances_of(const Context& context, std::string_view class_name,
                                          const ObjectPath& keys = {}) const;
  std::vector<Provider*> providers_below(std::string_view class_name) const;
  Outcome<Reach> allow(const Context& context, Right right, std::string_view class_name,
                       std::string_view method = {}) const;
  // Whether this object is for the caller to see.
  bool visible(const Context& context, const ObjectPath& path) const;
  // The VMs that the GUIDs in a text stand for.
  std::set<Uuid> vms_in(std::string_view text) const;

  // object_manager_query.cc
  Outcome<Response> serve(const Context& context, const EnumerateRequest& request) const;
  Outcome<std::vector<Item>> filtered(const Context& context, const EnumerateRequest& request) const;
  Outcome<std::vector<Item>> query(const Context& context, const EnumerateRequest& request) const;
  Outcome<std::vector<Item>> with_values(const Context& context, const EnumerateRequest& request) const;
  Outcome<std::vector<Item>> follow(const Context& context, const wql::Links& links) const;
  Outcome<std::vector<Item>> objects_at(const Context& context, const std::vector<ObjectPath>& paths) const;

  // object_manager_invoke.cc
  Outcome<Response> serve(const Context& context, const InvokeRequest& request) const;
  Status within(const Reach& reach, const Context& context, const ObjectPath& target, std::string_view method,
                const Instance& parameters) const;
  Response answered(const Uuid& call, const Context& context, const ObjectPath& target,
                    std::string_view method, const Instance& parameters, Result<InvokeResult> result) const;

  Authorize authorize_;
  std::string server_name_;
  Witness witness_;
  VmOf vm_of_;
  std::map<std::string, std::unique_ptr<Provider>, NameLess> providers_;
};

}  // namespace understudy::cim
