// mesos-containerizer: what an agent execs to start an executor. Only the subcommand `launch` exists here.
#include <cstring>

#include "mesos_abi.h"

using mesos::internal::slave::MesosContainerizerLaunch;

// The command object holds its flags at an offset that only the library knows: its accessor tells.
// (An `extern "C"` name: in C++ the return type of a member function is not part of its symbol.)
extern "C" void* _ZN5mesos8internal5slave24MesosContainerizerLaunch8getFlagsEv(void* object);

int main(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "launch") != 0) {
    std::fprintf(stderr, "weir: mesos-containerizer of the local stack knows `launch` only\n");
    return 64;
  }
  void* command = std::calloc(1, 2 * kRoom);
  void* place = _ZN5mesos8internal5slave24MesosContainerizerLaunch8getFlagsEv(command);
  auto* flags = new (place) MesosContainerizerLaunch::Flags();
  loadFlags(flags, 3, "MESOS_CONTAINERIZER_", argc - 1, argv + 1);
  return static_cast<MesosContainerizerLaunch*>(command)->execute();
}
