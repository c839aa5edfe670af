"""The outside world: Mesos, Flink, and the local stack of real servers."""
