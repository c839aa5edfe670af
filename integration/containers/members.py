"""The containers of a stack, one class per service; each can also be used on its own with testcontainers.

A member keeps its name, its address and its file system when it is killed and started again, as a machine does.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docker.types import EndpointConfig
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

ZK_PORT, MASTER_PORT, AGENT_PORT, API_PORT = 2181, 5050, 5051, 8480
AGENT_RESOURCES = "cpus:4;mem:4096;disk:10000;ports:[31000-31199]"
_ryuk = threading.Lock()


@contextlib.contextmanager
def _without_ryuk() -> Iterator[None]:
    """Stacks clean up by their own labels, and ryuk's image needs a registry; other people's containers keep theirs."""
    with _ryuk:
        before = testcontainers_config.ryuk_disabled
        testcontainers_config.ryuk_disabled = True
        try:
            yield
        finally:
            testcontainers_config.ryuk_disabled = before


class Member(DockerContainer):
    """A container with a fixed address."""

    kind = ""

    def __init__(self, image: str, name: str, address: str = "") -> None:
        super().__init__(image)
        self.member = name
        self.address = address
        self._options: dict[str, Any] = {"hostname": name}

    def placed(self, network: str, endpoint: EndpointConfig, container: str, labels: Mapping[str, str]) -> Member:
        """In a network, under a name, with labels."""
        self._options |= {"network": network, "networking_config": {network: endpoint}, "labels": dict(labels)}
        self.with_name(container)
        return self

    def sharing(self, *directories: str) -> Member:
        """With directories of the host under the same paths."""
        for directory in directories:
            self.with_volume_mapping(directory, directory, "rw")
        return self

    def options(self, **values: Any) -> Member:
        """Further options of docker-py's ``containers.create``."""
        self._options |= values
        return self

    def start(self) -> Member:
        """Creates and starts the container."""
        self.with_kwargs(**self._options)
        with _without_ryuk():
            super().start()
        return self


class ZooKeeperContainer(Member):
    """One server of an ensemble. ``servers``: addresses of all of them, in order; alone when there is one."""

    kind = "zk"

    def __init__(
        self,
        image: str,
        name: str,
        address: str = "",
        *,
        number: int = 1,
        servers: Sequence[str] = (),
        tick_ms: int = 500,
    ) -> None:
        super().__init__(image, name, address)
        self.with_envs(
            ZOO_MY_ID=str(number),
            ZOO_TICK_TIME=str(tick_ms),
            ZOO_INIT_LIMIT="20",
            ZOO_SYNC_LIMIT="5",
            ZOO_MAX_CLIENT_CNXNS="0",
            ZOO_4LW_COMMANDS_WHITELIST="*",
            ZOO_CFG_EXTRA="maxSessionTimeout=60000",  # 20 ticks otherwise
            # Elections wait this long (5 s by default) for a machine that does not answer; sessions may expire.
            JVMFLAGS="-Dzookeeper.cnxTimeout=500",
        )
        if len(servers) > 1:
            listed = (f"server.{n}={each}:2888:3888;{ZK_PORT}" for n, each in enumerate(servers, start=1))
            self.with_env("ZOO_SERVERS", " ".join(listed))


class MesosMasterContainer(Member):
    """A master, elected through ZooKeeper. Agents are marked unreachable after 3 s instead of 75 s."""

    kind = "master"

    def __init__(
        self, image: str, name: str, address: str = "", *, zk: str, flags: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(image, name, address)
        self.with_envs(
            MESOS_ZK=f"zk://{zk}/mesos",
            MESOS_AGENT_PING_TIMEOUT="1secs",
            MESOS_MAX_AGENT_PING_TIMEOUTS="3",
            MESOS_ALLOCATION_INTERVAL="200ms",
            WEIR_ZK_SESSION_TIMEOUT="20",
            **_flags(flags),
        )
        self.options(restart_policy={"Name": "on-failure"})  # a master that loses its leadership ends on purpose


class MesosAgentContainer(Member):
    """An agent with Flink on it: a machine of the cluster."""

    kind = "agent"

    def __init__(
        self,
        image: str,
        name: str,
        address: str = "",
        *,
        zk: str,
        attributes: str = "",
        resources: str = AGENT_RESOURCES,
        flags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(image, name, address)
        self.with_envs(
            MESOS_MASTER=f"zk://{zk}/mesos",
            MESOS_HOSTNAME=name,
            MESOS_ATTRIBUTES=attributes,
            MESOS_RESOURCES=resources,
            WEIR_ZK_SESSION_TIMEOUT="20",
            **_flags(flags),
        )
        self.options(restart_policy={"Name": "on-failure"})


class ReplicaContainer(Member):
    """One replica of Weir. ``config``: path of its TOML file inside the container."""

    kind = "replica"

    def __init__(self, image: str, name: str, address: str = "", *, config: str) -> None:
        super().__init__(image, name, address)
        self.with_command(["run", "--config", config, "--replica", name])
        # As root: it reads what Flink wrote, and Flink runs as the agent does.
        self.options(user="0", restart_policy={"Name": "on-failure"})


def _flags(flags: Mapping[str, str] | None) -> dict[str, str]:
    """Flags of Mesos as variables."""
    return {f"MESOS_{name.upper()}": str(value) for name, value in (flags or {}).items()}
