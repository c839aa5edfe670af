"""Local mode: a real ZooKeeper, a real Mesos cluster and real Flink on one machine, without a cluster."""
