"""The Flink clusters of `FakeFlink`: processes, elections, jobs and snapshots on a virtual clock.

What is modelled is what the operator has to get right: what survives a JobManager and what does
not, when a job is listed, where snapshots lie and in which order, and what an old JobManager does
that comes back. Behaviour was read from Flink 2.2.1; `tests/contract/flink` runs on both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from integration.flink.storage import normal
from reconciler.model.decision import OpenGate
from reconciler.model.flink_keys import rest_scheme
from reconciler.model.observation import JobState, Operation, OperationState
from reconciler.model.record import Role
from reconciler.model.resources import TaskInfo
from reconciler.model.units import parse_duration
from reconciler.ports import JobSubmission


@dataclass(slots=True)
class Timing:
    """Virtual seconds; change them to make Flink slow."""

    rest: float = 2.0
    """From the start of a JobManager until its REST API answers."""
    submit: float = 3.0
    """From election until the job is listed."""
    register: float = 2.0
    """From the start of a TaskManager until it is registered."""
    deploy: float = 1.0
    savepoint: float = 0.5
    stop: float = 0.5
    cancel: float = 0.2
    result: float = 0.3
    """From the end of a session's job until its result is stored."""
    accept: float = 5.0
    """How long a submission may take inside a JobManager."""
    session: float = 6.0
    """ZooKeeper session time-out: until then nobody follows a leader that died."""


@dataclass(frozen=True, slots=True)
class Process:
    """A started JobManager or TaskManager, as its TaskInfo describes it."""

    task_id: str
    role: Role
    uid: str
    generation: int
    cluster_id: str
    started_at: float
    job_id: str = ""
    url: str = ""
    slots: int = 0
    parallelism: int = 1
    restore: str | None = None
    checkpoint_dir: str = ""
    checkpoint_interval: float | None = None
    gated: bool = False
    """It submits its job once the gate of its cluster is open, and starts from what lies there."""


@dataclass(frozen=True, slots=True)
class FakeSnapshot:
    """A complete checkpoint or savepoint. `position` says how far the job had come: its state."""

    path: str
    uid: str
    generation: int
    checkpoint_id: int
    position: float


@dataclass(frozen=True, slots=True)
class Restore:
    """A start of a job: what it was restored from, and the newest state that existed then (S2)."""

    uid: str
    generation: int
    at: float
    path: str | None
    position: float
    newest: FakeSnapshot | None

    @property
    def stale(self) -> bool:
        """State was lost: something newer was there. Right only for stateless upgrades and by order of a person."""
        return self.newest is not None and self.newest.position > self.position


@dataclass(slots=True)
class FakeJob:
    """A job in its JobManager's memory; it dies with the leader."""

    state: JobState
    restored_from: str | None
    restored_position: float
    position: float
    running_since: float | None = None
    completed: int = 0
    latest: FakeSnapshot | None = None
    latest_at: float | None = None
    failure: str | None = None
    restarts: int = 0
    operations: dict[str, Operation] = field(default_factory=dict)
    stopping: str | None = None
    epoch: int = 0
    """Grows with every interruption, so that a timer of before it does nothing."""

    def advance_to(self, now: float) -> None:
        if self.running_since is not None:
            self.position += now - self.running_since
            self.running_since = now


@dataclass(slots=True)
class Cluster:
    """One cluster id: its processes, and what it keeps in ZooKeeper."""

    cluster_id: str
    job_id: str
    uid: str
    generation: int
    job_managers: dict[str, Process] = field(default_factory=dict)
    task_managers: dict[str, Process] = field(default_factory=dict)
    leader: str | None = None
    leaderless_until: float = 0.0
    """The dead leader's session lasts until then."""
    job: FakeJob | None = None
    pointers: tuple[str, ...] = ()
    """Checkpoints in the HA metadata."""
    next_checkpoint: int = 1
    requested: int | None = None
    """Parallelism asked for through the resource requirements; kept with the HA data."""
    leader_url: str | None = None
    gate: OpenGate | None = None
    """What lies beside the HA data for a JobManager that waits."""
    session: Cluster | None = None
    """Set for a job of a session: it shares the session's processes and leader."""
    program: Process | None = None
    """What such a job was submitted as."""
    accepted: bool = False
    """Such a job is in the HA data: whichever JobManager leads runs it."""
    members: dict[str, Cluster] = field(default_factory=dict)
    """Jobs of a session by job id, in the order of their submission."""
    serving: bool = False
    """A session's dispatcher has recovered its jobs and takes new ones."""

    @property
    def host(self) -> Cluster:
        """The cluster whose processes run this job."""
        return self.session or self

    @property
    def is_session(self) -> bool:
        return self.session is None and not self.job_id

    def jobs(self) -> list[Cluster]:
        """One entry for each job that this cluster may run."""
        return list(self.members.values()) if self.is_session else [self]

    def registered(self, now: float, timing: Timing) -> list[Process]:
        return [tm for tm in self.task_managers.values() if now >= tm.started_at + timing.register]

    @property
    def active(self) -> bool:
        """A process has this job and may write its state."""
        return self.job is not None and not self.job.state.terminal


