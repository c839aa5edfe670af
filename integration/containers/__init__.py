"""A testcontainers module: ZooKeeper, Mesos, Flink and Weir for other people's suites (docs/testing.md).

from integration.containers import WeirStack

with WeirStack(replicas=3, agents=2) as weir:
    weir.apply(spec, name="orders")
    weir.wait_for("orders", "STABLE")
"""

from integration.containers.errors import (
    ContainersError,
    EngineUnavailable,
    ImageFailed,
    MemberFailed,
    SpecRefused,
    UnknownMember,
    WaitFailed,
)
from integration.containers.members import (
    MesosAgentContainer,
    MesosMasterContainer,
    ReplicaContainer,
    ZooKeeperContainer,
)
from integration.containers.stack import WeirStack

__all__ = [
    "ContainersError",
    "EngineUnavailable",
    "ImageFailed",
    "MemberFailed",
    "MesosAgentContainer",
    "MesosMasterContainer",
    "ReplicaContainer",
    "SpecRefused",
    "UnknownMember",
    "WaitFailed",
    "WeirStack",
    "ZooKeeperContainer",
]
