// A Mesos master as a process of its own, elected through ZooKeeper when MESOS_ZK is given.
//
// The library offers no way to build the default allocator from outside, so the master has to be born
// through local::launch, which gives it a contender and a detector that always elect itself, and a
// registry in memory. Both are reached through vtables only, so three vtables are rewritten beforehand:
//  * contender and detector forward to the real ZooKeeper ones: several masters, one leads;
//  * the registry's storage is backed by one file that all masters of the stack share (registry.cc).
#include <dlfcn.h>
#include <sys/mman.h>

#include "mesos_abi.h"
#include "registry.h"

using namespace mesos;
using namespace mesos::internal;

namespace {

using Function = void (*)();

void** realContender = nullptr;
void** realDetector = nullptr;

template <typename F>
F slotOf(void** object, int slot) {
  return reinterpret_cast<F>(static_cast<Function*>(*object)[slot]);
}

// Slots of MasterContender: 0 and 1 destructors, 2 initialize(const MasterInfo&), 3 contend().
void initializeContender(void*, const void* info) {
  slotOf<void (*)(void*, const void*)>(realContender, 2)(realContender, info);
}
void* contend(void* result, void*) {
  return slotOf<void* (*)(void*, void*)>(realContender, 3)(result, realContender);
}
// Slots of MasterDetector: 0 and 1 destructors, 2 detect(const Option<MasterInfo>&).
void* detect(void* result, void*, const void* previous) {
  return slotOf<void* (*)(void*, void*, const void*)>(realDetector, 2)(result, realDetector, previous);
}

}  // namespace

// By dlsym and not by an extern declaration: the latter makes a copy relocation, and the copy is not
// the table that the library uses.
void replaceSlot(const char* vtable, int slot, void* replacement) {
  void* symbol = ::dlsym(RTLD_DEFAULT, vtable);
  if (symbol == nullptr) {
    std::fprintf(stderr, "weir: libmesos does not export %s\n", vtable);
    std::_Exit(70);
  }
  void** entry = static_cast<void**>(symbol) + 2 + slot;  // offset-to-top and typeinfo come first
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  void* start = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(entry) & ~(page - 1));
  if (::mprotect(start, 2 * page, PROT_READ | PROT_WRITE) != 0) {
    std::perror("weir: mprotect");
    std::_Exit(70);
  }
  *entry = replacement;
}

int main(int, char** argv) {
  const char* none[] = {argv[0]};
  auto* flags = build<local::Flags>();
  loadFlags(flags, 4, "MESOS_", 1, none);
  process::initialize(Option<std::string>("master"), {}, {});
  logging::initialize(argv[0], true, {});

  const std::string zk = environment("MESOS_ZK");
  if (!zk.empty()) {
    const Option<Duration> timeout(seconds(std::atof(environment("WEIR_ZK_SESSION_TIMEOUT", "10").c_str())));
    realContender = static_cast<void**>(
        unwrap(master::contender::MasterContender::create(Option<std::string>(zk), {}, timeout), "contender"));
    realDetector = static_cast<void**>(
        unwrap(master::detector::MasterDetector::create(Option<std::string>(zk), {}, timeout), "detector"));
    const char* contender = "_ZTVN5mesos6master9contender25StandaloneMasterContenderE";
    replaceSlot(contender, 2, reinterpret_cast<void*>(&initializeContender));
    replaceSlot(contender, 3, reinterpret_cast<void*>(&contend));
    replaceSlot("_ZTVN5mesos6master8detector24StandaloneMasterDetectorE", 2, reinterpret_cast<void*>(&detect));
  }
  const std::string registry = environment("WEIR_REGISTRY_FILE");
  if (!registry.empty()) shareRegistry(registry);

  spawnProcess(build<VersionProcess>());
  local::launch(*flags, nullptr);
  sleepForEver();
}
