"""Offers, requests and launches: the vocabulary of placing tasks on agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.model.record import Role

PORTS: Mapping[Role, int] = {Role.JOB_MANAGER: 4, Role.TASK_MANAGER: 3}
"""Ports a task needs, in this order. JobManager: rest, rpc, blob, metrics. TaskManager: rpc, data, metrics."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Resources of one agent that Mesos offers. Only what Weir may use without a reservation of others."""

    id: str
    agent_id: str
    hostname: str
    address: str
    """IP of the agent (`offer.url.address.ip`), or its hostname when Mesos names no IP."""
    cpus: float
    mem_mb: float
    disk_mb: float = 0.0
    gpus: float = 0.0
    ports: tuple[tuple[int, int], ...] = ()
    """Inclusive ranges."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    unavailable_from: float | None = None
    """Start of a maintenance window (epoch seconds), if the agent has one."""
    role: str = "*"
    """The role of ours that the offer is allocated to; offers of two roles are never added up."""


@dataclass(frozen=True, slots=True)
class InverseOffer:
    """Mesos asks whether an agent may be taken away: it has a maintenance window. Times are seconds since the epoch."""

    id: str
    agent_id: str
    start: float
    duration_s: float | None = None
    """None: without end."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A placed task of the same job: what spreading and constraints look at."""

    role: Role
    agent_id: str
    hostname: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of its agent; at least those that the job's constraints name, as far as they are known."""


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """One wanted task and what it needs."""

    job: str
    task_name: str
    """The Mesos task id that it will have."""
    role: Role
    cpus: float
    mem_mb: float
    disk_mb: float = 0.0
    gpus: float = 0.0
    ports: int = 0
    constraints: tuple[tuple[str, ...], ...] = ()
    strategy: str = "spread"
    siblings: tuple[Sibling, ...] = ()
    """The job's placed tasks, less the attempts that this one replaces and those that are being killed."""
    avoid: frozenset[str] = frozenset()
    """Agent ids that just failed this job; used only when there is no other."""
    mesos_role: str = "*"
    """`placement.role`: only offers that are allocated to this role; `*` takes any of the operator's roles."""
    options: Mapping[str, str] = field(default_factory=dict)
    """`placement.options`, for the strategy."""
    relaunch: bool = False
    """True when it stands in for a task that just failed; relaunches are capped (S7)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is left of one agent's offers while a matching pass runs."""

    agent_id: str
    hostname: str
    address: str
    offer_ids: tuple[str, ...]
    cpus: float
    mem_mb: float
    disk_mb: float
    gpus: float
    ports: tuple[tuple[int, int], ...]
    attributes: Mapping[str, str]
    placed: int = 0
    """Tasks of the same job that this agent holds or was just assigned."""
    unavailable_from: float | None = None
    """Start of a maintenance window (epoch seconds), if the agent has one."""
    role: str = "*"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One request matched with one agent."""

    request: TaskRequest
    agent_id: str
    hostname: str
    address: str
    offer_ids: tuple[str, ...]
    ports: tuple[int, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the agent that the job's constraints name; persisted with the task (`Task.attributes`)."""


class PlacementStrategy(Protocol):
    """A plugin (entry point group `weir.placement`): which of the agents that fit is best."""

    def rank(self, request: TaskRequest, candidate: Candidate) -> Sequence[float]:
        """A sort key of finite numbers; the smallest wins, ties are broken by hostname.

        It is asked for agents only that fit and meet the constraints, and has to answer the same for
        the same arguments: no clock, no chance, no I/O.
        """
        ...


@dataclass(frozen=True, slots=True)
class FetchUri:
    """One file that the agent's fetcher puts into the sandbox."""

    value: str
    extract: bool = False
    executable: bool = False
    output_file: str | None = None
    cache: bool = False
    """The agent keeps it for further tasks (Mesos docs, "Fetcher Cache Internals")."""


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task as it is launched: resources, argv (never a shell string), environment and labels."""

    task_id: str
    name: str
    agent_id: str
    cpus: float
    mem_mb: float
    argv: tuple[str, ...]
    disk_mb: float = 0.0
    gpus: float = 0.0
    ports: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    uris: tuple[FetchUri, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    image: str | None = None
    kill_grace_s: float = 10.0
