// The part of libmesos' C++ ABI that the launchers touch.
//
// Apache publishes Mesos 1.11.0 to the Python package index as a scheduler binding whose shared
// object is the complete libmesos: master, agent, containerizer, ZooKeeper client. Its headers are
// not published there, so this file declares the classes and functions we call under their real names:
// the compiler then emits the mangled names that the library exports, and the linker checks them.
//
// Rules that hold throughout (established by running them; README.md of the folder above says more):
//  * Sizes of Mesos' classes are unknown to us. Objects live in zeroed memory that is far too large,
//    are constructed in place and never destroyed: the process ends instead.
//  * Option<T> of this build is `int state` (0 = some, 1 = none) followed by the value.
//  * Try<T> is returned through a hidden pointer: `int state` at 0 (0 = a value), a pointer value at +8.
//  * FlagsBase is a virtual base: its offset stands in the vtable of the flags object.
//
// Compile with -std=c++14 and not gnu++14, which defines the macro `unix`.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

constexpr std::size_t kRoom = 1 << 20;  // the largest of these objects is below 64 KiB

template <typename T>
struct Option {
  Option() : state(1), value() {}
  Option(const T& v) : state(0), value(v) {}  // NOLINT: implicit as in Mesos
  int state;
  T value;
};

struct Duration {
  std::int64_t nanoseconds;
};
inline Duration seconds(double value) { return {static_cast<std::int64_t>(value * 1e9)}; }

// What a function returning Try<T> leaves behind: large enough for any T, and no destructor.
struct Outcome {
  int state;
  void* value;
  char padding[4096];
};

namespace flags {
struct Unnamed;
struct FlagsBase {
  Outcome load(const Option<std::string>& prefix, int argc, const char* const* argv, bool unknowns,
               bool duplicates);
};
}  // namespace flags

namespace process {
struct ProcessBase;
struct PID {
  char storage[4096];
};
template <typename T>
struct Owned {
  void* pointer[2] = {nullptr, nullptr};  // an empty std::shared_ptr
};
namespace network {
namespace unix {
struct Address {
  char storage[256];
};
}  // namespace unix
namespace internal {
template <typename T>
struct Socket {
  void* pointer[2] = {nullptr, nullptr};
};
}  // namespace internal
}  // namespace network

bool initialize(const Option<std::string>& delegate, const Option<std::string>& readwriteRealm,
                const Option<std::string>& readonlyRealm);
Outcome spawn(ProcessBase* process, bool manage);
}  // namespace process

