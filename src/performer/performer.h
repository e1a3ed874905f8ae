// Carries out what engines ask for: each action becomes calls of adapters on an executor, and its end exactly
// one event. Owned by the core; perform() on its thread only.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/waiting.h"
#include "core/action.h"
#include "performer/executor.h"
#include "performer/ports.h"
#include "performer/progress.h"
#include "store/replica_store.h"

namespace understudy::performer {

// Where a connection writes what it receives, until it is closed. Serialises the connection's thread with
// whoever ends the receiving: after close() nothing touches the staging any more.
class StagingSink final : public transfer::Sink {
 public:
  // `failed` hears of every error of the store, from the thread that met it.
  StagingSink(std::shared_ptr<store::ReplicaStore> store, Clock& clock,
              std::function<void(const Error&)> failed)
      : store_(std::move(store)), clock_(clock), failed_(std::move(failed)) {}
  Status write(uint32_t disk, uint64_t offset, ByteView data) override;
  Status zero(uint32_t disk, uint64_t offset, uint64_t length) override;
  Status advance(Cursor cursor) override;
  Status complete(Cursor end) override;
  void close();
  uint64_t bytes() const;
  std::optional<Monotonic> received() const;  // when something came last; waits for no write
  // The VM as of the cut that is received, for its publication.
  void attach(store::Machine machine);
  store::Machine machine() const;

 private:
  Status admit();  // notes that something came; an error once closed
  Status told(Status status) const;

  mutable std::mutex mutex_;
  std::shared_ptr<store::ReplicaStore> store_;  // null once closed
  Clock& clock_;
  const std::function<void(const Error&)> failed_;
  std::atomic<int64_t> received_us_ = 0;  // 0: nothing yet
  uint64_t bytes_ = 0;
  store::Machine machine_;
};

class Performer {
 public:
  using Post = std::function<void(const Uuid& vm, core::Event event)>;

  Performer(Ports ports, Executors executors, Post post);
  ~Performer();
  // Cancels what runs, and stops the executors. Nothing is posted afterwards.
  void stop();

  // Opens the store of a replica's engine when the daemon starts. What fails now is tried again at every use.
  void adopt(const core::State& state);
  // `state` is the engine's state after the step that asked. Only for actions that end in an event.
  void perform(const core::State& state, const core::Action& action);
  // The engine of this VM begins anew: what it had begun to send ends soon, and nobody waits for it.
  void abandon(const Uuid& vm);

  // --- from other threads ---
  Result<std::shared_ptr<store::ReplicaStore>> replica_store(const Uuid& vm);  // not_found when there is none
  // The listed points of a replica, oldest first, as its disk has them: also one whose publication broke off.
  // As they were known last when the disk cannot be asked; none when there is no store.
  std::vector<RecoveryPoint> points(const Uuid& vm);
  std::shared_ptr<StagingSink> sink(const Uuid& vm);  // of the last begin; may be null
  const Progress& progress() const { return progress_; }

 private:
  // What a point says of its VM beside the disks.
  struct TravellingVm {
    VmDefinition definition;
    Bytes nvram;
  };
  // What belongs to one VM beside its engine. Whoever uses the peer or the source has the Turn; the mutex
  // guards the pointers only.
  struct Runtime {
    std::mutex mutex;
    bool taken = false;  // the turn
    Condition given_back;
    std::unique_ptr<transfer::Peer> peer;
    std::unique_ptr<transfer::Source> source;
    std::optional<TravellingVm> travelling;  // as of the open job
    CancelToken sending;
    CancelToken merging;
    std::shared_ptr<store::ReplicaStore> store;
    std::string directory;  // of the store; empty: none
    std::mutex opening;     // of the store, which is opened again and again until that works
    std::shared_ptr<StagingSink> sink;
    core::ActionId network = 0;  // the last GiveNetwork
  };
  // An engine begins one such task at a time; after a failed Persist its next life may begin one while the
  // last one of the life before has not ended.
  class Turn {
   public:
    explicit Turn(Runtime& runtime);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Runtime& runtime_;
  };
  using RuntimePtr = std::shared_ptr<Runtime>;
  using State = core::State;

  RuntimePtr runtime(const Uuid& vm);
  // Runs `work` there and posts its event. When it takes no more, what `refused` makes of the error is
  // posted.
  void run(Executor& executor, const Uuid& vm, std::function<core::Event()> work,
           const std::function<core::Event(const Error&)>& refused);

  void on(const State& state, const core::PreparePeer& action);
  void on(const State& state, const core::TakeInventory& action);
  void on(const State& state, const core::OpenJob& action);
  void on(const State& state, const core::Send& action);
  void on(const State& state, const core::StopSending& action);
  void on(const State& state, const core::Settle& action);
  void on(const State& state, const core::PrepareReplica& action);
  void on(const State& state, const core::OpenStaging& action);
  void on(const State& state, const core::Publish& action);
  void on(const State& state, const core::StopReceiving& action);
  void on(const State& state, const core::Merge& action);
  void on(const State& state, const core::StopMerging& action);
  void on(const State& state, const core::FailOver& action);
  void on(const State& state, const core::Release& action);
  void on(const State& state, const core::Revert& action);
  void on(const State& state, const core::Retire& action);
  void on(const State& state, const core::ChangePower& action);
  void on(const State& state, const core::GiveNetwork& action);

  Result<std::unique_ptr<transfer::Peer>> connect(const State& state, const CancelToken& cancel);
  Result<transfer::Peer*> connected_peer(Runtime& runtime, const State& state);
  Result<transfer::Source*> opened_source(Runtime& runtime, const State& state);
  Result<Holdings> ask_replica(Runtime& runtime, const State& state, Duration& ahead);
  Result<core::OpenedJob> open_job(Runtime& runtime, const State& state, const core::OpenJob& action,
                                   uint64_t& bytes_to_send);
  void note_machine(Runtime& runtime, const State& state);
  void compare(Runtime& runtime, const State& state, const core::Send& action);
  Result<std::optional<RecoveryPoint>> try_to_send(Runtime& runtime, const State& state,
                                                   const core::Send& action, uint64_t& sent_bytes);
  core::Sent send(Runtime& runtime, const State& state, const core::Send& action);
  core::Settled settle(Runtime& runtime, const State& state, const core::Settle& action);
  Result<std::vector<std::string>> prepare_replica(Runtime& runtime, const core::PrepareReplica& action,
                                                   const State& state, bool& found);
  Result<RecoveryPoint> publish(Runtime& runtime, const State& state, const core::Publish& action);
  Status fail_over(store::ReplicaStore& store, const core::FailOver& action);
  core::FailedOver fail_over_or_undo(const State& state, const core::FailOver& action);
  core::Reverted revert(const State& state, const core::Revert& action);
  Status retire(const State& state, bool unprepared);
  static bool is_of_use(const store::ReplicaStore& store, const Uuid& set);
  Status undo_replica(const Uuid& vm, store::ReplicaStore& store);
  Status retire_store(const Uuid& vm, store::ReplicaStore& store);

  Ports ports_;
  Post post_;
  Progress progress_;
  CancelToken stopping_;
  std::mutex mutex_;
  std::map<Uuid, RuntimePtr> runtimes_;
  Executor& workers_;
  Executor& senders_;
  Executor& mergers_;
};

}  // namespace understudy::performer
