// Every bound of the product, with its reason. Sizes in bytes, times as Duration.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace understudy::limits {

// --- disks and points ---
inline constexpr uint32_t kGranule =
    65536;  // change granularity of default qcow2 (libvirt clamps to 4K..64K)
inline constexpr uint32_t kLeastGranule = 4096;
inline constexpr size_t kMostDisks = 32;                // disks of one VM
inline constexpr uint64_t kMostDiskSize = 64ULL << 40;  // 64 TiB, what 64 KiB clusters are tested for
inline constexpr size_t kMostChainDepth =
    32;  // libvirt refuses 200 files and start time grows faster than depth
inline constexpr uint32_t kMostHourly = 24;  // RecoveryHistory of the schema: 0 to 24 points of an hour each
inline constexpr size_t kMostOnDemand = 4;   // with kMostHourly and the newest, below kMostChainDepth
inline constexpr size_t kMostSetAside = 64;  // reverted failovers kept at once; each is dropped after a day

// --- transfer ---
inline constexpr uint32_t kMostExtentData =
    1 << 20;  // raw bytes in one data frame: 1 MiB measured best under TLS
inline constexpr uint32_t kMostFramePayload =
    kMostExtentData + 4096;                               // what does not compress is sent as it is
inline constexpr uint32_t kMostControlPayload = 1 << 20;  // JSON of one control message
inline constexpr uint64_t kWindow = 16 << 20;             // bytes sent and not yet applied, per transfer
inline constexpr uint64_t kCursorEvery = 32 << 20;        // a cut link costs at most twice this
inline constexpr uint64_t kComparedEvery =
    1ULL << 30;  // the same for a comparison that finds everything equal: some seconds of reading
inline constexpr uint64_t kMostHashRange = 64 << 20;  // of one request: read in kLinkCall by any disk
inline constexpr size_t kMostHashesAhead = 4;         // ranges asked for before they are compared
inline constexpr size_t kMostNvram = 1 << 20;         // raw; OVMF has 128 or 528 KiB
inline constexpr uint64_t kClosingMost =
    64 << 20;  // a first copy closes when no more than this changed meanwhile
inline constexpr uint32_t kMostFirstCopyPasses = 8;  // then it closes whatever is left
inline constexpr size_t kMostLinkConnections = 64;   // per host
inline constexpr Duration kLinkConnect = Duration::seconds(5);
inline constexpr Duration kLinkHandshake = Duration::seconds(10);
inline constexpr Duration kLinkIdle = Duration::seconds(60);     // no byte for this long: the link is dead
inline constexpr Duration kLinkCall = Duration::seconds(30);     // an ordinary control call
inline constexpr Duration kLinkFinish = Duration::seconds(300);  // finish syncs what was received

// --- hypervisor ---
inline constexpr Duration kHypervisorCall = Duration::seconds(30);
inline constexpr Duration kHypervisorAnswer =
    Duration::seconds(2);  // then a method answers that libvirt is not available
inline constexpr Duration kHypervisorRead = Duration::seconds(10);  // of what is only read
inline constexpr size_t kHypervisorAskers = 4;  // VMs at once; libvirtd takes five calls of one client
inline constexpr Duration kJobOpenMost =
    Duration::seconds(120);  // an open backup job makes managedsave hang: minutes, never hours
inline constexpr Duration kJobEnd = Duration::seconds(30);  // wait for JOB_COMPLETED after an abort
inline constexpr uint64_t kScratchPercent =
    70;  // of the space set aside; then the cycle breaks, not the guest

inline constexpr Duration kAgentAnswer =
    Duration::seconds(5);  // a guest that needs longer to freeze is doing too much to be frozen
inline constexpr Duration kFrozenMost =
    Duration::millis(1500);  // then the guard thaws: what the guest serves times out from some 2 s on
inline constexpr Duration kGuardReady = Duration::seconds(5);  // start of a small program, and its connection
inline constexpr Duration kThawMost =
    Duration::seconds(600);  // how long the guard asks an agent that does not answer
inline constexpr Duration kThawAgain = Duration::millis(200);  // between two such questions

// --- network settings of a guest ---
inline constexpr size_t kMostNics = 32;          // network cards of one VM
inline constexpr size_t kMostNicAddresses = 16;  // of one card, both families
inline constexpr size_t kMostGateways = 5;       // of the schema's class
inline constexpr size_t kMostNameServers = 8;
inline constexpr Duration kAgentAppears = Duration::seconds(
    120);  // after the start of a VM: then the missing agent is a failure, and asked less often
inline constexpr Duration kAgentAsked = Duration::seconds(2);     // until then
inline constexpr Duration kGuestNetwork = Duration::seconds(30);  // the change of one card, in the guest
inline constexpr size_t kMostGuestText = 16 << 10;                // taken of what a program in the guest says

// --- engine ---
inline constexpr Duration kRetryFirst = Duration::seconds(2);  // back-off doubles from here
inline constexpr Duration kRetryMost = Duration::seconds(60);
inline constexpr size_t kMostFindings = 16;                       // of one VM on one host
inline constexpr Duration kClockSkewMost = Duration::seconds(5);  // of two hosts, before health tells it
inline constexpr Duration kMethodReply = Duration::seconds(20);   // a method call answers by then
inline constexpr Duration kJobKept = Duration::seconds(300);      // Msvm_ConcreteJob.TimeBeforeRemoval
inline constexpr size_t kMostJobsKept = 64;                       // per VM, finished ones go oldest first
inline constexpr size_t kMostEvents = 4096;                       // queued to the core
inline constexpr size_t kMostVms = 512;                           // relationships of one host
inline constexpr size_t kWorkers = 8;                             // threads for blocking work
inline constexpr size_t kMostTransfers = 3;                       // at once per host (Hyper-V's own default)

// --- management front ---
inline constexpr size_t kMostHttpConnections = 64;
inline constexpr size_t kMostHttpHeader = 16 << 10;
inline constexpr size_t kMostEnvelope = 512000;  // WinRM's MaxEnvelopeSizekb 500
inline constexpr size_t kLeastEnvelope = 8192;
inline constexpr size_t kMostXmlDepth = 64;
inline constexpr size_t kMostXmlNodes = 50000;
inline constexpr size_t kMostEnumerations = 256;  // open contexts
inline constexpr Duration kEnumerationIdle = Duration::seconds(60);
inline constexpr Duration kHttpRequest = Duration::seconds(30);  // from first to last byte of a request
inline constexpr Duration kHttpIdle = Duration::seconds(120);    // keep-alive
inline constexpr size_t kMostWqlLength = 8192;
inline constexpr size_t kMostWqlDepth = 64;
inline constexpr size_t kMostEmbeddedLength = 256 << 10;

// --- files ---
inline constexpr size_t kMostManifest = 1 << 20;
inline constexpr size_t kMostState = 4 << 20;
inline constexpr size_t kMostDefinition = 256 << 10;
inline constexpr size_t kMostSettings = 64 << 10;  // of a replica's owner, in its manifest

}  // namespace understudy::limits