namespace mesos {

struct Authorizer;
struct SecretGenerator;
struct SecretResolver {
  static Outcome create(const Option<std::string>& module);
};

namespace allocator {
struct Allocator;
}

namespace master {
namespace contender {
struct MasterContender {
  static Outcome create(const Option<std::string>& zk, const Option<std::string>& module,
                        const Option<Duration>& sessionTimeout);
};
}  // namespace contender
namespace detector {
struct MasterDetector {
  static Outcome create(const Option<std::string>& zk, const Option<std::string>& module,
                        const Option<Duration>& sessionTimeout);
};
}  // namespace detector
}  // namespace master

namespace slave {
struct ResourceEstimator {
  static Outcome create(const Option<std::string>& type);
};
struct QoSController {
  static Outcome create(const Option<std::string>& type);
};
}  // namespace slave

namespace internal {

struct PendingFutureTracker;

struct Files {
  Files(const Option<std::string>& realm, const Option<Authorizer*>& authorizer);
  char storage[kRoom];
};

// Serves /version.
struct VersionProcess {
  VersionProcess();
  char storage[kRoom];
};

namespace logging {
struct Flags {
  char storage[kRoom];
};
void initialize(const std::string& argv0, bool installFailureSignalHandler, const Option<Flags>& flags);
}  // namespace logging

namespace local {
struct Flags {
  Flags();
  char storage[kRoom];
};
process::PID launch(const Flags& flags, allocator::Allocator* allocator);
}  // namespace local

namespace slave {

struct CSIServer;
struct VolumeGidManager;

struct Flags {
  Flags();
  char storage[kRoom];
};
struct GarbageCollector {
  explicit GarbageCollector(const std::string& workDir);
  char storage[kRoom];
};
struct TaskStatusUpdateManager {
  explicit TaskStatusUpdateManager(const Flags& flags);
  char storage[kRoom];
};
struct Fetcher {
  explicit Fetcher(const Flags& flags);
  char storage[kRoom];
};
struct Containerizer {
  static Outcome create(const Flags& flags, bool local, Fetcher* fetcher, GarbageCollector* gc,
                        SecretResolver* resolver, VolumeGidManager* gids, PendingFutureTracker* tracker,
                        CSIServer* csi);
};
struct Slave {
  Slave(const std::string& id, const Flags& flags, master::detector::MasterDetector* detector,
        Containerizer* containerizer, Files* files, GarbageCollector* gc,
        TaskStatusUpdateManager* statusUpdateManager, mesos::slave::ResourceEstimator* estimator,
        mesos::slave::QoSController* qos, SecretGenerator* secretGenerator, VolumeGidManager* gids,
        PendingFutureTracker* tracker, process::Owned<CSIServer>&& csi,
        const Option<process::network::internal::Socket<process::network::unix::Address>>& executorSocket,
        const Option<Authorizer*>& authorizer);
  char storage[kRoom];
};
struct MesosContainerizerLaunch {
  struct Flags {
    Flags();
    char storage[kRoom];
  };
  int execute();
};

}  // namespace slave
}  // namespace internal
}  // namespace mesos

// Constructs a T in zeroed memory that outlives everything.
template <typename T, typename... Args>
T* build(Args&&... args) {
  void* memory = std::calloc(1, sizeof(T));
  if (memory == nullptr) {
    std::fprintf(stderr, "weir: out of memory\n");
    std::_Exit(70);
  }
  return new (memory) T(static_cast<Args&&>(args)...);
}

// Ends the process with one line when a factory of Mesos failed; `errorAt` is where its Error's text is.
inline void* unwrap(const Outcome& outcome, const char* what, std::size_t errorAt = 24) {
  if (outcome.state == 0) return outcome.value;
  const auto* text = reinterpret_cast<const std::string*>(reinterpret_cast<const char*>(&outcome) + errorAt);
  std::fprintf(stderr, "weir: %s failed: %s\n", what, text->c_str());
  std::_Exit(1);
}

// Loads flags from environment variables (and argv). `slot` is the vtable entry, counted backwards,
// that holds the offset of the virtual base FlagsBase.
inline void loadFlags(void* object, int slot, const char* prefix, int argc, const char* const* argv) {
  const std::ptrdiff_t* vtable = *static_cast<std::ptrdiff_t* const*>(object);
  auto* base = reinterpret_cast<flags::FlagsBase*>(static_cast<char*>(object) + vtable[-slot]);
  const Outcome loaded = base->load(Option<std::string>(std::string(prefix)), argc, argv, true, false);
  if (loaded.state != 0) unwrap(loaded, "loading flags", 40);  // the value is a vector here: 24 bytes
}

// Starts one of libprocess' actors. ProcessBase is a virtual base; its offset is the third entry before the functions.
inline void spawnProcess(void* object) {
  const std::ptrdiff_t* vtable = *static_cast<std::ptrdiff_t* const*>(object);
  process::spawn(reinterpret_cast<process::ProcessBase*>(static_cast<char*>(object) + vtable[-3]), false);
}

inline std::string environment(const char* name, const char* fallback = "") {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : value;
}

// libmesos' static destructors were never meant to run under a launcher: wait for a signal instead.
[[noreturn]] inline void sleepForEver() {
  for (;;) ::pause();
}
