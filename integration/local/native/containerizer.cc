// mesos-containerizer: what an agent execs to start an executor. Only the subcommand `launch` exists here.
#include <cstring>

#include "mesos_abi.h"

using mesos::internal::slave::MesosContainerizerLaunch;

// The command object holds its flags at an offset that only the library knows. Its accessor returns the address of
// their virtual base FlagsBase; how far that lies behind the flags' own beginning is told by any Flags object.
// (An `extern "C"` name: the return type of a member function is not part of its symbol.)
extern "C" void* _ZN5mesos8internal5slave24MesosContainerizerLaunch8getFlagsEv(void* object);

int main(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "launch") != 0) {
    std::fprintf(stderr, "weir: mesos-containerizer of the local stack knows `launch` only\n");
    return 64;
  }
  auto* command = static_cast<char*>(std::calloc(1, 2 * kRoom));
  auto* base = static_cast<char*>(_ZN5mesos8internal5slave24MesosContainerizerLaunch8getFlagsEv(command));
  const std::ptrdiff_t* vtable = *reinterpret_cast<std::ptrdiff_t* const*>(build<MesosContainerizerLaunch::Flags>());
  auto* flags = new (base - vtable[-3]) MesosContainerizerLaunch::Flags();
  loadFlags(flags, 3, "MESOS_CONTAINERIZER_", argc - 1, argv + 1);
  return reinterpret_cast<MesosContainerizerLaunch*>(command)->execute();
}
