// The registry of admitted agents, shared by all masters of a local stack through one file.
//
// A production cluster keeps it in a log that is replicated among the masters; with two masters on one
// machine that log has no majority once one of them is dead. Losing the registry instead would show
// clients a cluster that real masters never show: a new leader that answers TASK_UNKNOWN for every agent
// that has not come back yet. So InMemoryStorage keeps doing the work, and this file adds two things:
//  * before the first read the content of the file is put into it;
//  * a write compares the file's version with the one the writer read, and is refused when they differ.
//    A master that was paused, lost its leadership and wakes up is thereby fenced, as by the real log.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>

#include <fstream>
#include <mutex>
#include <sstream>

#include "mesos_abi.h"
#include "registry.h"

namespace google {
namespace protobuf {
struct MessageLite {
  bool ParseFromString(const std::string& data);
  std::string SerializeAsString() const;
};
}  // namespace protobuf
}  // namespace google

namespace mesos {
namespace internal {
namespace state {
struct Entry {
  Entry();
  char storage[4096];
};
}  // namespace state
}  // namespace internal
}  // namespace mesos

namespace {

using google::protobuf::MessageLite;
using mesos::internal::state::Entry;
using Get = void* (*)(void* result, void* storage, const std::string* name);
using Set = void* (*)(void* result, void* storage, const Entry* entry, const void* uuid);

constexpr std::size_t kUuid = 16;

std::string path;
Get realGet = nullptr;
Set realSet = nullptr;
std::once_flag loaded;

class Lock {
 public:
  Lock() : fd_(::open((path + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644)) { ::flock(fd_, LOCK_EX); }
  ~Lock() { ::close(fd_); }

 private:
  int fd_;
};

std::string readFile() {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

bool writeFile(const std::string& data) {
  const std::string fresh = path + ".new";
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out << data;
  out.close();
  return out.good() && std::rename(fresh.c_str(), path.c_str()) == 0;
}

// The version of a serialised Entry {1: name, 2: uuid, 3: value}: its second field, 16 raw bytes.
std::string versionOf(const std::string& entry) {
  std::size_t at = 0;
  while (at < entry.size()) {
    const int field = static_cast<unsigned char>(entry[at++]) >> 3;
    std::size_t length = 0;
    for (int shift = 0; at < entry.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(entry[at++]);
      length |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    if (field == 2) return entry.substr(at, length);
    at += length;
  }
  return "";
}

void preload(void* storage) {
  const Lock lock;
  const std::string data = readFile();
  if (data.empty()) return;
  auto* entry = build<Entry>();
  if (!reinterpret_cast<MessageLite*>(entry)->ParseFromString(data)) {
    std::fprintf(stderr, "weir: %s does not hold a registry; remove it to start with an empty one\n", path.c_str());
    std::_Exit(1);
  }
  const std::string version = versionOf(data);
  char result[4096];  // a Future that nobody reads and whose few bytes are never freed
  realSet(result, storage, entry, version.data());
}

void* get(void* result, void* storage, const std::string* name) {
  std::call_once(loaded, preload, storage);
  return realGet(result, storage, name);
}

void* set(void* result, void* storage, const Entry* entry, const void* uuid) {
  static const char stale[kUuid] = {0};
  const Lock lock;
  const std::string current = versionOf(readFile());
  const std::string expected(static_cast<const char*>(uuid), kUuid);
  if (!current.empty() && current != expected) {
    std::fprintf(stderr, "weir: another master wrote the registry meanwhile; this write is refused\n");
    return realSet(result, storage, entry, stale);  // no version is all zeroes: the storage answers false
  }
  if (!writeFile(reinterpret_cast<const MessageLite*>(entry)->SerializeAsString())) {
    std::perror("weir: writing the registry");
    std::_Exit(1);
  }
  return realSet(result, storage, entry, uuid);
}

}  // namespace

void shareRegistry(const std::string& file) {
  path = file;
  const char* vtable = "_ZTVN5mesos5state15InMemoryStorageE";
  auto** table = static_cast<void**>(::dlsym(RTLD_DEFAULT, vtable));
  if (table == nullptr) {
    std::fprintf(stderr, "weir: libmesos does not export %s\n", vtable);
    std::_Exit(70);
  }
  // Slots of Storage: 0 and 1 destructors, 2 get(name), 3 set(entry, uuid), 4 expunge, 5 names.
  realGet = reinterpret_cast<Get>(table[2 + 2]);
  realSet = reinterpret_cast<Set>(table[2 + 3]);
  replaceSlot(vtable, 2, reinterpret_cast<void*>(&get));
  replaceSlot(vtable, 3, reinterpret_cast<void*>(&set));
}