def process_of(info: TaskInfo, now: float) -> Process:
    """Read a rendered TaskInfo the way its JVM would: `-D` arguments, options, config file."""
    labels, options = info.labels, _options(info.argv)
    config = {**_config(info.env.get("WEIR_CONFIG", "")), **_dynamic(info.argv)}
    role = Role(labels["weir.role"])
    if role is Role.TASK_MANAGER and config["taskmanager.resource-id"] != info.task_id:
        raise ValueError(f"{info.task_id} would register as {config['taskmanager.resource-id']}")
    interval = config.get("execution.checkpointing.interval")
    return Process(
        task_id=info.task_id,
        role=role,
        uid=labels["weir.uid"],
        generation=int(labels["weir.generation"]),
        cluster_id=config["high-availability.cluster-id"],
        started_at=now,
        job_id=options.get("--job-id", ""),
        url=f"{rest_scheme(config)}://{config['rest.address']}:{config['rest.port']}"
        if role is Role.JOB_MANAGER
        else "",
        slots=int(config.get("taskmanager.numberOfTaskSlots", "1")),
        parallelism=int(config.get("parallelism.default", "1")),
        restore=options.get("--fromSavepoint"),
        checkpoint_dir=config.get("execution.checkpointing.dir", ""),
        checkpoint_interval=_interval(interval),
        gated="WEIR_GATE" in info.env,
    )


def member_of(session: Cluster, job_id: str, submission: JobSubmission, now: float) -> Cluster:
    """A job that was submitted to a session, as its own cluster of one job on shared processes."""
    directory = submission.configuration["execution.checkpointing.dir"]
    uid, generation = directory.rstrip("/").split("/")[-2:]
    program = Process(
        task_id=session.leader or "",
        role=Role.JOB_MANAGER,
        uid=uid,
        generation=int(generation),
        cluster_id=session.cluster_id,
        started_at=now,
        job_id=job_id,
        parallelism=submission.parallelism,
        restore=submission.restore,
        checkpoint_dir=directory,
        checkpoint_interval=_interval(submission.configuration.get("execution.checkpointing.interval")),
    )
    return Cluster(
        session.cluster_id, job_id, uid, int(generation), session.job_managers, session.task_managers,
        session=session, program=program, accepted=True,
    )  # fmt: skip


def checkpoint_path(process: Process, number: int) -> str:
    return f"{normal(process.checkpoint_dir)}/{process.job_id}/chk-{number}"


def savepoint_path(job_id: str, trigger_id: str, directory: str) -> str:
    return f"{normal(directory)}/savepoint-{job_id[:6]}-{trigger_id[:12]}"


NOT_EXECUTING = Operation(
    OperationState.FAILED,
    error="org.apache.flink.runtime.checkpoint.CheckpointException: The Flink job is currently not executing.",
)
"""How Flink ends a stop of a job that is being stopped already, or whose tasks do not run."""


def _dynamic(argv: tuple[str, ...]) -> dict[str, str]:
    pairs = (argv[i + 1] for i, part in enumerate(argv[:-1]) if part == "-D")
    return dict(pair.split("=", 1) for pair in pairs)


def _options(argv: tuple[str, ...]) -> dict[str, str]:
    own = argv[: argv.index("--")] if "--" in argv else argv
    return {part: own[i + 1] for i, part in enumerate(own[:-1]) if part in ("--job-id", "--fromSavepoint")}


def _config(text: str) -> Mapping[str, str]:
    entries = (line.split(": ", 1) for line in text.splitlines() if line)
    return {json.loads(key): json.loads(value) for key, value in entries}


def _interval(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = float(text) / 1000 if text.strip().isdigit() else parse_duration(text)
    return seconds or None
