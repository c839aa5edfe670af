// A Mesos agent as a process of its own.
//
// Every flag of mesos-agent can be given as MESOS_<FLAG>; MESOS_MASTER is host:port or zk://…
#include "mesos_abi.h"

using namespace mesos::internal;  // `slave` alone is this one; the public API's is mesos::slave

int main(int, char** argv) {
  const char* none[] = {argv[0]};
  auto* flags = build<slave::Flags>();
  loadFlags(flags, 4, "MESOS_", 1, none);

  const std::string id = "slave(1)";
  process::initialize(Option<std::string>(id), {}, {});
  logging::initialize(argv[0], true, {});

  const std::string master = environment("MESOS_MASTER");
  const double timeout = std::atof(environment("WEIR_ZK_SESSION_TIMEOUT", "10").c_str());

  auto* files = build<Files>(Option<std::string>(), Option<mesos::Authorizer*>());
  auto* gc = build<slave::GarbageCollector>(environment("MESOS_WORK_DIR"));
  auto* updates = build<slave::TaskStatusUpdateManager>(*flags);
  auto* fetcher = build<slave::Fetcher>(*flags);
  auto* estimator =
      static_cast<mesos::slave::ResourceEstimator*>(unwrap(mesos::slave::ResourceEstimator::create({}), "estimator"));
  auto* qos = static_cast<mesos::slave::QoSController*>(unwrap(mesos::slave::QoSController::create({}), "qos"));
  auto* secrets = static_cast<mesos::SecretResolver*>(unwrap(mesos::SecretResolver::create({}), "secret resolver"));
  auto* detector = static_cast<mesos::master::detector::MasterDetector*>(unwrap(
      mesos::master::detector::MasterDetector::create(Option<std::string>(master), {}, Option<Duration>(seconds(timeout))),
      "master detector"));
  auto* containerizer = static_cast<slave::Containerizer*>(unwrap(
      slave::Containerizer::create(*flags, false, fetcher, gc, secrets, nullptr, nullptr, nullptr), "containerizer"));

  auto* agent = build<slave::Slave>(
      id, *flags, detector, containerizer, files, gc, updates, estimator, qos, nullptr, nullptr, nullptr,
      process::Owned<slave::CSIServer>(),
      Option<process::network::internal::Socket<process::network::unix::Address>>(), Option<mesos::Authorizer*>());

  spawnProcess(build<VersionProcess>());
  spawnProcess(agent);
  sleepForEver();
}
