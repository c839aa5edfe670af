"""What the fake Mesos remembers: agents, tasks, offers and frameworks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from integration.mesos.resources import Ranges, holds_ports, subtract_ports
from reconciler.model.events import TaskUpdate
from reconciler.model.observation import TaskState
from reconciler.model.resources import Offer, TaskInfo

if TYPE_CHECKING:
    from integration.mesos.fake import FakeCluster

EPSILON = 1e-6


class AgentStatus(StrEnum):
    """The master's view of an agent (Mesos docs, "Agent Recovery" and "High Availability Framework Guide")."""

    REGISTERED = "REGISTERED"
    RECOVERED = "RECOVERED"
    """Read from the registry after a master failover; has not come back yet."""
    UNREACHABLE = "UNREACHABLE"
    GONE = "GONE"


class CallFault(StrEnum):
    """What may happen to one call."""

    UNAVAILABLE = "UNAVAILABLE"
    """Not sent; the caller knows."""
    SILENT = "SILENT"
    """Answered and then dropped by the master (fault 19)."""
    UNCLEAR_LOST = "UNCLEAR_LOST"
    """Not applied; the caller does not know."""
    UNCLEAR_APPLIED = "UNCLEAR_APPLIED"
    """Applied; the caller does not know."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An amount of resources of one agent."""

    cpus: float
    mem_mb: float
    disk_mb: float = 0.0
    gpus: float = 0.0
    ports: Ranges = ()

    def holds(self, other: Bundle) -> bool:
        return (
            other.cpus <= self.cpus + EPSILON
            and other.mem_mb <= self.mem_mb + EPSILON
            and other.disk_mb <= self.disk_mb + EPSILON
            and other.gpus <= self.gpus + EPSILON
            and holds_ports(self.ports, _each(other.ports))
        )

    def minus(self, other: Bundle) -> Bundle:
        return Bundle(
            round(self.cpus - other.cpus, 3),
            round(self.mem_mb - other.mem_mb, 3),
            round(self.disk_mb - other.disk_mb, 3),
            round(self.gpus - other.gpus, 3),
            subtract_ports(self.ports, _each(other.ports)),
        )

    def plus(self, other: Bundle) -> Bundle:
        return Bundle(
            self.cpus + other.cpus,
            self.mem_mb + other.mem_mb,
            self.disk_mb + other.disk_mb,
            self.gpus + other.gpus,
            (*self.ports, *other.ports),
        )

    @property
    def allocatable(self) -> bool:
        """Mesos offers nothing smaller (its flag `min_allocatable_resources`)."""
        return self.cpus >= 0.01 or self.mem_mb >= 32.0


def _each(ranges: Ranges) -> list[int]:
    return [port for begin, end in ranges for port in range(begin, end + 1)]


def bundle_of(task: TaskInfo) -> Bundle:
    return Bundle(task.cpus, task.mem_mb, task.disk_mb, task.gpus, tuple((port, port) for port in task.ports))


@dataclass(slots=True)
class FakeTask:
    """A task on its agent. `state` is what happened there, `reported` what the master has heard."""

    info: TaskInfo
    framework_id: str
    state: TaskState = TaskState.STAGING
    reported: TaskState = TaskState.STAGING
    launched: bool = False
    kill: bool = False
    updates: deque[TaskUpdate] = field(default_factory=deque)
    """Not yet acknowledged; only the first is sent."""
    sent_at: float | None = None
    retry_s: float = 0.0


@dataclass(slots=True)
class FakeAgent:
    """One machine. `up`: the agent process runs; `hosted`: its tasks' processes do."""

    id: str
    hostname: str
    address: str
    total: Bundle
    attributes: Mapping[str, str] = field(default_factory=dict)
    unavailable_from: float | None = None
    unavailable_s: float | None = None
    status: AgentStatus = AgentStatus.REGISTERED
    up: bool = True
    hosted: bool = True
    down_since: float = 0.0
    tasks: dict[str, FakeTask] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filter:
    """A declined offer: nothing that it already held is offered again before `until`."""

    agent_id: str
    refused: Bundle
    until: float


@dataclass(slots=True)
class FakeOffer:
    offer: Offer
    framework_id: str

    @property
    def bundle(self) -> Bundle:
        it = self.offer
        return Bundle(it.cpus, it.mem_mb, it.disk_mb, it.gpus, it.ports)


@dataclass(slots=True)
class FakeFramework:
    id: str
    cluster: FakeCluster | None = None
    suppressed: bool = False
    filters: list[Filter] = field(default_factory=list)
    lost_since: float | None = None
    failover_timeout_s: float = 0.0
    unreachable: dict[str, str] = field(default_factory=dict)
    """Task id to agent id, as far as this master remembers."""
