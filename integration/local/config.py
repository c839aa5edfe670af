"""Settings of a local stack, and everything that follows from them: names, addresses, directories.

The settings of a stack are stored in its state directory, so that later commands need only that.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integration.local.cache import cache_dir
from integration.local.errors import LocalStackError
from integration.local.flink_dist import DEFAULT_SERIES

DEFAULT_PORT_BASE = 21800
DEFAULT_TASK_PORT_BASE = 31000
DEFAULT_NETWORK = "127.0.0"
PORTS_PER_STACK = 100  # services of one stack lie in [port_base, port_base + 100)

# Offsets from the port base. Those of replicas and tools belong to the callers of add_service.
ZK_CLIENT, ZK_PEER, ZK_ELECTION = 10, 20, 30
MASTER, AGENT, EXTRA = 50, 60, 80


def default_state_dir() -> Path:
    """``$WEIR_LOCAL_STATE``, or ``weir/local`` under ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    if chosen := os.environ.get("WEIR_LOCAL_STATE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".local" / "state") / "weir" / "local"


@dataclass(frozen=True)
class LocalConfig:
    """What a local stack consists of.

    ``port_base=None`` chooses a free range, so that stacks can run side by side. ``task_port_base=None`` does the
    same for the ports that agents offer; only the stack on the default port base offers those from 31000.
    Durations are seconds. ``agent_resources`` and ``agent_attributes`` are by agent number, from 1; an agent without
    an entry gets ``resources`` and ``rack:r<number>``. ``ports`` are added to the resources by the stack.
    ``owner_pid``: the whole stack stops when that process ends (tests, demos).
    """

    state_dir: Path = field(default_factory=default_state_dir)
    zookeepers: int = 1
    masters: int = 2
    agents: int = 2
    port_base: int | None = DEFAULT_PORT_BASE
    task_port_base: int | None = None
    ports_per_agent: int = 200
    agent_network: str = DEFAULT_NETWORK  # agent N listens on <network>.<10 + N>
    resources: str = "cpus:4;mem:4096;disk:10000"
    agent_resources: Mapping[int, str] = field(default_factory=dict)
    agent_attributes: Mapping[int, str] = field(default_factory=dict)
    agent_ping_timeout: float = 1.0
    max_agent_ping_timeouts: int = 3
    zk_tick: float = 0.5
    zk_session_timeout: float = 2.0  # of masters and agents; how soon a dead leader is replaced
    mesos_flags: Mapping[str, str] = field(default_factory=dict)  # MESOS_<NAME> of masters and agents
    master_flags: Mapping[str, str] = field(default_factory=dict)
    agent_flags: Mapping[str, str] = field(default_factory=dict)
    flink_versions: tuple[str, ...] = (DEFAULT_SERIES,)
    flink_plugins: tuple[str, ...] = ()  # names of `flink_plugins.PLUGINS`, for every version
    cache: Path = field(default_factory=cache_dir)
    install_packages: bool = True
    owner_pid: int | None = None

    def __post_init__(self) -> None:
        for name, low, high in (("masters", 1, 9), ("agents", 1, 20), ("zookeepers", 1, 9)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise LocalStackError(f"{name}={value} refused", f"a local stack has {low} to {high} of them")
        if self.zookeepers % 2 == 0:
            raise LocalStackError(
                f"zookeepers={self.zookeepers} refused", "an even ensemble tolerates no more than the odd one below it",
                f"use {self.zookeepers - 1} or {self.zookeepers + 1}",
            )  # fmt: skip
        object.__setattr__(self, "state_dir", Path(self.state_dir).expanduser().absolute())
        object.__setattr__(self, "cache", Path(self.cache).expanduser().absolute())

    def to_json(self) -> dict[str, Any]:
        """As stored in the state directory."""
        data = dataclasses.asdict(self)
        return {key: str(value) if isinstance(value, Path) else value for key, value in data.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LocalConfig:
        """The stored settings; fields that this version does not know are dropped."""
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        for name in ("agent_resources", "agent_attributes"):
            values[name] = {int(number): text for number, text in values.get(name, {}).items()}
        for name in ("state_dir", "cache"):
            if name in values:
                values[name] = Path(values[name])
        values["flink_versions"] = tuple(values.get("flink_versions", (DEFAULT_SERIES,)))
        values["flink_plugins"] = tuple(values.get("flink_plugins", ()))
        return cls(**values)


class Layout:
    """Directories, addresses and names of a stack whose ports are chosen."""

    def __init__(self, config: LocalConfig) -> None:
        if config.port_base is None or config.task_port_base is None:
            raise ValueError("ports are not chosen yet")
        self.config = config
        self.base = config.port_base
        self.task_base = config.task_port_base
        self.state = config.state_dir
        self.logs = self.state / "logs"
        self.bin = self.state / "bin"
        self.storage = self.state / "storage"
        self.settings = self.state / "stack.json"
        self.registry = self.state / "masters" / "registry"

    @property
    def masters(self) -> list[str]:
        """Names of the masters."""
        return [f"master-{n}" for n in range(1, self.config.masters + 1)]

    @property
    def agents(self) -> list[str]:
        """Names of the agents."""
        return [f"agent-{n}" for n in range(1, self.config.agents + 1)]

    @property
    def zookeepers(self) -> list[str]:
        """Names of the ZooKeeper servers."""
        return [f"zk-{n}" for n in range(1, self.config.zookeepers + 1)]

    def zk_port(self, number: int) -> int:
        """Client port of a ZooKeeper server, from 1."""
        return self.base + ZK_CLIENT + number - 1

    @property
    def zk(self) -> str:
        """The connection string: "127.0.0.1:21810"."""
        return ",".join(f"127.0.0.1:{self.zk_port(n)}" for n in range(1, self.config.zookeepers + 1))

    @property
    def master_url(self) -> str:
        """Where schedulers and agents find the leading master."""
        return f"zk://{self.zk}/mesos"

    def master_address(self, number: int) -> tuple[str, int]:
        """Address of a master, from 1."""
        return "127.0.0.1", self.base + MASTER + number - 1

    def agent_address(self, number: int) -> tuple[str, int]:
        """Address of an agent, from 1: each has a loopback address of its own."""
        return f"{self.config.agent_network}.{10 + number}", self.base + AGENT + number - 1

    def agent_dir(self, number: int) -> Path:
        """Everything of one agent: work directory, runtime directory, fetcher cache."""
        return self.state / "agents" / f"agent-{number}"

    def task_ports(self, number: int) -> tuple[int, int]:
        """First and last port that an agent offers."""
        first = self.task_base + (number - 1) * self.config.ports_per_agent
        return first, first + self.config.ports_per_agent - 1

    def service_addresses(self) -> dict[str, list[tuple[str, int]]]:
        """All addresses that the stack itself listens on, by service."""
        found: dict[str, list[tuple[str, int]]] = {}
        for n, name in enumerate(self.zookeepers, start=1):
            found[name] = [("127.0.0.1", self.zk_port(n))]
            if self.config.zookeepers > 1:
                found[name] += [("127.0.0.1", self.base + offset + n - 1) for offset in (ZK_PEER, ZK_ELECTION)]
        for n, name in enumerate(self.masters, start=1):
            found[name] = [self.master_address(n)]
        for n, name in enumerate(self.agents, start=1):
            found[name] = [self.agent_address(n)]
        return found

    def save(self) -> None:
        """Stores the settings in the state directory."""
        fresh = self.settings.with_suffix(".new")
        fresh.write_text(json.dumps(self.config.to_json(), indent=2) + "\n")
        fresh.rename(self.settings)


def load_config(state_dir: Path) -> LocalConfig | None:
    """The settings that the stack in ``state_dir`` was started with; None when there never was one."""
    path = state_dir / "stack.json"
    try:
        return LocalConfig.from_json(json.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        raise LocalStackError(f"cannot read {path}", str(error), f"rm {path}") from error
