"""`WeirStack`: ZooKeeper, Mesos, Flink and replicas of Weir, each in a container of its own.

with WeirStack(replicas=3, agents=2) as weir:
    weir.apply(spec, name="orders")
    weir.wait_for("orders", "STABLE")
    weir.kill(weir.leader())
    weir.wait_for("orders", "STABLE")
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import structlog
from docker.errors import APIError

from integration import toml
from integration.containers import cleanup, cluster
from integration.containers.control import MemberControl
from integration.containers.engine import connect
from integration.containers.errors import ContainersError, MemberFailed
from integration.containers.images import Images
from integration.containers.jobs import JobClient, Spec, poll
from integration.containers.members import (
    AGENT_RESOURCES,
    API_PORT,
    ZK_PORT,
    Member,
    MesosAgentContainer,
    MesosMasterContainer,
    ReplicaContainer,
    ZooKeeperContainer,
)
from integration.containers.network import Partitions, StackNetwork
from integration.local.flink_dist import DEFAULT_SERIES, RELEASES
from integration.local.progress import Progress, Silent
from reconciler.model.status import JobEvent, Status

log = structlog.get_logger()

ROOT = "/weir"
START_S = 120.0
WAIT_S = 240.0
Settings = Mapping[str, Mapping[str, Any]]


class WeirStack(MemberControl):
    """A whole installation for a test suite. Use it as a context manager, or call `up` and `down`.

    ``replicas``, ``agents``, ``zookeepers``, ``masters`` are how many there are; ``flink`` is the series that agents
    have ("2.2"). ``settings`` are further sections of the replicas' configuration (docs/operations.md).
    ``agent_attributes`` and ``agent_resources`` are by agent number, from 1. ``subnet`` is taken from 10.213.0.0/16
    unless given. ``keep`` leaves everything in place at the end, for looking at it. All durations are seconds.
    """

    def __init__(
        self,
        *,
        replicas: int = 3,
        agents: int = 2,
        zookeepers: int = 3,
        masters: int = 1,
        flink: str = DEFAULT_SERIES,
        settings: Settings | None = None,
        agent_attributes: Mapping[int, str] | None = None,
        agent_resources: Mapping[int, str] | None = None,
        agent_flags: Mapping[str, str] | None = None,
        subnet: str | None = None,
        keep: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Refuses impossible numbers with ValueError; nothing is started yet."""
        for what, count, low, high in (
            ("replicas", replicas, 0, 20),
            ("agents", agents, 0, 40),
            ("zookeepers", zookeepers, 1, 9),
            ("masters", masters, 1, 9),
        ):
            if not low <= count <= high:
                raise ValueError(f"{what}={count}: a stack has {low} to {high} of them")
        if zookeepers % 2 == 0:
            raise ValueError(f"zookeepers={zookeepers}: an even ensemble survives no more than {zookeepers - 1}")
        super().__init__()
        self.id = secrets.token_hex(4)
        self.flink = flink
        self._counts = {"zk": zookeepers, "master": masters, "agent": agents, "replica": replicas}
        self._settings = settings or {}
        self._agent_attributes = agent_attributes or {}
        self._agent_resources = agent_resources or {}
        self._agent_flags = agent_flags
        self._subnet = subnet
        self._keep = keep
        self._progress = progress or Silent()
        self._watchdog: cleanup.Watchdog | None = None
        self._jobs: JobClient | None = None
        self._shared: Path | None = None

    # --- up and down --------------------------------------------------------------------------------------

    def __enter__(self) -> WeirStack:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> WeirStack:
        """Builds what is missing, starts everything, and waits until agents are registered and a replica leads.

        Raises a ContainersError that says what to do; then nothing is left behind.
        """
        self.client = connect()
        cleanup.sweep(self.client)
        self.images = Images(self.client, series=self.flink, progress=self._progress)
        self.images.ensure([*(image for kind, image in _IMAGES.items() if self._counts[kind]), "base"])
        names = {kind: self.images.name(image) for kind, image in _IMAGES.items() if self._counts[kind]}
        helper = self.images.name("base")
        self._shared = Path(tempfile.mkdtemp(prefix=f"weir-{self.id}-"))
        labels = {
            cleanup.STACK_LABEL: self.id,
            cleanup.SHARED_LABEL: str(self._shared),
            cleanup.OWNER_LABEL: cleanup.owner_mark() if not self._keep else "kept",
        }
        try:
            if not self._keep:
                self._watchdog = cleanup.Watchdog.start(self.id)
            self.network = StackNetwork(self.client, f"weir-{self.id}", labels, self._subnet).create()
            self.partitions = Partitions(self.client, helper, labels)
            self._populate(names, labels)
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """Removes containers, network and shared directory. Safe to call again."""
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None
        if self._keep:
            return
        if self.client is not None:
            cleanup.remove_stack(self.client, self.id)
        if self._shared is not None:
            shutil.rmtree(self._shared, ignore_errors=True)
        if self._watchdog is not None:
            self._watchdog.dismiss()
            self._watchdog = None

    def _populate(self, names: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Starts the kinds in the order in which they need each other."""
        self._storage.mkdir()
        (self.shared / "mesos").mkdir()
        self._config.write_text(self._toml(), encoding="utf-8")
        for kind in ("zk", "master", "agent", "replica"):
            found = [self._member(kind, number, names[kind]) for number in range(1, self._counts[kind] + 1)]
            with ThreadPoolExecutor(max_workers=4) as pool:
                list(pool.map(lambda member: self._launch(member, labels), found))
            self._await(kind)
        log.info("containers.up", stack=self.id, zk=self.zk, shared=str(self.shared))

    def _launch(self, member: Member, labels: Mapping[str, str]) -> None:
        container = f"weir-{self.id}-{member.member}"
        endpoint = self.network.endpoint(member.address, member.member)
        member.placed(self.network.name, endpoint, container, {**labels, cleanup.MEMBER_LABEL: member.member})
        self._add(member)
        try:
            member.start()
        except (APIError, OSError) as error:
            raise MemberFailed(
                f"{member.member} does not start", str(getattr(error, "explanation", None) or error), "docker logs"
            ) from error

    def _member(self, kind: str, number: int, image: str) -> Member:
        name, address = f"{kind}-{number}", self.network.address(kind, number)
        if kind == "zk":
            servers = [self.network.address("zk", n + 1) for n in range(self._counts["zk"])]
            return ZooKeeperContainer(image, name, address, number=number, servers=servers)
        if kind == "master":
            flags = {"HOSTNAME": address}
            member: Member = MesosMasterContainer(image, name, address, zk=self.zk, flags=flags)
            # All masters of a stack share one registry, so that a new leader knows the agents of the old one.
            member.with_env("WEIR_REGISTRY_FILE", str(self.shared / "mesos" / "registry"))
            return member.sharing(str(self.shared))
        if kind == "agent":
            attributes = self._agent_attributes.get(number, f"rack:r{number}")
            resources = self._agent_resources.get(number, AGENT_RESOURCES)
            member = MesosAgentContainer(
                image, name, address, zk=self.zk, attributes=attributes, resources=resources, flags=self._agent_flags
            )
            return member.sharing(str(self.shared))
        member = ReplicaContainer(image, name, address, config=str(self._config))
        member.with_env("WEIR_API", f"{address}:{API_PORT}")
        return member.sharing(str(self.shared))

    def _await(self, kind: str) -> None:
        if not self._counts[kind]:
            return
        waits: dict[str, tuple[str, Callable[[], Any]]] = {
            "zk": (
                "the ensemble serves",
                lambda: all(cluster.zookeeper_mode(a) for a in self._addresses("zk").values()),
            ),
            "master": ("a master leads", self.master_url_now),
            "agent": ("every agent is registered", lambda: self.agents() >= set(self._addresses("agent"))),
            "replica": ("a replica leads", lambda: self.leader() or None),
        }
        what, ready = waits[kind]
        self.wait_until(what, ready, START_S)

    def _toml(self) -> str:
        settings: Settings = {
            "zookeeper": {"hosts": self.zk, "root": ROOT, "session_timeout_s": 4.0},
            "mesos": {"master": self.master, "framework_name": f"weir-{self.id}"},
            "storage": {"uri": self._storage.as_uri()},
            # Longer than an ensemble needs to elect another leader, on a busy machine too: no job may restart for that.
            "flink": {"zookeeper_session_timeout_s": 20.0},
            f'flink.distributions."{self.flink}"': {
                "version": RELEASES.get(self.flink, self.flink),
                "home": f"/opt/flink/{self.flink}",
                "python": f"/opt/pyflink/{self.flink}/bin/python",
            },
            "jobs": {"lost_grace_s": 2.0},
        }
        return toml.document(settings, self._settings)

    # --- what there is ------------------------------------------------------------------------------------

    @property
    def zk(self) -> str:
        """ZooKeeper's connection string, reachable from this host and from every member."""
        servers = (self.network.address("zk", n + 1) for n in range(self._counts["zk"]))
        return ",".join(f"{address}:{ZK_PORT}" for address in servers)

    @property
    def master(self) -> str:
        """Where schedulers find the leading master: "zk://.../mesos"."""
        return f"zk://{self.zk}/mesos"

    @property
    def shared(self) -> Path:
        """A directory that has the same path on this host, on every agent and on every replica."""
        if self._shared is None:
            raise ContainersError(
                "the stack has no directory yet", "it is not started", "with WeirStack() as weir: ..."
            )
        return self._shared

    @property
    def _storage(self) -> Path:
        return self.shared / "storage"

    @property
    def _config(self) -> Path:
        return self.shared / "weir.toml"

    def publish(self, path: Path) -> str:
        """Copies a job's file (script, jar, SQL) where every agent has it; returns its URI for ``job.uri``."""
        target = self.shared / "jobs" / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
        return target.as_uri()

    # --- jobs ---------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> JobClient:
        """Desired state and status."""
        if self._jobs is None:
            self._jobs = JobClient(self.zk, ROOT)
        return self._jobs

    def apply(self, spec: Spec | Path, name: str | None = None, *, check: bool = True) -> str:
        """Writes the desired state of a job, see `JobClient.apply`; returns its name."""
        return self.jobs.apply(spec, name, check=check)

    def delete(self, name: str) -> None:
        """Removes the desired state of a job."""
        self.jobs.delete(name)

    def status(self, name: str) -> Status | None:
        """What Weir says of a job; None when it says nothing, or ZooKeeper does not answer at the moment."""
        return self.jobs.status(name)

    def events(self, name: str) -> list[JobEvent]:
        """The history of a job, oldest first."""
        return self.jobs.events(name)

    def wait_for(self, name: str, lifecycle: str = "STABLE", timeout: float = WAIT_S) -> Status:
        """Until Weir took up the newest desired state and the job is in ``lifecycle``.

        Raises SpecRefused when Weir refuses the spec, WaitFailed when the job cannot get there or time is up.
        """
        return self.jobs.wait_for(name, lifecycle, timeout)

    def wait_deleted(self, name: str, timeout: float = WAIT_S) -> None:
        """Until a deleted job and all of its tasks are gone. Raises WaitFailed."""
        self.jobs.wait_deleted(name, timeout)

    def wait_until(self, what: str, ready: Callable[[], Any], timeout: float = WAIT_S) -> Any:
        """Until ``ready`` returns something true, which is returned. A container that ended by itself ends the wait.

        Raises WaitFailed, MemberFailed.
        """

        def look() -> Any:
            found = ready()
            if not found:
                self.check()
            return found

        return poll(look, lambda: f"waited in vain until {what}:", self._summary, timeout)

    def leader(self) -> str:
        """Name of the replica that leads, "replica-1"; empty when none does."""
        info = self.jobs.leader()
        return info.replica if info is not None else ""

    # --- Mesos --------------------------------------------------------------------------------------------

    def master_url_now(self) -> str | None:
        """The leading master's URL; None while none leads."""
        found = cluster.leading_master(self._addresses("master"))
        return found[1] if found else None

    def tasks(self) -> dict[str, str]:
        """State by task id, as the leading master reports them; empty while none leads."""
        url = self.master_url_now()
        return cluster.tasks(url) if url else {}

    def agents(self) -> set[str]:
        """Names of the agents that are registered with the leading master."""
        url = self.master_url_now()
        return cluster.agents(url) if url else set()

    def agent_id(self, name: str) -> str:
        """Mesos' id of a registered agent; empty while the master does not know it."""
        url = self.master_url_now()
        return cluster.agent_ids(url).get(name, "") if url else ""

    def mark_gone(self, agent_id: str) -> None:
        """Says to Mesos that an agent never comes back, as a person does who has lost a machine.

        Until then what ran there may still run, so a job that is deleted waits for it. Raises MemberFailed.
        """
        url = self.master_url_now()
        try:
            if url is None:
                raise httpx.ConnectError("no master leads")
            cluster.mark_gone(url, agent_id)
        except httpx.HTTPError as error:
            raise MemberFailed(
                f"cannot mark agent {agent_id} as gone", str(error), "wait until a master leads"
            ) from None

    def zk_leader(self) -> str:
        """Name of the ZooKeeper server that leads the ensemble, "zk-2"; empty while none does."""
        addresses = self._addresses("zk")
        return next(
            (name for name, at in addresses.items() if cluster.zookeeper_mode(at) in ("leader", "standalone")), ""
        )

    def _summary(self) -> str:
        return ", ".join(f"{each.name} {each.state}" for each in self.members())


_IMAGES = {"zk": "zookeeper", "master": "mesos-master", "agent": "mesos-agent", "replica": "replica"}
